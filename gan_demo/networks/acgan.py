"""The auxiliary-classifier GAN for CIFAR-10 (arXiv:1610.09585, appendix A, table 2)."""

from itertools import pairwise

import torch
from torch import nn

from gan_demo.networks import Dropout, LeakyReLU, Verdict, check_doublings, normal_init, with_classes
from gan_demo.recipe import Recipe


class Generator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        check_doublings(recipe, len(recipe.generator_widths))
        widths = recipe.generator_widths
        self.start = (widths[0], 4, 4)
        self.stem = nn.Sequential(nn.Linear(recipe.latent_size + classes, widths[0] * 16), nn.ReLU())  # 192 x 4 x 4
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):  # 96 x 8 x 8, 48 x 16 x 16
            blocks += [nn.ConvTranspose2d(before, after, 5, 2, 2, output_padding=1, bias=False)]
            blocks += [nn.BatchNorm2d(after, momentum=recipe.batch_norm_momentum), nn.ReLU()]
        last = nn.ConvTranspose2d(widths[-1], recipe.channels, 5, 2, 2, output_padding=1)  # 3 x 32 x 32
        self.layers = nn.Sequential(*blocks, last, nn.Tanh())
        normal_init(self)

    def forward(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        return self.layers(self.stem(with_classes(z, classes)).view(-1, *self.start))


class Discriminator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        widths, dropout = recipe.discriminator_widths, recipe.discriminator_dropout
        blocks: list[nn.Module] = []
        size = recipe.image_size
        # 16 x 16 x 16, 32 x 16 x 16, 64 x 8 x 8, 128 x 8 x 8, 256 x 4 x 4, 512 x 4 x 4
        for i, (before, after) in enumerate(pairwise((recipe.channels, *widths))):
            stride = 2 if i % 2 == 0 else 1
            size = -(-size // stride)
            blocks += [nn.Conv2d(before, after, 3, stride, 1, bias=i == 0)]
            blocks += [nn.BatchNorm2d(after, momentum=recipe.batch_norm_momentum)] if i else []
            blocks += [LeakyReLU(), Dropout(dropout)]
        self.layers = nn.Sequential(*blocks, nn.Flatten())
        self.source = nn.Linear(widths[-1] * size * size, 1)
        self.classes = nn.Linear(widths[-1] * size * size, classes)
        normal_init(self)

    def forward(self, x: torch.Tensor, classes: torch.Tensor | None = None) -> Verdict:
        """`classes` is not looked at: this discriminator has to find the class by itself."""
        features = self.layers(x)
        return Verdict(self.source(features).squeeze(1), self.classes(features))
