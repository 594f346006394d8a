"""Multi-layer perceptrons: the GAN of 2014 (arXiv:1406.2661)."""

from itertools import pairwise

import torch
from torch import nn

from gan_demo.networks import Dropout, Verdict, with_classes
from gan_demo.recipe import Recipe


def hidden(sizes: tuple[int, ...], dropout: float) -> list[nn.Module]:
    """Linear, leaky ReLU and, where asked for, dropout from each size to the next."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.LeakyReLU(0.2, inplace=True)]
        layers += [Dropout(dropout)] if dropout else []
    return layers


class Generator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        self.shape = (recipe.channels, recipe.image_size, recipe.image_size)
        pixels = recipe.channels * recipe.image_size**2
        sizes = (recipe.latent_size + classes, *recipe.generator_widths)
        self.layers = nn.Sequential(
            *hidden(sizes, recipe.generator_dropout),
            nn.Linear(sizes[-1], pixels),
            nn.Tanh(),
        )

    def forward(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        return self.layers(with_classes(z, classes)).view(-1, *self.shape)


class Discriminator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        sizes = (recipe.channels * recipe.image_size**2 + classes, *recipe.discriminator_widths)
        self.layers = nn.Sequential(*hidden(sizes, recipe.discriminator_dropout), nn.Linear(sizes[-1], 1))

    def forward(self, x: torch.Tensor, classes: torch.Tensor | None = None) -> Verdict:
        return Verdict(self.layers(with_classes(x.flatten(1), classes)).squeeze(1))
