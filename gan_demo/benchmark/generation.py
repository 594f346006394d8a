"""How close a film comes to the machine's peak, and how many threads hold under load."""

import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

from gan_demo.benchmark.report import Figure, Options, Row
from gan_demo.benchmark.server import run_folders

CORES = os.cpu_count() or 1
FILMS, VISITORS, SIDE = 5, 8, 2048  # how many alone and at once; of the matrices whose product is the peak


def measure(options: Options) -> Iterator[Row]:
    for folder in run_folders(options.runs):
        for threads in sorted({1, CORES}):
            with get_context("spawn").Pool(1) as fresh:  # torch fixes its threads when it first works
                products, alone, together, peak = fresh.apply(play, (str(folder), threads))
            name = f"{folder.name}, {threads} torch thread{'s' * (threads > 1)}"
            speeds = [2 * products / seconds / 1e9 for seconds in alone]
            best = statistics.median(peak)
            yield Figure(
                f"{name}: a film alone", [1000 * s for s in alone], "ms", note=f"{2 * products / 1e9:.1f} GFLOP"
            )
            yield Figure(f"{name}: a film, {VISITORS} at once", [1000 * together / VISITORS], "ms", note="mean share")
            yield Figure(f"{name}: arithmetic", speeds, "GFLOP/s", note=f"the cores' fp32 peak is {best:.0f}")
            yield Figure(f"{name}: of the peak", [100 * speed / best for speed in speeds], "%")


def play(folder: str, threads: int) -> tuple[int, list[float], float, list[float]]:
    """Products of a film, seconds of films alone, seconds of several at once, and the machine's peak."""
    import torch

    from gan_demo import film as films
    from gan_demo import open_run
    from gan_demo.networks import build_generator, cost

    torch.set_num_threads(threads)
    player = open_run(folder)
    with torch.device("meta"):
        generator = build_generator(player.config.as_recipe(), len(player.classes or ())).eval()
        latent = torch.empty(1, player.config.latent_size)
    products = cost(generator, latent, len(player.classes or ())).products * films.TILES * len(player.steps)

    def seconds(first: int) -> float:
        start = time.perf_counter()
        player.film(range(first, first + films.TILES))
        return time.perf_counter() - start

    seconds(0)  # reads the snapshots
    alone = [seconds(100 * at) for at in range(FILMS)]
    start = time.perf_counter()
    with ThreadPoolExecutor(VISITORS) as pool:
        list(pool.map(seconds, range(1000, 1000 + VISITORS)))
    together = time.perf_counter() - start
    return products, alone, together, peak()


def peak() -> list[float]:
    """GFLOP/s of float32 matrix products on all cores together, one thread each: what nothing here can exceed."""
    import torch

    a, b = (torch.randn(SIDE, SIDE) for _ in range(2))

    def multiply(_: int) -> None:
        torch.mm(a, b)

    torch.set_num_threads(1)
    speeds = []
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(multiply, range(CORES)))
        for _ in range(3):
            start = time.perf_counter()
            list(pool.map(multiply, range(4 * CORES)))
            speeds.append(4 * CORES * 2 * SIDE**3 / (time.perf_counter() - start) / 1e9)
    return speeds
