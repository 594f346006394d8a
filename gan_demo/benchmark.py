"""How fast it is, measured: `python -m gan_demo.benchmark page [--runs SOURCE] [--json FILE]` prints a table.

A section measures one thing a person waits for. Nothing here passes or fails: the budgets stand beside the figures.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent
Figures = dict[str, tuple[float, str, str]]  # what was measured: (value, unit, budget)
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


def page(runs: str) -> Figures:
    """The page in a real browser: the app's start, scrubbing, and a new seed's film, near and far from the server."""
    from playwright.sync_api import sync_playwright

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    start = time.perf_counter()
    app = subprocess.Popen([sys.executable, "app.py", "--runs", runs, "--port", str(port)], cwd=ROOT)
    try:
        figures: Figures = {}
        answered = _until(lambda: urlopen(url, timeout=60).read(), app)
        figures["start to HTTP 200"] = (answered - start, "s", "2.5")
        figures["HTTP 200 to the first live film"] = (_live_film(url) - answered, "s", "1.0")
        with sync_playwright() as playwright:
            found = os.environ.get("GAN_DEMO_BROWSER") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
            figures |= _in_browser(browser.new_page(viewport={"width": 1280, "height": 720}), url)
            browser.close()
        return figures
    finally:
        app.terminate()
        app.wait(20)


def _until(ask: Callable[[], Any], app: subprocess.Popen) -> float:
    """The moment at which `ask` first succeeds."""
    while True:
        try:
            ask()
            return time.perf_counter()
        except OSError:
            if app.poll() is not None:
                sys.exit(f"benchmark: app.py ended with {app.returncode}")
            time.sleep(0.02)


def _live_film(url: str) -> float:
    """Fetch a film that no run stores; the moment at which it is there."""
    base = f"{url}/gradio_api/film"
    with urlopen(f"{url}/gradio_api/film/runs.json", timeout=60) as answer:
        key = json.load(answer)[0]
    with urlopen(f"{base}/{key}/run.json", timeout=60) as answer:
        revision = json.load(answer)["revision"]
    with urlopen(f"{base}/{key}/{revision}/film.webp?seed=424242", timeout=60) as answer:
        answer.read()
    return time.perf_counter()


def _in_browser(page: Any, url: str) -> Figures:
    figures: Figures = {}
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("#film .film[data-shown]")
    figures["address to film on screen"] = (time.perf_counter() - start, "s", "-")
    page.wait_for_load_state("networkidle")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    for place, latency, budget in (("local", 0, "250"), (f"{ROUND_TRIP} ms away", ROUND_TRIP, "450")):
        conditions = {"offline": False, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1}
        session.send("Network.emulateNetworkConditions", conditions)
        seeds = [page.evaluate(NEW_SEED, 1000 * (latency + 1) + 17 * i) for i in range(SEEDS)]
        scrubs = _drag(page)
        figures[f"new seed to film on screen, p50, {place}"] = (statistics.median(seeds), "ms", budget)
        figures[f"scrub to painted, p50, {place}"] = (statistics.median(scrubs), "ms", "-")
        figures[f"scrub to painted, p95, {place}"] = (scrubs[int(0.95 * len(scrubs))], "ms", "16.7")
        figures[f"pictures while dragging, {place}"] = (page.evaluate(DRAG, 2000), "/s", "60")
    return figures


def _drag(page: Any) -> list[float]:
    """Drag the scrub bar's thumb with the mouse; milliseconds from event to painted, ascending."""
    box = page.locator("#film .scrub").bounding_box()
    y = box["y"] + box["height"] / 2
    page.evaluate(WATCH_SCRUBS)
    page.mouse.move(box["x"] + 15, y)
    page.mouse.down()
    for i in range(SCRUBS):
        page.mouse.move(box["x"] + 15 + (i * 97) % (box["width"] - 30), y)
        page.wait_for_timeout(25)
    page.mouse.up()
    return sorted(page.evaluate("window.scrubs"))


SECTIONS: dict[str, Callable[[str], Figures]] = {"page": page}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a person waits for.")
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("--runs", default=str(ROOT / "checkpoints"), help="the runs to measure with")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    figures = SECTIONS[options.section](options.runs)
    width = max(map(len, figures))
    print(f"{'':{width}}  measured   budget")
    for name, (value, unit, budget) in figures.items():
        print(f"{name:{width}}  {value:8.{2 if unit == 's' else 1}f} {unit:2} {budget:>6}")
    if options.json:
        facts = {
            name: {"value": value, "unit": unit, "budget": budget} for name, (value, unit, budget) in figures.items()
        }
        options.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
