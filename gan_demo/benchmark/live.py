"""A training on the page: from the button to recognisable digits, and what another visitor notices of it."""

import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from gan_demo.benchmark.report import Figure, Options, Row
from gan_demo.benchmark.server import Server, serving, visiting
from gan_demo.live import LIMIT_SECONDS
from gan_demo.run import Run

RECIPE, SAMPLES = "dcgan-mnist", 500
SHARE, CONFIDENCE = 0.8, 0.9  # recognisable: so many are put into a class with so much confidence
FILMS = 10


def measure(options: Options) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as out:
        seeds = count(10_000)
        with serving("app.py", "--runs", options.runs, "--out", out) as app, visiting() as page:
            app.wait()
            key = app.keys()[0]
            idle = films(app, key, seeds)
            page.goto(f"{app.url}/?tab=live")
            page.locator(".live .recipe").select_option(RECIPE)
            pressed = time.time()
            page.locator(".live .start").click()
            page.wait_for_selector(".live[data-shown]", timeout=LIMIT_SECONDS * 1000)
            yield Figure(f"{RECIPE}: the button to the first picture", [time.time() - pressed], "s")
            busy = films(app, key, seeds)
            page.wait_for_selector(".live:is([data-phase=done], [data-phase=stopped])", timeout=2000 * LIMIT_SECONDS)
        yield from digits(Run(Path(out) / f"live-{RECIPE}"), pressed)
    yield Figure("a new film, nobody training", idle, "ms")
    yield Figure("a new film while somebody trains", busy, "ms")


def films(app: Server, key: str, seeds: Iterator[int]) -> list[float]:
    """Milliseconds that films of new seeds take; the first waits for torch and is left out."""
    times = []
    for _ in range(FILMS + 1):
        start = time.perf_counter()
        app.get(f"{app.film_url(key)}{next(seeds)}")
        times.append(1000 * (time.perf_counter() - start))
    return times[1:]


def digits(run: Run, pressed: float) -> Iterator[Row]:
    """When the first snapshot with recognisable digits was written, and at which step."""
    speeds = [row["images_per_second"] for row in run.read_history()]
    found = first_recognisable(run)
    note = f"{SHARE:.0%} of {SAMPLES} put into a class with confidence above {CONFIDENCE}"
    if found is None:
        yield Figure("the button to recognisable digits", [], "s", "60 s", f"not before step {run.steps[-1]:,}: {note}")
    else:
        file = next(one.file for one in run.snapshots if one.step == found)
        written = (run.path / "snapshots" / file).stat().st_mtime
        yield Figure("the button to recognisable digits", [written - pressed], "s", "60 s", note)
        yield Figure("steps until then", [found], "steps")
    yield Figure("speed of that training", speeds, "images/s")


def first_recognisable(run: Run) -> int | None:
    """The first snapshot most of whose pictures the judge of MNIST is sure of."""
    from gan_demo.judge import Judge
    from gan_demo.player import Player

    judge, player = Judge("mnist"), Player(run)
    for step in run.steps:
        _, probabilities = judge.look(player.generate(range(SAMPLES), step=step))
        if (probabilities.max(1) > CONFIDENCE).mean() >= SHARE:
            return step
    return None
