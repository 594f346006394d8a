"""The networks, one file a family.

Every generator takes (latents, class weights), every discriminator (images, class weights). Images are float
(N, C, H, W) in [-1, 1], those of a residual generator now and then beyond, cut where they are painted; latents float
(N, latent_size); class weights float (N, classes), one-hot or a mix of one-hots, or None where the run has no classes.
A generator's may lie beyond (latents.guide), each row's sum still 1: it is linear in them where they enter.
"""

from importlib import import_module
from typing import NamedTuple

import torch
from torch import nn

from gan_demo.errors import GanDemoError
from gan_demo.recipe import Recipe
from gan_demo.weights import Weights

FAMILIES = ("mlp", "dcgan_small", "dcgan", "acgan", "residual", "point")


class Verdict(NamedTuple):
    """What a discriminator says of N images: logits, no sigmoid or softmax applied."""

    source: torch.Tensor  # (N,) above 0 means real
    classes: torch.Tensor | None = None  # (N, classes) from an auxiliary classifier, or None

    def joined(self, rest: "Verdict") -> "Verdict":
        """This on the first images of a batch and `rest` on the others, of one discriminator, as one on them all."""
        both = None if self.classes is None or rest.classes is None else torch.cat([self.classes, rest.classes])
        return Verdict(torch.cat([self.source, rest.source]), both)


def build(recipe: Recipe, classes: int) -> tuple[nn.Module, nn.Module]:
    """Build the (generator, discriminator) of a recipe; `classes` is 0 for an unconditional run.

    Weights are drawn from torch's global generator. Raises GanDemoError where the recipe's sizes fit no such network.
    """
    return build_generator(recipe, classes), build_discriminator(recipe, classes)


def build_generator(recipe: Recipe, classes: int) -> nn.Module:
    """The generator alone: all that the player needs."""
    return _family(recipe).Generator(recipe, classes)


def build_discriminator(recipe: Recipe, classes: int) -> nn.Module:
    """The discriminator alone."""
    return _family(recipe).Discriminator(recipe, classes)


def _family(recipe: Recipe):
    if recipe.network not in FAMILIES:
        raise GanDemoError(f"no network is called {recipe.network[:60]!r}: choose one of {', '.join(FAMILIES)}")
    return import_module(f"gan_demo.networks.{recipe.network}")


def normal_init(module: nn.Module) -> None:
    """Weights normal with deviation 0.02, batch norm scales around 1 (arXiv:1511.06434, section 4)."""
    if next(module.parameters()).is_meta:
        return  # shapes alone are wanted, and there normal_ imports a second's worth of symbolic mathematics
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
            nn.init.zeros_(part.bias)


class LeakyReLU(nn.LeakyReLU):
    """Leaky ReLU of slope 0.2, in place, whose gradient comes laid out as its images are.

    Behind a flatten, and in a second backward, it comes in the other layout: PyTorch then takes 25 times as long for it
    on a CPU, which was a twentieth of a DCGAN's step and a tenth of one with gradient penalties.
    """

    def __init__(self):
        super().__init__(0.2, inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        if y.dim() == 4 and y.requires_grad and y.is_contiguous(memory_format=torch.channels_last):
            y.register_hook(lambda slopes: slopes.contiguous(memory_format=torch.channels_last))
        return y


class Dropout(nn.Module):
    """Zero each number with probability `p` while training and scale the others by 1 / (1 - p) (arXiv:1207.0580).

    As nn.Dropout, but on a CPU the mask takes 16 random bits a number; there nn.Dropout draws a float for each, which
    is a fifth of a small DCGAN's step.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.p or x.device.type != "cpu":
            return nn.functional.dropout(x, self.p, self.training)
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = bits[: x.numel()] >= round(self.p * 2**16) - 2**15
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p)).as_strided(x.shape, x.stride())

    def extra_repr(self) -> str:
        return f"p={self.p}"


def in_fp32(x: torch.Tensor) -> torch.autocast:
    """A context in which what stands beside `x` is computed as it is, whatever the step around it computes in."""
    return torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False)  # the meta device knows no autocast


def with_classes(z: torch.Tensor, classes: torch.Tensor | None) -> torch.Tensor:
    """The class weights beside the latent: (N, latent_size + classes)."""
    return z if classes is None else torch.cat([z, classes.to(z.dtype)], 1)


def with_class_planes(x: torch.Tensor, classes: torch.Tensor | None) -> torch.Tensor:
    """One constant plane a class beside the image's channels: (N, C + classes, H, W)."""
    if classes is None:
        return x
    planes = classes.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, planes], 1)


def state_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """What of a network is stored: its state without the counters of batch norm."""
    return {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}


def weights_of(network: nn.Module) -> Weights:
    """The same as float32 arrays."""
    return {name: value.detach().float().cpu().contiguous().numpy() for name, value in state_of(network).items()}


def output_axes(network: nn.Module) -> dict[str, int]:
    """Which axis of each weight counts the outputs: 1 for transposed convolutions, 0 elsewhere."""
    return {
        f"{name}.weight": int(isinstance(module, nn.ConvTranspose2d))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    }


def check_doublings(recipe: Recipe, times: int) -> None:
    """Raise GanDemoError where 4x4, doubled so often, is not the recipe's image size."""
    if 4 * 2**times != recipe.image_size:
        raise GanDemoError(
            f"{recipe.name} cannot make images of {recipe.image_size} pixels: with {times} doublings "
            f"from 4x4 it makes {4 * 2**times}; choose that with --image-size"
        )
