"""What a person would lose: their hours of training, or the truth about them."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import DATA, ROOT, assert_same_run, fit, small, weights

from gan_demo import recipes, training
from gan_demo.networks import Dropout

CONVOLUTIONAL, PERCEPTRON = recipes.get("dcgan-mnist"), recipes.get("mlp-mnist")


@pytest.mark.parametrize(
    ("name", "option"),
    [(name, option) for name, recipe in recipes.RECIPES.items() for option in (None, *recipe.options)],
)
def test_every_recipe_and_option_trains_and_leaves_a_folder_that_opens(name, option, tmp_path):
    from gan_demo.data import Images
    from gan_demo.player import open_run

    recipe = small(recipes.get(name).having(option), epochs=1)
    pixels = np.random.default_rng(0).integers(0, 256, (64, recipe.channels, recipe.image_size, recipe.image_size))
    labels = np.arange(64) % 10
    images = Images(pixels.astype(np.uint8), labels, [str(i) for i in range(10)], recipe.dataset)
    trainer = fit(recipe, images, tmp_path / "run", length=3, snapshots=3)
    terms = set(trainer.run.read_history()[-1])
    adversarial = {"d_real", "d_fake"} if recipe.loss == "bce" else {"d_pair", "r1", "r2"}
    assert {"step", "g", "real_score", "fake_score", "images_per_second", *adversarial} <= terms
    assert ("d_class" in terms) == (recipe.class_weight > 0)
    ran = trainer.run.config.as_recipe()
    assert (ran.title, ran.facts, recipes.get(name).option_of(ran)) == (recipe.title, recipe.facts, option)
    player = open_run(tmp_path / "run")
    assert player.steps[0] == 0 and player.steps[-1] == 3
    assert player.generate([1, 2]).shape == (2, recipe.image_size, recipe.image_size, recipe.channels)
    assert (player.classes is None) == (not recipe.conditional)


def test_training_on_real_digits_moves_the_pictures_towards_them(mnist, tmp_path):
    """After 300 steps the mean brightness of the fakes is near that of real digits; at step 0 it is far."""
    from gan_demo.player import open_run

    fit(small(CONVOLUTIONAL), mnist, tmp_path / "run", length=300, snapshots=4, precision="fp32")
    film = open_run(tmp_path / "run").film(range(64)).astype(float)
    real = mnist.pixels.mean()
    first, last = abs(film[0].mean() - real), abs(film[-1].mean() - real)
    assert first > 60 and last < 20


def test_same_seed_same_run_other_seed_other_run(mnist, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit(small(PERCEPTRON), mnist, tmp_path / name, length=8, snapshots=3, seed=seed)
    assert_same_run(tmp_path / "a", tmp_path / "b")
    with pytest.raises(AssertionError):
        assert_same_run(tmp_path / "a", tmp_path / "c")


def test_snapshots_are_many_early_and_always_hold_the_first_and_the_last_step():
    steps = training.schedule(187_500, 32)
    gaps = np.diff(steps)
    assert steps[0] == 0 and steps[-1] == 187_500 and len(steps) == 32
    assert (np.diff(gaps) >= -1).all() and steps[10] < 0.01 * steps[-1]
    assert training.schedule(3, 32) == [0, 1, 2, 3]


def test_the_order_of_the_data_is_a_new_permutation_each_epoch(mnist, tmp_path):
    few = replace(mnist, pixels=mnist.pixels[:64], labels=mnist.labels[:64])
    trainer = training.Trainer(small(PERCEPTRON), few, training.Options(out=tmp_path / "run", length=1))
    epochs = [torch.cat([trainer._real_batch(4 * epoch + at)[0] for at in range(4)]).float() for epoch in range(2)]
    assert not torch.equal(*epochs)
    a, b = (np.sort(epoch.flatten(1).sum(1).numpy()) for epoch in epochs)
    np.testing.assert_array_equal(a, b)


def test_soft_labels_are_drawn_from_their_range(mnist, tmp_path):
    trainer = training.Trainer(small(PERCEPTRON), mnist, training.Options(out=tmp_path / "run", length=1))
    drawn = trainer.gan.draw((0.8, 1.0), torch.empty(1000))
    assert 0.8 <= float(drawn.min()) < 0.81 and 0.99 < float(drawn.max()) <= 1.0
    assert (trainer.gan.draw((0.9, 0.9), torch.empty(3)) == 0.9).all()


@pytest.mark.parametrize("recipe", [PERCEPTRON])
def test_two_processes_match_one_on_the_same_global_batch(recipe, tmp_path):
    """torchrun with two gloo processes: averaged gradients, so the weights agree to rounding.

    Adam divides by a gradient's own size and a leaky ReLU has two slopes, so here and there a unit turns a rounding
    into a part of a step: 1 in 100 weights was off by 2e-6, none by more than 5e-5. Gradients that were
    not averaged would part nearly all weights by some 1e-3 in twelve steps.
    """
    size = (
        "--steps",
        "12",
        "--batch-size",
        "32",
        "--snapshots",
        "3",
        "--device",
        "cpu",
        "--precision",
        "fp32",
        "--no-evaluate",
    )
    for out, launcher in (
        ("one", [sys.executable]),
        (
            "two",
            [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--standalone",
                "--local-addr=127.0.0.1",
                "--nproc-per-node=2",
            ],
        ),
    ):
        arguments = [str(ROOT / "train.py"), recipe.name, "--data", str(DATA), "--out", str(tmp_path / out), *size]
        done = subprocess.run(
            [*launcher, *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    for name, tensors in weights(tmp_path / "one").items():
        for key, value in tensors.items():
            apart = (value - weights(tmp_path / "two")[name][key]).abs().numpy()
            assert np.quantile(apart, 0.99) < 1e-5 and apart.max() < PERCEPTRON.learning_rates[0], f"{name} {key}"
    assert json.loads((tmp_path / "two" / "config.json").read_text())["steps"] == 12


def test_the_precision_is_measured_where_it_is_not_named():
    from gan_demo import precision
    from gan_demo.machine import has_bf16

    chosen = precision.choose("auto", training.CPU, small(CONVOLUTIONAL), 0)
    assert chosen in (("fp32", "bf16") if has_bf16(training.CPU) else ("fp32",))
    seconds = precision._step_seconds(training.CPU, small(PERCEPTRON), 0)
    assert set(seconds) == {"fp32", "bf16"} and min(seconds.values()) > 0
    assert precision.choose("bf16", training.CPU, PERCEPTRON, 0) == "bf16"


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    images = torch.ones(32, 64, 14, 13).to(memory_format=torch.channels_last).requires_grad_()
    torch.manual_seed(0)
    dropped = Dropout(0.3)(images)
    assert abs((dropped == 0).float().mean().item() - 0.3) < 0.003
    assert abs(dropped.mean().item() - 1) < 0.005
    assert dropped.detach().unique().tolist() == [0.0, pytest.approx(1 / 0.7)]
    dropped.sum().backward()
    assert torch.equal(images.grad, dropped.detach())
    assert torch.equal(Dropout(0.3).eval()(images), images)
