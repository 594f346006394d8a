"""What a network asks of a machine, known before any of it is done: a stranger's config may ask for anything."""

from typing import NamedTuple

import torch
from torch import nn

from gan_demo.errors import GanDemoError
from gan_demo.networks import build_discriminator, build_generator
from gan_demo.recipe import Recipe

MAX_PARAMETERS = 100_000_000
MAX_LAYER = 2**24  # numbers an image: 1 GiB for sixteen of them
MAX_PRODUCTS = 2 * 10**10  # an image: our largest DCGAN at 512x512 takes 1.6


class Cost(NamedTuple):
    """What a network takes to answer for one input."""

    layer: int  # numbers in the largest tensor on the way
    products: int  # multiplications of an input with a weight


def generator_of(recipe: Recipe, classes: int, label: str) -> nn.Module:
    """The generator on the meta device, in evaluation.

    Raises GanDemoError, naming `label`, where it would take too much.
    """
    with torch.device("meta"):
        network = build_generator(recipe, classes).eval().requires_grad_(False)
    _check(network, torch.empty(1, recipe.latent_size, device="meta"), recipe, classes, label)
    return network


def discriminator_of(recipe: Recipe, classes: int, label: str) -> nn.Module:
    """As generator_of, the discriminator."""
    with torch.device("meta"):
        network = build_discriminator(recipe, classes).eval().requires_grad_(False)
    image = torch.empty(1, recipe.channels, recipe.image_size, recipe.image_size, device="meta")
    _check(network, image, recipe, classes, label)
    return network


def most_products(network: nn.Module, recipe: Recipe) -> int:
    """As many as if each weight were used once a pixel: no more can be, and counting imports a second of torch."""
    return _parameters(network) * recipe.image_size**2


def cost(network: nn.Module, x: torch.Tensor, classes: int) -> Cost:
    """The cost of a network for one input `x`, both on the meta device: nothing is allocated or computed there."""
    layers, products = [0], [0]

    def measure(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: object) -> None:
        layers.extend(x.numel() for x in (*inputs, output) if isinstance(x, torch.Tensor))
        if isinstance(module, nn.Linear | nn.Conv2d) and isinstance(output, torch.Tensor):
            products.append(module.weight.numel() * output.shape[2:].numel())
        elif isinstance(module, nn.ConvTranspose2d):
            products.append(module.weight.numel() * inputs[0].shape[2:].numel())

    hooks = [module.register_forward_hook(measure) for module in network.modules()]
    network(x, torch.empty(1, classes, device="meta") if classes else None)
    for hook in hooks:
        hook.remove()
    return Cost(max(layers), sum(products))


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _check(network: nn.Module, x: torch.Tensor, recipe: Recipe, classes: int, label: str) -> None:
    if (parameters := _parameters(network)) > MAX_PARAMETERS:
        raise GanDemoError(
            f"{label} asks for a network of {parameters:,} parameters, more than {MAX_PARAMETERS:,}: "
            "choose a smaller image size, or open another run"
        )
    widest = max(*recipe.generator_widths, *recipe.discriminator_widths, recipe.channels + classes)
    if most_products(network, recipe) <= MAX_PRODUCTS and widest * recipe.image_size**2 <= MAX_LAYER:
        return
    try:
        found = cost(network, x, classes)
    except RuntimeError:  # such as an image that is halved until nothing is left
        raise GanDemoError(f"{label}: its sizes fit no network of its kind: fetch or train the run again") from None
    if found.layer > MAX_LAYER or found.products > MAX_PRODUCTS:
        raise GanDemoError(
            f"{label} asks for layers of {found.layer:,} numbers and {found.products:,} products an image, more than "
            f"{MAX_LAYER:,} and {MAX_PRODUCTS:,}: choose a smaller image size, or open another run"
        )
