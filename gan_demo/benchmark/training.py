"""A recipe's training step beside the loop that tutorials publish: the same networks, losses and batches, in turn."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from gan_demo import training
from gan_demo.benchmark.report import Figure, Options, Row
from gan_demo.capture import WARM_UP
from gan_demo.datasets import DATASETS
from gan_demo.devices import choose_device
from gan_demo.networks import Dropout, build
from gan_demo.pictures import Images
from gan_demo.points import SHAPES
from gan_demo.precision import choose
from gan_demo.recipe import Range, Recipe
from gan_demo.recipes import RECIPES

PAIRS = 6  # blocks of each loop, in turn
BLOCK = 0.3  # seconds of the plain loop
IMAGES = 2048  # noise: what is on a picture decides no speed; on a GPU an epoch of it would be too short
IMAGES_ON_GPU = 20_000
LARGE = (  # what the budgets for one H200 name
    (replace(RECIPES["dcgan-anime"], generator_widths=(512, 256, 128, 64), discriminator_widths=(64, 128, 256, 512),
             batch_size=128), "77,000 images/s"),
    (replace(RECIPES["mlp-mnist"], batch_size=128), "500,000 images/s"),
)  # fmt: skip


def measure(options: Options) -> Iterator[Row]:
    for recipe in RECIPES.values():
        if recipe.loss == "bce" and recipe.dataset not in SHAPES:  # neither the modern nor the toys
            yield from compare(recipe, torch.device("cpu"), "", "1x" if recipe.network == "mlp" else "1.8x")
    for recipe, budget in LARGE:
        if torch.cuda.is_available():
            yield from compare(recipe, choose_device("cuda"), budget, "5x")
        else:
            yield Figure(f"{recipe.name} on CUDA, batch 128", [], "images/s", budget, "there is no GPU here")


def compare(recipe: Recipe, device: torch.device, budget: str, ratio: str) -> list[Row]:
    """Images a second of both loops, and by how much the project's is the faster one, pair by pair."""
    images = _noise(recipe, IMAGES_ON_GPU if device.type == "cuda" else IMAGES)
    classes = len(images.classes) if recipe.conditional else 0
    precision = choose("auto", device, recipe, classes)
    with tempfile.TemporaryDirectory() as folder:
        settings = training.Options(Path(folder) / "run", length=10**9, device=device, precision=precision)
        ours = training.Trainer(recipe, images, settings).train_step
        plain = Plain(recipe, images, classes, device).step
        for step in (ours, plain):  # both warm up; ours is captured in the step after
            _seconds(step, WARM_UP + 1, device)
        count = max(2, round(3 * BLOCK / _seconds(plain, 3, device)))
        pairs = [(_seconds(plain, count, device), _seconds(ours, count, device)) for _ in range(PAIRS)]
    name = f"{recipe.name} on {device.type.upper()}"
    batch = count * recipe.batch_size
    return [
        Figure(f"{name}: plain loop", [batch / slow for slow, _ in pairs], "images/s"),
        Figure(f"{name}: here ({precision})", [batch / fast for _, fast in pairs], "images/s", budget),
        Figure(f"{name}: here / plain", [slow / fast for slow, fast in pairs], "x", ratio),
    ]


def _noise(recipe: Recipe, count: int) -> Images:
    shape = (count, recipe.channels, recipe.image_size, recipe.image_size)
    random = np.random.default_rng(0)
    names = list(DATASETS[recipe.dataset].classes)
    labels = random.integers(len(names) or 1, size=count)
    return Images(random.integers(256, size=shape, dtype=np.uint8), labels, names, recipe.dataset)


def _seconds(step: Callable[[], None], count: int, device: torch.device) -> float:
    """Seconds of so many steps: by events on a GPU, which works behind our back, and by the clock on a CPU."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(count):
            step()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000
    began = time.perf_counter()
    for _ in range(count):
        step()
    return time.perf_counter() - began


# ---------------------------------------------------------------- the plain way


class Plain:
    """The loop of pytorch/examples' DCGAN and of PyTorch-GAN: a DataLoader over pictures that are transformed one by
    one, float32, Adam as it comes, and fakes that both updates share."""

    def __init__(self, recipe: Recipe, images: Images, classes: int, device: torch.device):
        self.recipe, self.device, self.classes = recipe, device, classes
        self.generator, self.discriminator = (_published(network).to(device) for network in build(recipe, classes))
        self.generator_adam, self.discriminator_adam = (
            torch.optim.Adam(network.parameters(), lr=rate, betas=recipe.betas)
            for network, rate in zip((self.generator, self.discriminator), recipe.learning_rates, strict=True)
        )
        self.loader = torch.utils.data.DataLoader(
            Pictures(images),
            batch_size=recipe.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=2 if device.type == "cuda" else 0,
            persistent_workers=device.type == "cuda",
        )
        self.batches = self._endless()

    def _endless(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from self.loader

    def step(self) -> None:
        recipe, count = self.recipe, self.recipe.batch_size
        real, labels = (part.to(self.device) for part in next(self.batches))
        z = torch.randn(count, recipe.latent_size, device=self.device)
        fake_labels = torch.randint(self.classes or 1, (count,), device=self.device)
        fake = self.generator(z, self._one_hot(fake_labels))

        self.discriminator_adam.zero_grad()
        on_real = self.discriminator(real, self._one_hot(labels))
        on_fake = self.discriminator(fake.detach(), self._one_hot(fake_labels))
        d_real, d_fake = self._bce(on_real.source, recipe.real_labels), self._bce(on_fake.source, recipe.fake_labels)
        d_loss = recipe.adversarial_weight * (d_real + d_fake)
        if recipe.class_weight:
            d_loss = d_loss + F.cross_entropy(on_real.classes, labels) + F.cross_entropy(on_fake.classes, fake_labels)
        d_loss.backward()
        self.discriminator_adam.step()

        self.generator_adam.zero_grad()
        on_fake = self.discriminator(fake, self._one_hot(fake_labels))
        g_loss = self._bce(on_fake.source, recipe.generator_labels)
        if recipe.class_weight:
            g_loss = g_loss + F.cross_entropy(on_fake.classes, fake_labels)
        g_loss.backward()
        self.generator_adam.step()
        self.printed = d_loss.item(), g_loss.item()  # as all of them do, every step

    def _one_hot(self, labels: torch.Tensor) -> torch.Tensor | None:
        return F.one_hot(labels, self.classes).float() if self.classes else None

    def _bce(self, logits: torch.Tensor, bounds: Range) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(logits, torch.empty_like(logits).uniform_(*bounds))


class Pictures(torch.utils.data.Dataset):
    """As torchvision's data sets: a Pillow image for each item, then ToTensor and Normalize."""

    def __init__(self, images: Images):
        from torchvision import transforms

        half = (0.5,) * images.pixels.shape[1]
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(half, half)])
        self.pixels, self.labels = images.pixels.transpose(0, 2, 3, 1), np.asarray(images.labels)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[at].squeeze())), int(self.labels[at])


def _published(network: nn.Module) -> nn.Module:
    """The same network with torch's own dropout."""
    for module in network.modules():
        for name, part in module.named_children():
            if isinstance(part, Dropout):
                setattr(module, name, nn.Dropout(part.p))
    return network
