"""What is measured: the runs that were named, or runs of random weights, as large as a measurement wants."""

from pathlib import Path

import torch

from gan_demo.config import Config
from gan_demo.networks import build, output_axes, weights_of
from gan_demo.recipe import Recipe
from gan_demo.run import Run, folders
from gan_demo.weights import quantize

SPACING = 100  # steps between two snapshots
CONTRAST = 5  # of fresh weights, which paint an even grey


def one_of_each_shape(source: str) -> list[Path]:
    """Of the runs named, one for each size of image and family of networks."""
    kinds: dict[tuple, Path] = {}
    for folder in folders(source):
        config = Run(folder).config
        kinds.setdefault((*config.image_shape, config.as_recipe().network), folder)
    return list(kinds.values())


def write_run(path: Path, recipe: Recipe, snapshots: int) -> Path:
    """A finished run of an unconditional recipe: random weights, the same ones at every snapshot."""
    length = SPACING * (snapshots - 1)
    config = Config.of(
        recipe,
        name=path.name,
        dataset_images=60_000,
        classes=None,
        seed=0,
        length=length,
        steps=length,
        seconds=1.0,
        device="cpu",
        precision="fp32",
        versions={"torch": torch.__version__},
    )
    run = Run.create(path, config)
    generator, discriminator = build(recipe, 0)
    with torch.no_grad():
        for weights in generator.parameters():
            weights.mul_(CONTRAST if weights.ndim > 1 else 1)
    stored = quantize(weights_of(generator), output_axes(generator))
    for step in range(0, length + 1, SPACING):
        run.add_snapshot(stored, step, step / 1000, step, 1.0)
        losses = {"d_real": 0.7, "d_fake": 0.6, "g": 0.8, "real_score": 0.6, "fake_score": 0.4}
        run.append_history({"step": step, **losses, "images_per_second": 900})
    run.write_model(weights_of(generator), weights_of(discriminator), length)
    return path
