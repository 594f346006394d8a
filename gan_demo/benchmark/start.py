"""From `python app.py` to the page, to the stored film on the screen, and to the first film of a new seed."""

import os
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gan_demo.benchmark.report import Figure, Options, Row
from gan_demo.benchmark.server import ROOT, serving, visiting

STARTS = 3


def measure(options: Options) -> Iterator[Row]:
    with visiting() as page:
        begin(page, options.runs)  # whatever was not in the page cache is now
        warm = [begin(page, options.runs) for _ in range(STARTS)]
        kept = "as far as no other process held them" if forget(Path(options.runs)) else "not possible here"
        cold = [begin(page, options.runs)]
    for how, starts, note, budgets in (
        ("warm", warm, "", ("2.5 s", "1 s", "")),
        ("cold", cold, f"files dropped from the page cache, {kept}", ("", "", "")),
    ):
        whats = ("app.py to HTTP 200", "HTTP 200 to the stored film on the screen", "HTTP 200 to a new seed's film")
        for what, times, budget in zip(whats, zip(*starts, strict=True), budgets, strict=True):
            yield Figure(f"{what}, {how}", times, "s", budget, note)


def begin(page: Any, runs: str) -> tuple[float, float, float]:
    """Start the app once; seconds to HTTP 200, from there to the stored film on the screen and to a live film."""
    with serving("app.py", "--runs", runs) as app:
        answered = app.wait()
        page.goto(app.url)
        page.wait_for_selector("#film .film[data-shown]")
        shown = time.perf_counter()
        app.get(app.film_url(app.keys()[0]) + "424242")
        made = time.perf_counter()
        page.goto("about:blank")
    return answered - app.started, shown - answered, made - answered


def forget(runs: Path) -> bool:
    """Drop the program's, the libraries' and the runs' files from the page cache, where the system lets us."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for folder in (Path(sysconfig.get_paths()["purelib"]), ROOT / "gan_demo", runs):
        for path in folder.rglob("*"):
            if path.is_file():
                file = os.open(path, os.O_RDONLY)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(file)
    return True
