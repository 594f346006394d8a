"""Browser sessions that come, look through the tabs and go, one after the other: what the app keeps of them."""

import os
import time
from collections.abc import Iterator
from typing import Any

from gan_demo.benchmark.report import Figure, Options, Row
from gan_demo.benchmark.server import Server, serving, visiting

WARM = 10  # sessions after which caches and threads are there
LOOKED_AT = {
    "Generate": ".generate[data-shown]",
    "Walk": "#walk-film .film[data-shown]",
    "Replay": "#film .film[data-shown]",
}


def measure(options: Options) -> Iterator[Row]:
    with serving("app.py", "--runs", options.runs) as app, visiting() as page:
        app.wait()
        browser, keys = page.context.browser, app.keys()
        held: list[dict[str, float]] = []
        end = time.monotonic() + 60 * options.minutes
        while time.monotonic() < end or len(held) <= WARM:
            visit(browser, f"{app.url}/?model={keys[len(held) % len(keys)]}&seed={len(held)}")
            held.append(holds(app))
    yield Figure("browser sessions opened and closed", [len(held)], "")
    for what, unit in (("resident", "MiB"), ("open files and connections", ""), ("threads", "")):
        for when, index in ((f"after {WARM} sessions", WARM - 1), ("half-way", len(held) // 2), ("at the end", -1)):
            found = [held[index][what]] if what in held[index] else []
            yield Figure(f"{what} {when}", found, unit, note="" if found else "there is no /proc here")


def visit(browser: Any, address: str) -> None:
    """Open the page in a window of its own, look at the tabs, and close it."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(LOOKED_AT["Replay"], timeout=60_000)
    for tab, filled in LOOKED_AT.items():
        page.get_by_role("tab", name=tab).click()
        page.wait_for_selector(filled, timeout=60_000)
    context.close()


def holds(app: Server) -> dict[str, float]:
    """What the app's process has now."""
    process = f"/proc/{app.process.pid}"
    if not os.path.isdir(process):
        return {}
    counts = {"open files and connections": "fd", "threads": "task"}
    return {"resident": app.memory()[0], **{what: len(os.listdir(f"{process}/{of}")) for what, of in counts.items()}}
