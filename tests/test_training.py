"""What a person would lose: their hours of training, or the truth about them."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import DATA, ROOT, assert_same_run, fit, small, weights
from torch import nn

import train as cli
from gan_demo import devices, job, judge, precision, recipes, reproduce, training
from gan_demo.ema import MovingAverage
from gan_demo.errors import GanDemoError
from gan_demo.gan import GAN
from gan_demo.losses import LOSSES
from gan_demo.networks import Dropout, LeakyReLU, Verdict
from gan_demo.parallel import World
from gan_demo.pictures import Images
from gan_demo.player import open_run
from gan_demo.run import Run

CONVOLUTIONAL, PERCEPTRON = recipes.get("dcgan-mnist"), recipes.get("mlp-mnist")


@pytest.mark.parametrize(
    ("name", "option"),
    [(name, option) for name, recipe in recipes.RECIPES.items() for option in (None, *recipe.options)],
)
def test_every_recipe_and_option_trains_and_leaves_a_folder_that_opens(name, option, tmp_path):
    from gan_demo.player import open_run

    recipe = recipes.get(name).having(option)
    recipe = replace(recipe, batch_size=16) if option else small(recipe)  # an option is told by its widths
    pixels = np.random.default_rng(0).integers(0, 256, (64, recipe.channels, recipe.image_size, recipe.image_size))
    labels = np.arange(64) % 10
    images = Images(pixels.astype(np.uint8), labels, [str(i) for i in range(10)], recipe.dataset)
    trainer = fit(recipe, images, tmp_path / "run", length=3, snapshots=2)
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


def test_training_on_real_digits_moves_the_pictures_towards_them(mnist, tmp_path, monkeypatch):
    """After 300 steps of narrow networks they are as bright as real digits, of several classes, and far nearer to them.

    The judge's distance falls to a tenth; that of pictures of the right grey stays at that of the first step.
    """
    narrow = small(CONVOLUTIONAL, generator_widths=(64, 64, 32), discriminator_widths=(32, 64))
    run = fit(narrow, mnist, tmp_path / "run", length=300, snapshots=2, precision="fp32").run
    monkeypatch.setattr(judge, "IMAGES", 500)
    first, last = judge.evaluate(run, open_run(run.path).generate, mnist)["snapshots"]
    assert last["frechet"] < first["frechet"] / 4 and last["classes"] >= 5 > first["classes"]
    film = open_run(run.path).film(range(64)).astype(float)
    dark, near = (abs(film[at].mean() - mnist.pixels.mean()) for at in (0, -1))
    assert dark > 60 and near < 20


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
    epochs = [torch.cat([trainer.real.batch(4 * epoch + at)[0] for at in range(4)]).float() for epoch in range(2)]
    assert not torch.equal(*epochs)
    a, b = (np.sort(epoch.flatten(1).sum(1).numpy()) for epoch in epochs)
    np.testing.assert_array_equal(a, b)


def test_soft_labels_are_drawn_from_their_range(mnist, tmp_path):
    trainer = training.Trainer(small(PERCEPTRON), mnist, training.Options(out=tmp_path / "run", length=1))
    drawn = trainer.gan.draw((0.8, 1.0), torch.empty(1000))
    assert 0.8 <= float(drawn.min()) < 0.81 and 0.99 < float(drawn.max()) <= 1.0
    assert (trainer.gan.draw((0.9, 0.9), torch.empty(3)) == 0.9).all()


def test_the_cross_entropy_s_terms_are_their_formulas():
    """Each label from its own range, the weight of the adversarial loss in the discriminator alone."""
    recipe = small(PERCEPTRON, adversarial_weight=0.5, class_weight=3.0)
    recipe = replace(recipe, real_labels=(0.9, 1.0), fake_labels=(0.2, 0.3), generator_labels=(0.7, 0.8))
    real, fake = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    a, b = torch.arange(6) % 3, torch.arange(6) // 2

    def look(images: torch.Tensor, _: torch.Tensor) -> Verdict:
        return Verdict(images[:, 0], images[:, 1:])

    def draw(bounds: tuple[float, float], like: torch.Tensor) -> torch.Tensor:
        return torch.full_like(like, bounds[0])

    def bce(images: torch.Tensor, label: float) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(images[:, 0], torch.full((6,), label))

    loss = LOSSES["bce"]
    terms, scores = loss.discriminator(recipe, look, (real, a), (fake, b), draw)
    classes = F.cross_entropy(real[:, 1:], a), F.cross_entropy(fake[:, 1:], b)
    torch.testing.assert_close(
        terms | loss.generator(recipe, look, (real, a), (fake, b), draw),
        {
            "d_real": 0.5 * bce(real, 0.9),
            "d_fake": 0.5 * bce(fake, 0.2),
            "d_class": 3 * sum(classes),
            "g": bce(fake, 0.7),
            "g_class": 3 * classes[1],
        },
    )
    for weight, expected in ((0.0, 3 * classes[0]), (0.5, 3 * (classes[0] + classes[1] / 2))):
        other = replace(recipe, fake_class_weight=weight)
        torch.testing.assert_close(loss.discriminator(other, look, (real, a), (fake, b), draw)[0]["d_class"], expected)
    means = {"real_score": real[:, 0].sigmoid().mean(), "fake_score": fake[:, 0].sigmoid().mean()}
    torch.testing.assert_close(scores, means)


def test_the_moving_average_forgets_the_start_at_once():
    raw = nn.Linear(1, 1, bias=False)
    assert MovingAverage(raw, 0).module is raw
    nn.init.zeros_(raw.weight)
    average = MovingAverage(raw, 0.5)
    nn.init.ones_(raw.weight)
    average.update(1)
    assert average.module.weight.item() == pytest.approx(9 / 11)
    average.update(1000)
    assert average.module.weight.item() == pytest.approx(10 / 11)


def test_the_discriminator_of_a_snapshot_judges_one_image_as_it_did_in_training(tmp_path):
    place = torch.linspace(-1, 1, 64)
    centres, widths = torch.rand(2, 256, 1, 1, generator=torch.Generator().manual_seed(0)), 0.3
    blobs = torch.exp(-((place[None, :, None] - centres[0]) ** 2 + (place - centres[1]) ** 2) / widths**2)
    pixels = (255 * blobs[:, None].expand(-1, 3, -1, -1)).byte().numpy()
    narrow = {"generator_widths": (16, 16, 8, 8), "discriminator_widths": (8, 8, 16, 16), "batch_size": 16}
    recipe = replace(recipes.get("dcgan-anime"), **narrow)
    fit(recipe, Images(pixels, None, [], "anime"), tmp_path / "run", length=120, snapshots=2)
    trained = np.mean([row["real_score"] for row in Run(tmp_path / "run").read_history()[-8:]])
    alone = open_run(tmp_path / "run").verdict(pixels.transpose(0, 2, 3, 1))
    assert abs(alone.mean() - trained) < 0.1  # by the running statistics of its last batches it is 0.2


def test_epochs_are_passes_over_the_data_and_the_recipe_has_its_own():
    assert training.steps_of(100, 60_000, CONVOLUTIONAL) == 187_500
    assert training.steps_of(10, 60_000, replace(CONVOLUTIONAL, discriminator_steps=5)) == 3750
    for arguments, steps in (([], 187_500), (["--epochs", "10"], 18_750), (["--steps", "7"], 7)):
        options = cli.parse(["dcgan-mnist", *arguments])
        assert job.planned(options, CONVOLUTIONAL, 60_000) == steps


def test_a_batch_that_processes_cannot_share_evenly_is_refused():
    world = World(torch.device("cpu"))
    world.size = 2
    world.check_batch(4)
    for batch_size in (3, 2, 5):
        with pytest.raises(GanDemoError, match=f"batch size {batch_size} cannot be shared by 2 processes"):
            world.check_batch(batch_size)


def test_a_gpu_that_torchrun_did_not_name_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for word in ("x", "-1", "9999999"):
        monkeypatch.setenv("LOCAL_RANK", word)
        with pytest.raises(GanDemoError, match=f"LOCAL_RANK '{word}' names no GPU: start it with torchrun"):
            devices.choose_device("cuda")


@pytest.mark.parametrize("recipe", [PERCEPTRON])
def test_two_processes_match_one_on_the_same_global_batch(recipe, train, tmp_path):
    """torchrun with two gloo processes: averaged gradients, so the weights agree to rounding.

    Adam divides by a gradient's own size and a leaky ReLU has two slopes, so here and there a unit turns a rounding
    into a part of a step: 1 in 100 weights was off by 2e-6, none by more than 5e-5. Gradients that were
    not averaged would part nearly all weights by some 1e-3 in twelve steps.
    """
    quick = ["--steps", "12", "--batch-size", "32", "--snapshots", "3", "--device", "cpu", "--precision", "fp32"]
    arguments = [recipe.name, "--data", str(DATA), *quick, "--no-evaluate", "--out"]
    one = train(*arguments, str(tmp_path / "one"))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", "--nproc-per-node=2"]
    two = subprocess.run(
        [sys.executable, *launcher, str(ROOT / "train.py"), *arguments, str(tmp_path / "two")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    for done in (one, two):
        assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    for name, tensors in weights(tmp_path / "one").items():
        for key, value in tensors.items():
            apart = (value - weights(tmp_path / "two")[name][key]).abs().numpy()
            assert np.quantile(apart, 0.99) < 1e-5 and apart.max() < PERCEPTRON.learning_rates[0], f"{name} {key}"
    assert json.loads((tmp_path / "two" / "config.json").read_text())["steps"] == 12
    assert "OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 train.py mlp-" in reproduce.command(Run(tmp_path / "two"))
    assert "OMP_NUM_THREADS=1 python train.py mlp-" in reproduce.command(Run(tmp_path / "one"))


@pytest.mark.parametrize(("fp32", "bf16", "chosen"), [(1.2, 1.0, "bf16"), (1.05, 1.0, "fp32"), (1.0, 2.0, "fp32")])
def test_bf16_is_taken_where_it_is_a_tenth_faster(fp32, bf16, chosen, monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda _: True)
    monkeypatch.setattr(precision, "_step_seconds", lambda *_: {"fp32": fp32, "bf16": bf16})
    assert precision.choose("auto", training.CPU, PERCEPTRON, 0) == chosen


def test_both_precisions_are_measured_where_none_is_named_and_the_device_has_both(monkeypatch):
    seconds = precision._step_seconds(training.CPU, small(PERCEPTRON), 0)
    assert set(seconds) == {"fp32", "bf16"} and min(seconds.values()) > 0
    monkeypatch.setattr(precision, "_step_seconds", lambda *_: pytest.fail("measured for nothing"))
    assert precision.choose("bf16", training.CPU, PERCEPTRON, 0) == "bf16"
    monkeypatch.setattr(precision, "has_bf16", lambda _: False)
    assert precision.choose("auto", training.CPU, PERCEPTRON, 0) == "fp32"


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


def test_a_leaky_relu_is_torchs_own_and_hands_its_gradient_on_laid_out_as_its_images():
    whole = torch.randn(4, 3, 5, 5, requires_grad=True)
    images = whole.to(memory_format=torch.channels_last)
    laid_out = []
    after = LeakyReLU()(images * 1)  # it works in place, and no leaf is changed
    after.register_hook(lambda slopes: laid_out.append(slopes.is_contiguous(memory_format=torch.channels_last)))
    upward = torch.randn(4, 75)  # as behind a flatten
    (slopes,) = torch.autograd.grad(after.flatten(1), whole, upward)
    assert laid_out == [True]
    expected = torch.where(whole > 0, 1.0, 0.2) * upward.view_as(whole)
    torch.testing.assert_close(slopes, expected)


def test_every_picture_is_trained_on_with_its_own_class(tmp_path):
    pixels = np.arange(64, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 28, 28), np.uint8)
    labels = np.arange(64) % 10
    images = Images(pixels, labels, [str(digit) for digit in range(10)], "mnist")
    recipe = small(recipes.get("cdcgan-mnist"))
    trainer = training.Trainer(recipe, images, training.Options(out=tmp_path / "run", length=1))
    for batch in range(8):  # two epochs
        shown, classes = trainer.real.batch(batch)
        assert classes.tolist() == [int(labels[at]) for at in shown[:, 0, 0, 0]]


@pytest.mark.parametrize("name", ["modern-cifar10", "acgan-cifar10"])
def test_where_pairs_are_compared_the_fake_has_the_class_of_the_real_one(name):
    gan = GAN(small(recipes.get(name)), 10, World(torch.device("cpu")), torch.device("cpu"))
    real = torch.arange(16) % 10
    assert torch.equal(gan.latents(real)[1], real) == (gan.recipe.loss == "relativistic")
