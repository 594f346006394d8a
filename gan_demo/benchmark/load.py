"""Visitors who come at once and stay: what they wait for, what fails, and what the app keeps of it.

Each has an address of its own, looks for one to five seconds at what came, and then asks for something else.
"""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from gan_demo.benchmark.report import Figure, Options, Row, percentile
from gan_demo.benchmark.server import Server, serving

LOOK = (1.0, 5.0)  # seconds between two questions of a visitor
OFTEN = {"new film": 8, "film that others saw": 4, "grid": 3, "verdicts": 1, "walk": 2, "pad": 1, "card": 3, "page": 1}


class Crowd:
    """`count` visitors of a server, each a thread, for so many seconds; `times` and `failures` tell how they fared."""

    def __init__(self, app: Server, count: int, seconds: float):
        self.host, keys = urlsplit(app.url).netloc, app.keys()
        self.folders = [(key, app.film_url(key).rpartition("/")[0]) for key in keys]
        self.times: dict[str, list[float]] = {what: [] for what in OFTEN}
        self.failures: list[str] = []
        self.end = time.monotonic() + seconds
        self.threads = [threading.Thread(target=self._visit, args=(number,)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def wait(self) -> None:
        for thread in self.threads:
            thread.join()

    def _visit(self, number: int) -> None:
        moods = random.Random(number)
        time.sleep(moods.uniform(0, LOOK[1]))  # they come one after the other
        while time.monotonic() < self.end:
            [what] = moods.choices(list(OFTEN), list(OFTEN.values()))
            start = time.perf_counter()
            try:
                self._ask(self._path(what, moods), f"10.1.{number // 250}.{number % 250}")
                self.times[what].append(time.perf_counter() - start)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{what}: {error}")
            time.sleep(moods.uniform(*LOOK))

    def _ask(self, path: str, visitor: str) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request("GET", path, headers={"X-Forwarded-For": visitor})
            answer = connection.getresponse()
            if not answer.read() or answer.status != 200:
                raise http.client.HTTPException(f"{path} was answered with {answer.status}")
        finally:
            connection.close()

    def _path(self, what: str, moods: random.Random) -> str:
        key, folder = moods.choice(self.folders)
        seed, other = moods.randrange(10**12), moods.randrange(10**6)
        paths = {
            "new film": f"{folder}/film.webp?seed={seed}",
            "film that others saw": f"{folder}/film.webp?seed={other % 5}",
            "grid": f"{folder}/grid.png?seed={seed}&truncation=0.{1 + other % 9}",
            "verdicts": f"{folder}/grid.json?seed={seed}",
            "walk": f"{folder}/walk.webp?stops={seed},{other}",
            "pad": f"{folder}/pad.webp?stops={seed},{other},1,2",
            "card": f"{key}/run.json",
        }
        return f"/gradio_api/film/{paths[what]}" if what in paths else "/"


def measure(options: Options) -> Iterator[Row]:
    with serving("app.py", "--runs", options.runs) as app:
        app.wait()
        keys = app.keys()
        for key in keys:
            app.get(f"{app.film_url(key)}12345")
        seconds = 60 * options.minutes
        memory = [("start", app.memory())]
        crowd = Crowd(app, options.visitors, seconds)
        time.sleep(seconds / 2)
        memory.append(("middle", app.memory()))
        crowd.wait()
        memory.append(("end", app.memory()))
    who = f"{options.visitors} visitors for {options.minutes:g} minutes"
    asked = sum(map(len, crowd.times.values())) + len(crowd.failures)
    yield Figure(f"{who}: questions", [asked], "")
    yield Figure("of them failed", [len(crowd.failures)], "", "0", "; ".join(crowd.failures[:3]))
    for what, times in crowd.times.items():
        for percent in (50, 95):
            budget = "3" if (what, percent) == ("new film", 95) else ""
            values = [percentile(times, percent)] if times else []
            yield Figure(f"{what}, p{percent}", values, "s", budget, f"of {len(times)}")
    for when, found in memory:
        yield Figure(f"resident at the {when}", found, "MiB", note="up to 256 MiB of it are pictures that are kept")
