"""config.json: what was trained, how, and how far it is. A stranger may have written it: every value is checked."""

import dataclasses
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from gan_demo.datasets import DATASETS, MAX_CLASSES
from gan_demo.errors import GanDemoError
from gan_demo.latents import MAX_GUIDANCE
from gan_demo.recipe import HYPERPARAMETERS, LATER, Recipe
from gan_demo.recipes import RECIPES

FORMAT = 1
IMAGE_SIZES = 4, 512  # the least and the most
MAX_NAME = 255  # characters: what a folder's name may have
KINDS = {int: "whole number", float: "finite number", str: "text", bool: "true or false"}  # in words
MOVED = "; then "  # between the machines that a run was trained on
LARGEST = 1e300  # sums and means of such numbers are finite too


@dataclass(frozen=True)
class Config:
    """config.json: what was trained, how, and how far it is."""

    name: str
    recipe: str
    dataset: str
    dataset_images: int
    classes: list[str] | None  # in order; None for an unconditional run
    image_shape: list[int]  # H, W, C
    latent_size: int
    hyperparameters: dict[str, Any]
    seed: int
    length: int  # steps planned
    steps: int  # steps done
    seconds: float  # wall time spent training, resumed sessions added up
    device: str
    precision: str
    versions: dict[str, str]
    format: int = FORMAT

    @classmethod
    def of(cls, recipe: Recipe, **told: Any) -> "Config":
        """That of a run of the recipe; what the recipe does not say is told."""
        says: dict[str, Any] = {
            "recipe": recipe.name,
            "dataset": recipe.dataset,
            "image_shape": [recipe.image_size, recipe.image_size, recipe.channels],
            "latent_size": recipe.latent_size,
            "hyperparameters": recipe.hyperparameters(),
        }
        return cls(**(says | told))

    def as_recipe(self) -> Recipe:
        """The recipe as it ran, a person's own settings included."""
        ran = Recipe(
            name=self.recipe,
            title=self.recipe,
            dataset=self.dataset,
            image_size=self.image_shape[0],
            channels=self.image_shape[2],
            latent_size=self.latent_size,
            **self.hyperparameters,
        )
        if (known := RECIPES.get(self.recipe)) is None:
            return ran
        if self.dataset != known.dataset:
            kind, pictures = known.title.partition(" on ")[0], DATASETS.get(self.dataset)
            known = dataclasses.replace(known, title=f"{kind} on {pictures.title if pictures else 'own pictures'}")
        known = known.as_in(ran)
        return dataclasses.replace(ran, title=known.title, facts=known.facts)


# ---------------------------------------------------------------- reading JSON strictly


def is_number(value: Any) -> bool:
    """Whether it is a finite number that every program can hold, as integers of JSON need not be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def _fits(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if kind is float:
        return is_number(value)
    if kind is int:
        return isinstance(value, int) and is_number(value)
    if kind is str:  # half a surrogate pair can be read from JSON, but not be sent to anyone
        return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)
    if kind in (bool, type(None)):
        return isinstance(value, kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    if origin is tuple:
        inner = (inner[0],) * len(value) if isinstance(value, list) and inner[-1] is ... else inner
        return isinstance(value, list) and len(value) == len(inner) and all(map(_fits, value, inner))
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, inner[1]) for item in value.values())
    return any(_fits(value, option) for option in inner)  # a union


def read_fields(kind: type, data: Any, where: str, keys: Iterable[str] | None = None) -> dict[str, Any]:
    """The values of `data` for the fields of dataclass `kind`, or GanDemoError naming the key that will not do."""
    hints = get_type_hints(kind)
    wanted = tuple(keys or hints)
    if not isinstance(data, dict):
        raise GanDemoError(f"{where} holds no JSON object: it is damaged, fetch or train the run again")
    if unknown := sorted(set(data) - set(wanted)):
        raise GanDemoError(
            f"{where} has an unknown key {unknown[0][:60]!r}: update this version, which reads {', '.join(wanted)}"
        )
    for key in wanted:
        if key not in data:
            raise GanDemoError(f"{where} lacks the key {key!r}: it is damaged, fetch or train the run again")
        if not _fits(data[key], hints[key]):
            wish = KINDS.get(hints[key], hints[key])
            raise GanDemoError(
                f"{where}: the key {key!r} holds {str(data[key])[:40]!r}, no {wish}: fetch or train the run again"
            )
    return {key: tuple(data[key]) if get_origin(hints[key]) is tuple else data[key] for key in wanted}


def load_json(path: Path) -> Any:
    """What a JSON file of a run folder holds; GanDemoError where it is missing, cannot be read, or is damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise GanDemoError(
            f"{path.parent} is no run folder ({path.name} is missing): give a folder that train.py wrote"
        ) from None
    except OSError as error:
        raise GanDemoError(f"{path} cannot be read ({error.strerror}): give a folder that train.py wrote") from None
    except (ValueError, RecursionError):
        raise GanDemoError(f"{path} is damaged (no valid JSON): fetch or train the run again") from None


