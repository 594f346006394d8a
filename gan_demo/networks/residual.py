"""Residual networks without normalisation, as small ones, after R3GAN (arXiv:2501.05441, section 4)."""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from gan_demo.errors import GanDemoError
from gan_demo.networks import LeakyReLU, Verdict, check_doublings, in_fp32
from gan_demo.recipe import Recipe

BLOCKS = 2  # residual blocks at each size
EXPANSION = 2  # of a block's inner width: inverted bottleneck
GROUP = 16  # channels a group of the inner convolution
GAIN = math.sqrt(2 / (1 + 0.2**2))  # keeps the variance through a leaky ReLU of slope 0.2 (arXiv:1502.01852)


class _ByInput(torch.autograd.Function):
    """A convolution's gradient by its input, whose own gradients are a convolution each."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, weight: torch.Tensor, x: torch.Tensor, groups: int) -> torch.Tensor:
        ctx.save_for_backward(gradient, weight)
        ctx.groups = groups
        return _backward(gradient, x, weight, groups, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, change: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient, weight = ctx.saved_tensors
        by_gradient = F.conv2d(change, weight, padding=weight.shape[2] // 2, groups=ctx.groups)
        return by_gradient, _backward(gradient, change, weight, ctx.groups, 1), None, None


class _Convolve(torch.autograd.Function):
    """A convolution for gradient penalties; torch's second backward takes whole images for kernels, group by group.

    With create_graph there is a gradient by the input alone: that is what R1 and R2 ask for.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, groups: int
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.groups = groups
        return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2, groups=groups)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x = _ByInput.apply(gradient, weight, x.detach(), ctx.groups) if ctx.needs_input_grad[0] else None
        if torch.is_grad_enabled() or not ctx.needs_input_grad[1]:
            return by_x, None, None, None
        by_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return by_x, _backward(gradient, x, weight, ctx.groups, 1), by_bias, None


def _backward(gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, groups: int, which: int) -> torch.Tensor:
    """A convolution's gradient by its input (`which` is 0) or its weights (1)."""
    mask, one, padding = [which == 0, which == 1, False], [1, 1], [weight.shape[2] // 2] * 2
    gradients = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, one, padding, one, False, [0, 0], groups, mask
    )
    return gradients[which]


class Convolution(nn.Conv2d):
    """A convolution that keeps the size, for gradient penalties: 1x1 where no other `size` is given."""

    def __init__(self, before: int, after: int, size: int = 1, groups: int = 1, bias: bool = True):
        super().__init__(before, after, size, padding=size // 2, groups=groups, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        device = "cpu" if x.is_meta else x.device.type  # the meta device knows no autocast
        if torch.is_autocast_enabled(device):  # which sees no function of ours
            x = x.to(torch.get_autocast_dtype(device))
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return _Convolve.apply(x, self.weight.to(x.dtype), bias, self.groups)


class Grouped(Convolution):
    """A 3x3 convolution in groups of GROUP channels."""

    def __init__(self, width: int):
        if width % GROUP:
            raise GanDemoError(f"a width of {width // EXPANSION} will not do: give a multiple of {GROUP // EXPANSION}")
        super().__init__(width, width, 3, groups=width // GROUP)


class Block(nn.Module):
    """x + 1x1 convolution of grouped 3x3 convolution of 1x1 convolution."""

    def __init__(self, width: int):
        super().__init__()
        inner = EXPANSION * width
        self.layers = nn.Sequential(
            Convolution(width, inner),
            LeakyReLU(),
            Grouped(inner),
            LeakyReLU(),
            Convolution(inner, width, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


def blocks(width: int) -> list[nn.Module]:
    """The residual blocks of one size."""
    return [Block(width) for _ in range(BLOCKS)]


class Double(nn.Module):
    """Twice the size by bilinear interpolation, [1, 3, 3, 1] / 4 along each axis.

    In steps whose gradients are the same in every run: those of torch's own are summed on a GPU in any order.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False)
        return F.avg_pool2d(x, 2, stride=1)


class Patches(nn.PixelUnshuffle):
    """Squares of pixels as channels of fewer pixels: (N, C, H, W) to (N, C p^2, H/p, W/p); nothing is lost."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).contiguous(memory_format=torch.channels_last)


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
        check_doublings(recipe, len(widths) - 1)
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
        widths, patch = recipe.discriminator_widths, recipe.discriminator_patch
        if recipe.image_size % (halved := patch * 2 ** (len(widths) - 1)):
            raise GanDemoError(
                f"{recipe.name} cannot look at images of {recipe.image_size} pixels, which it makes {halved} times "
                f"smaller: choose a multiple of {halved} with --image-size"
            )
        layers = [Convolution(patch**2 * recipe.channels, widths[0], bias=False), *blocks(widths[0])]  # w0 x 32 x 32
        if patch > 1:
            layers = [Patches(patch), *layers]
        for before, after in pairwise(widths):  # w1 x 16 x 16, ...
            layers += [nn.AvgPool2d(2), Convolution(before, after, bias=False), *blocks(after)]
        self.layers = nn.Sequential(*layers)
        end = recipe.image_size // halved
        self.basis = nn.Parameter(torch.randn(widths[-1], end, end) / end)
        self.head = nn.Linear(widths[-1], recipe.latent_size if classes else 1, bias=False)
        self.embedding = nn.Linear(classes, recipe.latent_size, bias=False) if classes else None
        fixup_init(self)
        if self.embedding is not None:
            self.embedding.weight.data.div_(math.sqrt(recipe.latent_size))  # of that many products the verdict is a sum

    def forward(self, x: torch.Tensor, classes: torch.Tensor | None = None) -> Verdict:
        x = self.layers(x)
        with in_fp32(x):  # two verdicts are compared: bf16 is coarse
            features = self.head((x.float() * self.basis).sum((2, 3)))
            if self.embedding is None:
                return Verdict(features.squeeze(1))
            # Projection (arXiv:1802.05637), of the class term alone.
            return Verdict((features * self.embedding(classes)).sum(1))
