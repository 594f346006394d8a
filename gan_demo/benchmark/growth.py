"""How films, memory and the page grow with the snapshots, the tiles, the image's size and the runs.

Measured on runs of random weights: their pictures are noise, whose files are larger than those of real ones.
"""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from gan_demo.benchmark.report import Options, Row, number
from gan_demo.benchmark.server import memory, serving
from gan_demo.recipes import RECIPES

RECIPE = RECIPES["dcgan-mnist"]  # its network is made for any size that four divides
TIMES = 3
WHATS = {"render a film": "ms", "encode its sheet": "ms", "its sheet": "KiB", "memory to play it": "MiB"}
PAGE = {"the page and its list": "KiB", "a run's card": "KiB"}
SNAPSHOTS, TILES, SIZES, RUNS = (16, 32, 64, 128, 256), (4, 16, 64), (28, 32, 64, 128), (1, 10, 50)


@dataclass(frozen=True)
class Growth:
    """One thing at several sizes n of another, and the law `fixed + each * n ** power` that fits."""

    name: str
    points: Sequence[tuple[int, float]]
    unit: str
    power: int = 1

    @property
    def law(self) -> tuple[float, float, float]:
        """Fixed, each, and the largest share by which a value lies beside the law; by least squares of such shares."""
        sizes, values = np.array(self.points, dtype=float).T
        terms = np.stack([np.ones_like(sizes), sizes**self.power], axis=1) / values[:, None]
        fixed, each = np.linalg.lstsq(terms, np.ones_like(sizes), rcond=None)[0]
        return float(fixed), float(each), float(np.abs(terms @ (fixed, each) - 1).max())

    def cells(self) -> tuple[str, str, str]:
        values = ", ".join(f"{size}: {number(value)}" for size, value in self.points)
        fixed, each, off = self.law
        sign, n = "-" if each < 0 else "+", "n²" if self.power == 2 else "n"
        grows = f"{number(fixed)} {sign} {number(abs(each))} {n}, within {off:.0%}"
        return f"{values} {self.unit}", grows, ""

    def facts(self) -> dict[str, Any]:
        fixed, each, off = self.law
        law = {"fixed": fixed, "each": each, "power": self.power, "within": off}
        return {"points": [list(point) for point in self.points], "unit": self.unit, "law": law}


def measure(options: Options) -> Iterator[Row]:
    with get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:  # a process each: memory is measured from nothing
        for by, sizes in (("snapshots", SNAPSHOTS), ("tiles", TILES), ("image size", SIZES)):
            yield from curves(by, sizes, [fresh.apply(film, (by, size)) for size in sizes])
    with tempfile.TemporaryDirectory() as folder:
        yield from curves("runs", RUNS, [app(Path(folder), count) for count in RUNS])


def curves(by: str, sizes: Sequence[int], found: Sequence[Mapping[str, float]]) -> Iterator[Row]:
    for what, unit in (WHATS | PAGE).items():
        if all(what in values for values in found):
            points = [(size, values[what]) for size, values in zip(sizes, found, strict=True)]
            yield Growth(f"{what}, by {by}", points, unit, 2 if by == "image size" else 1)


def film(by: str, size: int) -> dict[str, float]:
    """Play one film's worth, in a process of its own: 16 snapshots of 16 tiles of 28x28 but for what `by` names."""
    import torch

    from gan_demo import film as films
    from gan_demo import open_run
    from gan_demo.benchmark.runs import write_run
    from gan_demo.ui.library import Library

    torch.set_num_threads(1)
    wanted = {"snapshots": 16, "tiles": films.TILES, "image size": 28, by: size}
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder) / "run", replace(RECIPE, image_size=wanted["image size"]), wanted["snapshots"])
        before = memory(os.getpid())
        player = open_run(run)
        rendering, encoding = [], []
        for first in range(TIMES):
            start = time.perf_counter()
            frames = player.film(range(100 * first, 100 * first + wanted["tiles"]))
            rendered = time.perf_counter()
            sheet, _ = films.sheet(frames)
            encoding.append(1000 * (time.perf_counter() - rendered))
            rendering.append(1000 * (rendered - start))
        after = memory(os.getpid())
        card = len(str(Library([str(run)]).card("run")))
    return {
        "render a film": statistics.median(rendering),
        "encode its sheet": statistics.median(encoding),
        "its sheet": len(sheet) / 1024,
        **({"memory to play it": after[0] - before[0]} if after else {}),
        **({"a run's card": card / 1024} if by == "snapshots" else {}),
    }


def app(folder: Path, count: int) -> dict[str, float]:
    """The app with so many runs of 16 snapshots, all of them played. Their snapshots are one file each, linked."""
    from gan_demo.benchmark.runs import write_run

    first = folder / "run-0"
    if not first.exists():
        write_run(first, RECIPE, 16)
    for number_ in range(1, count):
        if not (copy := folder / f"run-{number_}").exists():
            shutil.copytree(first, copy, copy_function=os.link)
            (copy / "config.json").unlink()
            text = (first / "config.json").read_text().replace('"run-0"', f'"run-{number_}"')
            (copy / "config.json").write_text(text)
    with serving("app.py", "--runs", str(folder)) as served:
        served.wait()
        for path in map(served.film_url, served.keys()):
            served.get(f"{path}4242")
        used = served.memory()
        with urlopen(served.url, timeout=60) as answer:
            page = len(answer.read())
    return {
        "the page and its list": page / 1024,
        **({"memory to play it": used[0]} if used else {}),
    }
