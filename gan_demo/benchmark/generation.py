"""How close a film comes to the machine's peak, and how many threads hold under load."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from gan_demo.benchmark.report import Figure, Options, Row
from gan_demo.benchmark.runs import one_of_each_shape
from gan_demo.machine import cores

CORES = cores()
FILMS, VISITORS, SIDE = 5, 8, 2048  # how many alone and at once; of the matrices whose product is the peak


class Played(NamedTuple):
    """What one process measured."""

    gigaflop: float  # of a film
    alone: list[float]  # seconds of films, one after the other
    together: float  # seconds of VISITORS films at once
    peaks: list[float]  # GFLOP/s of a large matrix product, each measured right after a film
    kind: str  # of number that most of the film is computed in


def measure(options: Options) -> Iterator[Row]:
    for folder in one_of_each_shape(options.runs):
        for threads in sorted({1, CORES}):
            with get_context("spawn").Pool(1) as fresh:  # torch fixes its threads when it first works
                told = Played(*fresh.apply(play, (str(folder), threads)))
            name = f"{folder.name}, {threads} torch thread{'s' * (threads > 1)}"
            speeds = [told.gigaflop / seconds for seconds in told.alone]
            parts = [100 * speed / peak for speed, peak in zip(speeds, told.peaks, strict=True)]
            share = 1000 * told.together / VISITORS
            yield Figure(f"{name}: a film", [1000 * seconds for seconds in told.alone], "ms")
            yield Figure(f"{name}: {VISITORS} films at once, each", [share], "ms", note="all of them by their number")
            yield Figure(f"{name}: arithmetic", speeds, "GFLOP/s", note=f"{told.gigaflop:.1f} GFLOP a film")
            yield Figure(f"{name}: of the {CORES} cores' peak in {told.kind}", parts, "%")


def play(folder: str, threads: int) -> tuple[float, list[float], float, list[float], str]:
    """Play a run's films with so many torch threads, in a process of its own: the fields of Played."""
    import torch

    from gan_demo import film, inference, open_run
    from gan_demo.cost import cost, generator_of

    torch.set_num_threads(threads)
    player = open_run(folder)
    recipe, classes = player.config.as_recipe(), len(player.classes or ())
    latent = torch.empty(1, recipe.latent_size, device="meta")
    found = cost(generator_of(recipe, classes, folder), latent, classes)
    gigaflop = 2 * found.products * film.TILES * len(player.steps) / 1e9
    kind = torch.bfloat16 if inference.BF16 and recipe.network != "mlp" else torch.float32

    def seconds(first: int) -> float:
        start = time.perf_counter()
        player.film(range(first, first + film.TILES))
        return time.perf_counter() - start

    seconds(0)  # reads the snapshots
    a, b = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
    alone, peaks = [], []
    with ThreadPoolExecutor(CORES) as cores, ThreadPoolExecutor(VISITORS) as visitors:
        for at in range(FILMS):
            alone.append(seconds(100 * at))
            start = time.perf_counter()
            list(cores.map(lambda _: torch.mm(a, b), range(2 * CORES)))
            peaks.append(2 * CORES * 2 * SIDE**3 / (time.perf_counter() - start) / 1e9)
        start = time.perf_counter()
        list(visitors.map(seconds, range(1000, 1000 + VISITORS)))
        together = time.perf_counter() - start
    return gigaflop, alone, together, peaks, str(kind).removeprefix("torch.")
