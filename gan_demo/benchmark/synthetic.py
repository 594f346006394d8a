"""Runs of random weights, through the real writer: as large and as many as a measurement wants."""

from pathlib import Path

import torch

from gan_demo.networks import build, output_axes
from gan_demo.recipes import HYPERPARAMETERS, Recipe
from gan_demo.run import Config, Run
from gan_demo.training import weights_of
from gan_demo.weights import quantize

SPACING = 100  # steps between two snapshots


def write_run(path: Path, recipe: Recipe, snapshots: int) -> Path:
    """A finished run of an unconditional recipe, with another random generator at each snapshot."""
    length = SPACING * (snapshots - 1)
    config = Config(
        name=path.name,
        recipe=recipe.name,
        dataset=recipe.dataset,
        dataset_images=60_000,
        classes=None,
        image_shape=[recipe.image_size, recipe.image_size, recipe.channels],
        latent_size=recipe.latent_size,
        hyperparameters={name: getattr(recipe, name) for name in HYPERPARAMETERS},
        seed=0,
        length=length,
        steps=length,
        seconds=1.0,
        device="cpu",
        precision="fp32",
        versions={"torch": torch.__version__},
    )
    run = Run.create(path, config)
    for step in range(0, length + 1, SPACING):
        torch.manual_seed(step)
        generator, discriminator = build(recipe, 0)
        run.add_snapshot(quantize(weights_of(generator), output_axes(generator)), step, step / 1000, step, 1.0)
        losses = {"d_real": 0.7, "d_fake": 0.6, "g": 0.8, "real_score": 0.6, "fake_score": 0.4}
        run.append_history({"step": step, **losses, "images_per_second": 900})
    run.write_model(weights_of(generator), weights_of(discriminator), length)
    return path
