"""DCGAN (arXiv:1511.06434) as the anime tutorial has it, with one more plain convolution in the middle."""

from itertools import pairwise

import torch
from torch import nn

from gan_demo.networks import Dropout, LeakyReLU, Verdict, check_doublings, normal_init, with_class_planes, with_classes
from gan_demo.recipe import Recipe


class Generator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        check_doublings(recipe, len(recipe.generator_widths))
        widths, momentum = recipe.generator_widths, recipe.batch_norm_momentum

        def activated(convolution: nn.Module, channels: int) -> list[nn.Module]:
            return [convolution, nn.BatchNorm2d(channels, momentum=momentum), LeakyReLU()]

        blocks = activated(
            nn.ConvTranspose2d(recipe.latent_size + classes, widths[0], 4, 1, 0, bias=False), widths[0]
        )  # 256 x 4 x 4
        for before, after in pairwise(widths):  # 128 x 8 x 8, 64 x 16 x 16, 32 x 32 x 32
            blocks += activated(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), after)
        blocks += activated(nn.Conv2d(widths[-1], widths[-1], 3, 1, 1, bias=False), widths[-1])  # 32 x 32 x 32
        self.layers = nn.Sequential(*blocks, nn.ConvTranspose2d(widths[-1], recipe.channels, 4, 2, 1), nn.Tanh())
        normal_init(self)

    def forward(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        return self.layers(with_classes(z, classes)[:, :, None, None])  # 3 x 64 x 64


class Discriminator(nn.Module):
    def __init__(self, recipe: Recipe, classes: int):
        super().__init__()
        widths, size = recipe.discriminator_widths, recipe.image_size
        blocks = [
            nn.Conv2d(recipe.channels + classes, widths[0], 4, 2, 1),
            LeakyReLU(),
        ]  # 32 x 32 x 32
        for before, after in pairwise(widths):  # 64 x 16 x 16, 128 x 8 x 8, 256 x 4 x 4
            blocks += [nn.Conv2d(before, after, 4, 2, 1, bias=False)]
            blocks += [nn.BatchNorm2d(after, momentum=recipe.batch_norm_momentum), LeakyReLU()]
        blocks += [Dropout(recipe.discriminator_dropout)] if recipe.discriminator_dropout else []
        end = size // 2 ** len(widths)
        self.layers = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(widths[-1] * end * end, 1))
        normal_init(self)

    def forward(self, x: torch.Tensor, classes: torch.Tensor | None = None) -> Verdict:
        return Verdict(self.layers(with_class_planes(x, classes)).squeeze(1))
