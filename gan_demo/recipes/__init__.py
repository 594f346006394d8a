"""The recipes: what to train, as data. Adding a GAN is one entry here, and a network file only when its network is new.

`python -m gan_demo.recipes` prints the table of published facts against what runs (kept in gan_demo/RECIPES.md).
"""

from gan_demo.errors import GanDemoError
from gan_demo.recipe import Recipe, facts_table
from gan_demo.recipes.convolutional import ACGAN_CIFAR10, DCGAN_ANIME, DCGAN_MNIST, conditional
from gan_demo.recipes.modern import MODERN_ANIME, MODERN_CIFAR10
from gan_demo.recipes.perceptrons import MLP_FASHION, MLP_MNIST
from gan_demo.recipes.toy import TOY_MIXTURE, TOY_RING

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        MLP_FASHION,
        MLP_MNIST,
        DCGAN_ANIME,
        DCGAN_MNIST,
        ACGAN_CIFAR10,
        conditional("cdcgan-mnist", "Conditional DCGAN on MNIST", "mnist"),
        conditional("cdcgan-fashion", "Conditional DCGAN on Fashion-MNIST", "fashion-mnist"),
        MODERN_CIFAR10,
        MODERN_ANIME,
        TOY_RING,
        TOY_MIXTURE,
    )
}


def get(name: str) -> Recipe:
    """The recipe of that name, or GanDemoError naming those there are."""
    if name not in RECIPES:
        raise GanDemoError(f"no recipe is called {name[:60]!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]


def markdown() -> str:
    """All recipes against their tutorials: the text of gan_demo/RECIPES.md."""
    parts = []
    for recipe in RECIPES.values():
        parts += [f"## {recipe.name}: {recipe.title}", facts_table(recipe)]
        parts += [f"`--with {name}`: {option.why}. It sets {option.told()}." for name, option in recipe.options.items()]
    title = "# The recipes: what was published, what runs"
    lead = (
        '"Published" is what the tutorial of that recipe prints; for `modern-*` it is R3GAN (arXiv:2501.05441), for '
        '`toy-*` GAN Lab (arXiv:1809.01587). "Not said" means that the choice is ours.'
    )
    return "\n\n".join([title, lead, *parts]) + "\n"
