"""The DCGAN of the MNIST tutorial: two doublings from a quarter of the image's size."""

import torch
from torch import nn

from gan_demo.errors import GanDemoError
from gan_demo.networks import Dropout, LeakyReLU, Verdict, normal_init, with_class_planes, with_classes
from gan_demo.recipe import Recipe


def check_size(recipe: Recipe) -> int:
    """A quarter of the image's size; GanDemoError where four does not divide it, or these are no widths of ours."""
    if (len(recipe.generator_widths), len(recipe.discriminator_widths)) != (3, 2):
        raise GanDemoError(f"{recipe.name} has other widths than its network: fetch or train the run again")
    if recipe.image_size % 4:
        raise GanDemoError(
            f"{recipe.name} cannot make images of {recipe.image_size} pixels: choose a multiple of 4 with --image-size"
        )
    return recipe.image_size // 4


class Generator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        start, (a, b, c), momentum = check_size(recipe), recipe.generator_widths, recipe.batch_norm_momentum
        self.start = (a, start, start)
        self.stem = nn.Sequential(
            nn.Linear(recipe.latent_size + classes, a * start * start, bias=False),
            nn.BatchNorm1d(a * start * start, momentum=momentum),
            LeakyReLU(),
        )
        self.layers = nn.Sequential(
            nn.Conv2d(a, b, 5, padding=2, bias=False),  # 128 x 7 x 7
            nn.BatchNorm2d(b, momentum=momentum),
            LeakyReLU(),
            nn.ConvTranspose2d(b, c, 4, 2, 1, bias=False),  # 64 x 14 x 14
            nn.BatchNorm2d(c, momentum=momentum),
            LeakyReLU(),
            nn.ConvTranspose2d(c, recipe.channels, 4, 2, 1),  # 1 x 28 x 28
            nn.Tanh(),
        )
        normal_init(self)

    def forward(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        return self.layers(self.stem(with_classes(z, classes)).view(-1, *self.start))


class Discriminator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        end, (a, b), dropout = check_size(recipe), recipe.discriminator_widths, recipe.discriminator_dropout
        self.told = not recipe.class_weight  # which class it is; else it has to find that by itself
        self.layers = nn.Sequential(
            nn.Conv2d(recipe.channels + (classes if self.told else 0), a, 5, 2, 2),  # 64 x 14 x 14
            LeakyReLU(),
            Dropout(dropout),
            nn.Conv2d(a, b, 5, 2, 2),  # 128 x 7 x 7
            LeakyReLU(),
            Dropout(dropout),
            nn.Flatten(),
            nn.Linear(b * end * end, 1 if self.told else 1 + classes),
        )
        normal_init(self)

    def forward(self, x: torch.Tensor, classes: torch.Tensor | None = None) -> Verdict:
        """`classes` is not looked at where there is an auxiliary classifier (arXiv:1610.09585)."""
        if self.told:
            return Verdict(self.layers(with_class_planes(x, classes)).squeeze(1))
        verdicts = self.layers(x)
        return Verdict(verdicts[:, 0], verdicts[:, 1:])
