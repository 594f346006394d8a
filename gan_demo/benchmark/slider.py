"""`gr.Slider` to `gr.Image` against the film: in a browser near and far, and with twenty visitors at once."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gan_demo.benchmark.distance import far
from gan_demo.benchmark.report import Figure, Options, Row, percentile
from gan_demo.benchmark.server import Server, serving, visiting
from gan_demo.run import folders

MOVES, ROUND_TRIP, VISITORS, FILMS = 15, 80, 20, 2  # how often; milliseconds; each of how many asks for how many

# The two pages, each with what moves its step and what tells that the step is on the screen.
FILM = """
  window.range = () => document.querySelector("#film .scrub");
  window.arrived = (move) => move();
"""
PLAIN = """
  window.range = () => document.querySelector("#step input[type=range]");
  window.arrived = (move) => new Promise((done) => {
    new MutationObserver((_, observer) => {
      const image = document.querySelector("#image img");
      if (!image || image.src === window.shown) return;
      observer.disconnect();
      window.shown = image.src;
      image.decode().then(done, done);
    }).observe(document.querySelector("#image"), { subtree: true, childList: true, attributeFilter: ["src"] });
    move();
  });
"""
MOVE = """async (value) => {
  const start = performance.now();
  await window.arrived(() => {
    window.range().value = value;
    window.range().dispatchEvent(new Event("input", { bubbles: true }));
  });
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - start;
}"""

# A drag of two seconds in which each move waits for the picture of the one before: pictures a second.
DRAG = f"""async (last) => {{
  const move = {MOVE}, start = performance.now();
  let pictures = 0;
  while (performance.now() - start < 2000) await move(1 + (pictures++ % last));
  return (1000 * pictures) / (performance.now() - start);
}}"""


def measure(options: Options) -> Iterator[Row]:
    run = folders(options.runs)[0]
    with (
        serving("app.py", "--runs", str(run)) as app,
        serving("-m", "gan_demo.benchmark.plain_slider", "--runs", str(run)) as plain,
        visiting() as page,
    ):
        app.wait()
        plain.wait()
        ask = films(app)
        ask(1)  # torch is there
        for place, latency in (("local", 0), (f"{ROUND_TRIP} ms away", ROUND_TRIP)):
            slow = moves(page, plain.url, latency, PLAIN)
            fast = moves(page, app.url, latency, FILM)
            yield Figure(f"gr.Slider to gr.Image, event to painted, {place}", slow[0], "ms")
            yield Figure(f"film, event to painted, {place}", fast[0], "ms", "16.7 ms")
            yield Figure(f"gr.Slider to gr.Image, pictures while dragging, {place}", [slow[1]], "/s")
            yield Figure(f"film, pictures while dragging, {place}", [fast[1]], "/s", "60 /s")
        yield from crowd("one picture by gr.Slider", pictures(plain), "")
        yield from crowd("a new film", ask, "2 s")


def moves(page: Any, url: str, latency: int, watch: str) -> tuple[list[float], float]:
    """Milliseconds from each move of the slider to its picture on the screen, and pictures a second in a drag."""
    with far(url, latency) as address:
        page.goto(address)
        page.wait_for_selector("#film .film[data-shown], #step input[type=range]")
        page.wait_for_load_state("networkidle")
        page.evaluate(f"() => {{ {watch} }}")
        last = int(page.evaluate("window.range().max"))
        page.evaluate(MOVE, last)  # the first one sets things up
        times = [page.evaluate(MOVE, i % last) for i in range(MOVES)]
        return times, page.evaluate(DRAG, last)


def films(app: Server) -> Callable[[int], Any]:
    """Ask for the film of a seed."""
    url = app.film_url(app.keys()[0])
    return lambda seed: app.get(f"{url}{10_000 + 16 * seed}")


def pictures(plain: Server) -> Callable[[int], Any]:
    """Ask for the picture of a step and a seed, as the page's own script does."""
    from gradio_client import Client

    client = Client(plain.url, verbose=False)
    return lambda seed: client.predict(1, seed, api_name="/show")


def crowd(name: str, ask: Callable[[int], Any], budget: str) -> Iterator[Row]:
    """One visitor who asks again and again, then many at once."""

    def visit(seeds: range) -> list[float | None]:
        return [seconds(ask, seed) for seed in seeds]

    alone = [taken for taken in visit(range(MOVES)) if taken is not None]
    with ThreadPoolExecutor(VISITORS) as pool:
        rounds = [range(100 + at * FILMS, 100 + (at + 1) * FILMS) for at in range(VISITORS)]
        answers = [taken for times in pool.map(visit, rounds) for taken in times]
    together = [taken for taken in answers if taken is not None]
    failed = len(answers) - len(together)
    yield Figure(f"{name}, one visitor", alone, "s")
    yield Figure(f"{name}, {VISITORS} visitors at once", together, "s", note=f"{failed} failed")
    yield Figure(f"{name}, {VISITORS} visitors at once, p95", [percentile(together, 95)], "s", budget)


def seconds(ask: Callable[[int], Any], seed: int) -> float | None:
    """How long the answer took; None where none came."""
    start = time.perf_counter()
    try:
        ask(seed)
    except Exception:  # a failure is counted, whatever it is
        return None
    return time.perf_counter() - start
