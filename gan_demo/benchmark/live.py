"""A training on the page: from the button to recognisable digits, and what another visitor notices of it."""

import json
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gan_demo.benchmark.report import Figure, Options, Row
from gan_demo.benchmark.server import Server, serving, visiting
from gan_demo.live import LIMIT_SECONDS
from gan_demo.run import Run

if TYPE_CHECKING:
    from playwright.sync_api import Page

UNLABELLED = "dcgan-mnist/slim"
ENDED = ".live:is([data-phase=done], [data-phase=stopped])"
SAMPLES = 500
SHARE, CONFIDENCES = 0.8, (0.9, 0.5)  # recognisable: so many are put into a class with so much confidence
CLASSES = 8  # of ten that must be seen: the judge takes all noise for the same digit, and is sure of it
SMOOTHING = 0.1  # of the labels that the judge was trained with
FILMS = 10


def measure(options: Options) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as out:
        seeds = count(10_000)
        with serving("app.py", "--runs", options.runs, "--out", out) as app, visiting() as page:
            app.wait()
            key = app.keys()[0]
            idle = films(app, key, seeds)
            page.goto(f"{app.url}/?tab=live")
            recipe = page.locator(".live .recipe")
            offered = recipe.input_value()  # what the page offers first
            busy: list[float] = []
            for name in (offered, UNLABELLED):
                recipe.select_option(name)
                shown, pressed = start(page)
                folder = name.replace("/", "-")
                yield Figure(f"{folder}: the button to the first picture", [shown - pressed], "s")
                busy = busy or films(app, key, seeds)
                page.wait_for_selector(ENDED, timeout=2000 * LIMIT_SECONDS)
                yield from digits(Run(Path(out) / f"live-{folder}"), folder, pressed)
    yield Figure("a new film, nobody training", idle, "ms")
    yield Figure("a new film while somebody trains", busy, "ms")


def start(page: "Page") -> tuple[float, float]:
    """Press the button; returns when the first picture of this training was there, and when the button was pressed."""
    before = page.locator(".live").get_attribute("data-shown")
    pressed = time.time()
    page.locator(".live .start").click()
    fresh = f".live[data-shown]:not([data-shown={json.dumps(before or '')}])"
    page.wait_for_selector(fresh, timeout=LIMIT_SECONDS * 1000)
    return time.time(), pressed


def films(app: Server, key: str, seeds: Iterator[int]) -> list[float]:
    """Milliseconds that films of new seeds take; the first waits for torch and is left out."""
    times = []
    for _ in range(FILMS + 1):
        start = time.perf_counter()
        app.get(f"{app.film_url(key)}{next(seeds)}")
        times.append(1000 * (time.perf_counter() - start))
    return times[1:]


def digits(run: Run, label: str, pressed: float) -> Iterator[Row]:
    """When the first snapshot with recognisable digits was written, for each of CONFIDENCES."""
    sure = {step: certainty(run, step) for step in run.steps}
    for confidence in CONFIDENCES:
        name = f"{label}: the button to digits, {SHARE:.0%} of {SAMPLES} at confidence {confidence}"
        shares = {step: float((found > confidence).mean()) for step, found in sure.items() if found is not None}
        reached = next((step for step, share in shares.items() if share >= SHARE), None)
        if reached is None:
            best = f"{max(shares.values(), default=0):.0%} at the most in {run.steps[-1]:,} steps"
            yield Figure(name, [], "s", "60 s", best)
            continue
        file = next(one.file for one in run.snapshots if one.step == reached)
        written = (run.path / "snapshots" / file).stat().st_mtime
        yield Figure(name, [written - pressed], "s", "60 s", f"step {reached:,}")
    yield Figure(
        f"{label}: speed of that training", [row["images_per_second"] for row in run.read_history()], "images/s"
    )


def certainty(run: Run, step: int) -> np.ndarray | None:
    """How sure the judge of MNIST is of each sample of a snapshot, (SAMPLES,); None where it sees one or a few digits
    alone, as it does in noise.

    It was trained on labels smoothed to 0.91, so that of real digits too it says no more: that is taken out again.
    """
    from gan_demo.judge import Judge
    from gan_demo.player import Player

    _, probabilities = Judge("mnist").look(Player(run).generate(range(SAMPLES), step=step))
    seen = np.bincount(probabilities.argmax(1), minlength=10) / SAMPLES
    if (seen >= 0.01).sum() < CLASSES:
        return None
    return (probabilities.max(1) - SMOOTHING / 10) / (1 - SMOOTHING)
