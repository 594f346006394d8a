"""Residual networks without normalisation, as small ones, after R3GAN (arXiv:2501.05441, section 4)."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gan_demo.errors import GanDemoError
from gan_demo.networks import Verdict, doublings
from gan_demo.recipes import Recipe

BLOCKS = 2  # residual blocks at each size
EXPANSION = 2  # of a block's inner width: inverted bottleneck
GROUP = 16  # channels a group of the inner convolution
GAIN = math.sqrt(2 / (1 + 0.2**2))  # keeps the variance through a leaky ReLU of slope 0.2 (arXiv:1502.01852)


class Block(nn.Module):
    """x + 1x1 convolution of grouped 3x3 convolution of 1x1 convolution."""

    def __init__(self, width: int):
        super().__init__()
        inner = EXPANSION * width
        if inner % GROUP:
            raise GanDemoError(f"a width of {width} cannot be grouped: choose multiples of {GROUP // EXPANSION}")
        self.layers = nn.Sequential(
            nn.Conv2d(width, inner, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner // GROUP),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(inner, width, 1, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


def blocks(width: int) -> list[nn.Module]:
    """The residual blocks of one size."""
    return [Block(width) for _ in range(BLOCKS)]


class Double(nn.Module):
    """Twice the size by [1, 2, 1] interpolation, made of two steps whose gradients are the same in every run."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return F.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False)[..., :-1, :-1]


def fixup_init(network: nn.Module) -> None:
    """Each block starts as the identity, its first two convolutions smaller the more blocks there are.

    Fix-up (arXiv:1901.09321, section 3): L blocks of m = 3 layers, L^(-1 / (2m - 2)); all else keeps the variance.
    """
    if next(network.parameters()).is_meta:
        return
    for part in network.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            nn.init.normal_(part.weight, 0.0, 1 / math.sqrt(part.weight[0].numel()))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    residual = [part for part in network.modules() if isinstance(part, Block)]
    with torch.no_grad():
        for block in residual:
            first, grouped, last = (part.weight for part in block.layers if isinstance(part, nn.Conv2d))
            first.mul_(GAIN * len(residual) ** (-1 / 4))
            grouped.mul_(GAIN * len(residual) ** (-1 / 4))
            last.zero_()


class Generator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        widths = recipe.generator_widths
        doublings(recipe, start=4, times=len(widths) - 1)
        # The class is embedded in as many numbers as the latent has (R3GAN's choice).
        self.embedding = nn.Linear(classes, recipe.latent_size, bias=False) if classes else None
        self.stem = nn.Linear(recipe.latent_size * (2 if classes else 1), widths[0], bias=False)
        self.basis = nn.Parameter(torch.randn(widths[0], 4, 4))
        layers = blocks(widths[0])  # w0 x 4 x 4
        for before, after in pairwise(widths):  # w1 x 8 x 8, w2 x 16 x 16, ...
            layers += [nn.Conv2d(before, after, 1, bias=False), Double(), *blocks(after)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], recipe.channels, 1))
        fixup_init(self)

    def forward(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        if self.embedding is not None:
            z = torch.cat([z, self.embedding(classes)], 1)
        start = self.basis * self.stem(z)[:, :, None, None]
        return self.layers(start.contiguous(memory_format=torch.channels_last))  # twice as fast on a CPU


class Discriminator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        widths = recipe.discriminator_widths
        layers = [nn.Conv2d(recipe.channels, widths[0], 1, bias=False), *blocks(widths[0])]  # w0 x 32 x 32
        for before, after in pairwise(widths):  # w1 x 16 x 16, ...
            layers += [nn.AvgPool2d(2), nn.Conv2d(before, after, 1, bias=False), *blocks(after)]
        self.layers = nn.Sequential(*layers)
        end = recipe.image_size // 2 ** (len(widths) - 1)
        self.basis = nn.Parameter(torch.randn(widths[-1], end, end) / end)
        self.head = nn.Linear(widths[-1], recipe.latent_size if classes else 1, bias=False)
        self.embedding = nn.Linear(classes, recipe.latent_size, bias=False) if classes else None
        fixup_init(self)

    def forward(self, x: torch.Tensor, classes: torch.Tensor | None = None) -> Verdict:
        x = self.layers(x)
        with torch.autocast("cuda" if x.is_cuda else "cpu", enabled=False):  # two verdicts are compared: bf16 is coarse
            features = self.head((x.float() * self.basis).sum((2, 3)))
            if self.embedding is None:
                return Verdict(features.squeeze(1))
            wanted = self.embedding(classes) / math.sqrt(features.shape[1])
            return Verdict((features * wanted).sum(1))  # projection (arXiv:1802.05637), of the class term alone