def is_newer(data: Any) -> bool:
    """Whether parsed JSON of a run folder says that it is of a newer format than this version reads."""
    return isinstance(data, dict) and isinstance(data.get("format"), int) and data["format"] > FORMAT


def check_format(data: Any, where: str) -> None:
    """Raise GanDemoError where parsed JSON is of a newer format."""
    if is_newer(data):
        raise GanDemoError(
            f"{where} is of format {str(data['format'])[:40]}, newer than this version reads ({FORMAT}): update it"
        )


def read_config(data: Any, where: str) -> Config:
    """Build a Config from parsed JSON; GanDemoError names the key that cannot be read back."""
    check_format(data, where)
    config = Config(**read_fields(Config, data, where))
    keys = [name for name in HYPERPARAMETERS if name not in LATER or name in config.hyperparameters]
    hyper = read_fields(Recipe, config.hyperparameters, f"{where}, hyperparameters", keys)
    config = dataclasses.replace(config, hyperparameters=hyper)
    _check_ranges(config, where)
    return config


def _check_ranges(config: Config, where: str) -> None:
    """Refuse sizes that no honest run has, before anything is allocated for them."""
    hyper, (smallest, largest) = config.hyperparameters, IMAGE_SIZES
    shape, widths = config.image_shape, ("generator_widths", "discriminator_widths")
    for key, good in {
        "image_shape": len(shape) == 3 and smallest <= shape[0] == shape[1] <= largest and shape[2] in (1, 3),
        "latent_size": 1 <= config.latent_size <= 4096,
        **{name: 1 <= len(hyper[name]) <= 16 and all(1 <= width <= 8192 for width in hyper[name]) for name in widths},
        "name": len(config.name) <= MAX_NAME,
        "recipe": len(config.recipe) <= MAX_NAME,
        "classes": config.classes is None
        or (1 <= len(config.classes) <= MAX_CLASSES and all(len(name) <= MAX_NAME for name in config.classes)),
        "conditional": hyper["conditional"] == (config.classes is not None),
        "dataset_images": config.dataset_images >= 1,
        "epochs": hyper["epochs"] >= 1,
        "discriminator_steps": 1 <= hyper["discriminator_steps"] <= 100,
        "learning_rates": min(hyper["learning_rates"]) >= 0,
        "betas": all(0 <= beta < 1 for beta in hyper["betas"]),
        "guidance": 0 <= hyper.get("guidance", 1) <= MAX_GUIDANCE,
        "ema": 0 <= hyper["ema"] < 1,
        "discriminator_dropout": 0 <= hyper["discriminator_dropout"] < 1,
        "discriminator_patch": 1 <= hyper.get("discriminator_patch", 1) <= shape[0],
        "penalty_share": 0 < hyper.get("penalty_share", 1) <= 1,
        "generator_dropout": 0 <= hyper["generator_dropout"] < 1,
        "batch_size": 1 <= hyper["batch_size"] <= 2**20,
        "seed": 0 <= config.seed < 2**63,
        "length": 0 <= config.steps <= config.length,
    }.items():
        if not good:
            raise GanDemoError(f"{where}: the key {key!r} is out of range: fetch or train the run again")
