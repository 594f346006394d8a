"""A GAN of points in the plane, as GAN Lab explains it (arXiv:1809.01587): two tiny perceptrons and a picture between.

The generator's point is drawn as a dot, and the discriminator sees no more of a picture than where its dot is.
"""

import torch
from torch import nn

from gan_demo import points
from gan_demo.networks import Verdict, in_fp32, with_classes
from gan_demo.networks.mlp import hidden
from gan_demo.recipe import Recipe


class Generator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        self.size = recipe.image_size
        sizes = (recipe.latent_size + classes, *recipe.generator_widths)
        self.layers = nn.Sequential(*hidden(sizes, recipe.generator_dropout), nn.Linear(sizes[-1], 2), nn.Tanh())

    def forward(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        with in_fp32(z):  # a point in bf16 would jump from pixel to pixel
            x, y = self.layers(with_classes(z, classes)).split(1, 1)
        at = _axis(self.size, z)
        width = points.WIDTH * 2 / self.size / points.REACH
        across, upward = (torch.exp(-((a - b) ** 2) / (2 * width**2)) for a, b in ((at, x), (at.flip(0), y)))
        return (upward[:, :, None] * across[:, None, :])[:, None] * 2 - 1


class Discriminator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        sizes = (2 + classes, *recipe.discriminator_widths)
        self.layers = nn.Sequential(*hidden(sizes, recipe.discriminator_dropout), nn.Linear(sizes[-1], 1))

    def forward(self, x: torch.Tensor, classes: torch.Tensor | None = None) -> Verdict:
        with in_fp32(x):
            mass = x.float().mean(1).add(1)
            total = mass.sum((1, 2)).clamp_min(1e-3)
            at = _axis(x.shape[2], x)
            centre = torch.stack([mass.sum(1) @ at / total, mass.sum(2) @ at.flip(0) / total], 1)
            return Verdict(self.layers(with_classes(centre, classes)).squeeze(1))


def _axis(size: int, like: torch.Tensor) -> torch.Tensor:
    """As points.axis, on the device of `like`."""
    at = torch.arange(size, device=like.device, dtype=torch.float32)
    return ((at + 0.5) * (2 / size) - 1) / points.REACH
