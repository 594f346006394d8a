"""fp32 or bf16: whichever trains faster on this machine, measured and not guessed."""

import gc
import time

import torch

from gan_demo.capture import WARM_UP
from gan_demo.devices import has_bf16
from gan_demo.gan import GAN
from gan_demo.losses import Batch
from gan_demo.parallel import World
from gan_demo.recipe import Recipe

ROUNDS = 3
CPU_BATCH = 64  # at the most: a large recipe's whole batch would take minutes
GAIN = 1.1  # bf16 rounds more coarsely: it has to be worth it


def choose(name: str, device: torch.device, recipe: Recipe, classes: int) -> str:
    """The precision to train in: `name` itself, or for "auto" the faster of fp32 and bf16.

    The run's config.json records the choice, so a resumed run keeps it. Several processes take the first one's.
    """
    if name != "auto":
        return name
    if not has_bf16(device):
        return "fp32"
    seconds = _step_seconds(device, recipe, classes)
    chosen = "bf16" if seconds["fp32"] >= GAIN * seconds["bf16"] else "fp32"
    return World(device).gather(chosen)[0]


def _step_seconds(device: torch.device, recipe: Recipe, classes: int) -> dict[str, float]:
    """Seconds of the fastest step in each precision, taken in turn, on a process's share of a batch of noise."""
    world = World(device)
    world.check_batch(recipe.batch_size)
    count = recipe.batch_size // world.size
    count = min(count, CPU_BATCH) if device.type == "cpu" else count
    gans = {name: GAN(recipe, classes, world, device, name) for name in ("fp32", "bf16")}
    shape = (count, recipe.channels, recipe.image_size, recipe.image_size)
    images = torch.randint(256, shape, dtype=torch.uint8, device=device)
    batch: Batch = images, torch.zeros(count, dtype=torch.int64, device=device)
    seconds: dict[str, list[float]] = {name: [] for name in gans}
    warm_up = WARM_UP + 1 if device.type == "cuda" else 1
    for _ in range(warm_up + ROUNDS):
        for name, gan in gans.items():
            start = time.perf_counter()
            terms = gan.step([batch] * recipe.discriminator_steps)
            float(terms["g"].detach())  # waits for the device
            seconds[name].append(time.perf_counter() - start)
    del gan, terms
    gans.clear()
    gc.collect()  # a GAN refers to itself: without this its memory would still be taken when the training starts
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return {name: min(times[warm_up:]) for name, times in seconds.items()}
