"""The film in a real browser: scrubbing, dragging, and a new seed, near and far from the server."""

import time
from collections.abc import Iterator
from typing import Any

from gan_demo.benchmark.distance import far
from gan_demo.benchmark.report import Figure, Options, Row, percentile
from gan_demo.benchmark.server import serving, visiting

SCRUBS, SEEDS, ROUND_TRIP = 120, 15, 80  # how often each is measured; milliseconds

# From each of the mouse's input events to the moment when the frame that shows it has gone to the screen.
WATCH_SCRUBS = """() => {
  window.scrubs = [];
  document.querySelector("#film .scrub").addEventListener("input", (event) => {
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.scrubs.push(performance.now() - event.timeStamp);
      channel.port2.postMessage(0);
    });
  });
}"""

# A drag of two seconds: how many frames a second showed another picture.
DRAG = """async (length) => {
  const range = document.querySelector("#film .scrub");
  let frames = 0;
  const start = performance.now();
  while (performance.now() - start < length) {
    range.value = (Number(range.value) + 1) % (Number(range.max) + 1);
    range.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    frames++;
  }
  return (1000 * frames) / (performance.now() - start);
}"""

# A seed typed into the field, and the time until its film is on the screen.
NEW_SEED = """(seed) => new Promise((done) => {
  const film = document.querySelector("#film .film"), field = document.querySelector("#seed input");
  const start = performance.now();
  new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
  }).observe(film, { attributeFilter: ["data-shown"] });
  field.value = seed;
  field.dispatchEvent(new Event("input", { bubbles: true }));
})"""


def measure(options: Options) -> Iterator[Row]:
    with serving("app.py", "--runs", options.runs) as app, visiting() as page:
        app.wait()
        app.get(app.film_url(app.keys()[0]) + "424242")  # torch is there
        for place, latency, budget in (("local", 0, "250 ms"), (f"{ROUND_TRIP} ms away", ROUND_TRIP, "450 ms")):
            with far(app.url, latency) as address:
                start = time.perf_counter()
                page.goto(address)
                page.wait_for_selector("#film .film[data-shown]")
                yield Figure(f"address to film on screen, {place}", [time.perf_counter() - start], "s")
                page.wait_for_load_state("networkidle")
                seeds = [page.evaluate(NEW_SEED, 1000 * (latency + 1) + 17 * i) for i in range(SEEDS)]
                scrubs = drag(page)
                frames = page.evaluate(DRAG, 2000)
            yield Figure(f"new seed to film on screen, {place}", seeds, "ms", budget)
            yield Figure(f"scrub to painted, {place}", scrubs, "ms")
            yield Figure(f"scrub to painted, p95, {place}", [percentile(scrubs, 95)], "ms", "16.7 ms")
            yield Figure(f"pictures while dragging, {place}", [frames], "/s", "60 /s")


def drag(page: Any) -> list[float]:
    """Drag the scrub bar's thumb with the mouse; milliseconds from event to painted."""
    box = page.locator("#film .scrub").bounding_box()
    y = box["y"] + box["height"] / 2
    page.evaluate(WATCH_SCRUBS)
    page.mouse.move(box["x"] + 15, y)
    page.mouse.down()
    for i in range(SCRUBS):
        page.mouse.move(box["x"] + 15 + (i * 97) % (box["width"] - 30), y)
        page.wait_for_timeout(25)
    page.mouse.up()
    return list(page.evaluate("window.scrubs"))
