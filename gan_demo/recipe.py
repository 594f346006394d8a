"""What a recipe is: everything that decides a training but the pictures themselves, and the options that change it."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from gan_demo.errors import GanDemoError

Range = tuple[float, float]  # from, to
Pair = tuple[float, float]  # of the generator or the first, of the discriminator or the second


@dataclass(frozen=True)
class Option:
    """A change to a recipe that one asks for by name: what for, and the hyper-parameters that it sets."""

    why: str
    changes: dict[str, Any]  # at least one that is none of OWN: a run is told by those, so they stay as they are
    facts: dict[str, str]  # what runs, where that is another than in the recipe's facts of that name

    def told(self) -> str:
        """What it sets, in words."""
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.changes.items())


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training but the pictures themselves. Sizes in pixels, learning rates a step."""

    name: str
    title: str
    dataset: str  # a name of gan_demo.datasets.DATASETS, or "images" for a person's own
    image_size: int  # height and width
    channels: int  # 1 grey, 3 RGB
    latent_size: int
    network: str  # a file of gan_demo/networks/
    generator_widths: tuple[int, ...]
    discriminator_widths: tuple[int, ...]
    batch_size: int
    epochs: int  # the published length, or ours where none is said
    learning_rates: Pair  # generator, discriminator
    betas: Pair = (0.5, 0.999)  # Adam, both networks
    conditional: bool = False
    loss: str = "bce"  # a name of gan_demo.losses.LOSSES
    real_labels: Range = (1.0, 1.0)  # what the discriminator calls real: drawn evenly from low to high for each image
    fake_labels: Range = (0.0, 0.0)
    generator_labels: Range = (1.0, 1.0)  # what the generator wants its images to be called
    adversarial_weight: float = 1.0  # scale of the discriminator's real + fake loss
    class_weight: float = 0.0  # scale of the auxiliary classifier's loss, in both networks; 0 where there is none
    fake_class_weight: float = 1.0  # what generated images weigh beside real ones in the discriminator's class loss
    discriminator_steps: int = 1  # k: discriminator updates for each generator update
    generator_dropout: float = 0.0
    discriminator_dropout: float = 0.0
    discriminator_patch: int = 1  # side of the squares whose pixels a residual discriminator takes for channels
    batch_norm_momentum: float = 0.1  # weight of the newest batch in the running statistics
    gradient_penalty: float = 0.0  # gamma of the relativistic loss: weight of R1 and R2
    penalty_share: float = 1.0  # of a batch that R1 and R2 are taken of, above 0
    augment: tuple[str, ...] = ()  # names of gan_demo.augment.WAYS: what the discriminator sees
    annealing: tuple[int, float, float] = (0, 1.0, 1.0)  # over so many images learning rates and gamma fall to a share
    guidance: float = 1.0  # how far from the mean of all classes a picture's class is put, in units of its own distance
    ema: float = 0.999  # decay of the generator's moving average a step; 0 keeps the raw generator
    facts: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)  # (what, published, what runs)
    options: dict[str, Option] = field(default_factory=dict, repr=False, compare=False)

    @property
    def judges_alone(self) -> bool:
        """Whether the discriminator says of one image alone how real it is; a relativistic one compares two."""
        return self.loss != "relativistic"

    def having(self, name: str | None) -> "Recipe":
        """This recipe with that option of its own, or GanDemoError naming those it has."""
        if name is None:
            return self
        if name not in self.options:
            known = f", or choose one of {', '.join(self.options)}" if self.options else ""
            raise GanDemoError(f"{self.name} has no option called {name[:60]!r}: leave it out{known}")
        option = self.options[name]
        facts = tuple((what, published, option.facts.get(what, here)) for what, published, here in self.facts)
        own = (f"`--with {name}`", "not published", option.why)
        return replace(self, title=f"{self.title} ({name})", facts=(*facts, own), **option.changes)

    def at(self, dataset: str) -> "Recipe":
        """This recipe on that data set: its guidance was chosen by the judge of its own, and goes along to no other."""
        return replace(self, dataset=dataset, guidance=self.guidance if dataset == self.dataset else 1.0)

    def option_of(self, ran: "Recipe") -> str | None:
        """The name of the option that `ran`, this recipe as it was trained, tells by its hyper-parameters.

        Of several that fit the one that changes most: another's changes may be among its own.
        """
        kept = {
            name: [(key, value) for key, value in option.changes.items() if key not in OWN]
            for name, option in self.options.items()
        }
        fitting = [name for name in kept if all(getattr(ran, key) == value for key, value in kept[name])]
        return max(fitting, key=lambda name: len(kept[name]), default=None)

    def as_in(self, ran: "Recipe") -> "Recipe":
        """This recipe with the option that `ran` was trained with."""
        return self.having(self.option_of(ran))

    def hyperparameters(self) -> dict[str, Any]:
        """What config.json records of it."""
        fields = {name: (getattr(self, name), self.__dataclass_fields__[name].default) for name in HYPERPARAMETERS}
        return {name: value for name, (value, default) in fields.items() if name not in LATER or value != default}

    def annealed(self, images: int) -> "Recipe":
        """This recipe as it is after so many images: half a cosine in twenty stairs, flat afterwards."""
        length, rate, penalty = self.annealing
        if not length:
            return self
        fallen = (1 - math.cos(math.pi * min(20, 20 * images // length) / 20)) / 2
        generator, discriminator = (one * (1 + (rate - 1) * fallen) for one in self.learning_rates)
        gamma = self.gradient_penalty * (1 + (penalty - 1) * fallen)
        return replace(self, learning_rates=(generator, discriminator), gradient_penalty=gamma)


# What a run's config.json records under "hyperparameters"; the rest has a key of its own there.
HYPERPARAMETERS = tuple(
    name
    for name in Recipe.__dataclass_fields__
    if name not in ("name", "title", "dataset", "image_size", "channels", "latent_size", "facts", "options")
)
OWN = ("batch_size", "ema", "discriminator_steps", "learning_rates")  # a person may set otherwise, some while it trains
LATER = (
    "fake_class_weight",
    "discriminator_patch",
    "gradient_penalty",
    "penalty_share",
    "augment",
    "annealing",
    "guidance",
)  # the first runs lack them; a run records them where it uses them
EMA_FACT = ("moving average", "none", "decay 0.999, warmed up; `--ema 0` keeps the raw generator as published")


def full_name(recipe: str, option: str | None, dataset: str | None = None) -> str:
    """Recipe, option and data set in one word, as a folder may be called; None is the recipe's own, or no option."""
    return "-".join(filter(None, (recipe, option, dataset)))


def facts_table(recipe: Recipe) -> str:
    """Published fact against what runs, as a Markdown table."""
    rows = "\n".join(f"| {what} | {published} | {here} |" for what, published, here in recipe.facts)
    return f"| | published | what runs |\n| --- | --- | --- |\n{rows}"
