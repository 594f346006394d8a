"""What a person would lose: their hours of training, or the truth about them."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DATA, ROOT, fit, small

from gan_demo import recipes, training
from gan_demo.errors import GanDemoError
from gan_demo.networks import Dropout
from gan_demo.run import Run

CONVOLUTIONAL, PERCEPTRON = recipes.get("dcgan-mnist"), recipes.get("mlp-mnist")


def weights(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The raw networks and the moving average in full precision, as a resumed run would have them."""
    state = torch.load(folder / "state" / "state.pt", weights_only=True)
    return {name: state[name] for name in ("generator", "discriminator", "average")}


def assert_same_run(a: Path, b: Path) -> None:
    """Weights, snapshots and losses are the same, bit for bit; speeds and times may differ."""
    for name, tensors in weights(a).items():
        for key, value in tensors.items():
            assert torch.equal(value, weights(b)[name][key]), f"{name} {key}"
    digests = [[(snapshot.step, snapshot.sha256) for snapshot in Run(folder).snapshots] for folder in (a, b)]
    assert digests[0] == digests[1]
    histories = [
        [{k: v for k, v in row.items() if k != "images_per_second"} for row in Run(folder).read_history()]
        for folder in (a, b)
    ]
    assert histories[0] == histories[1]


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


@pytest.mark.parametrize(
    "recipe",
    [
        small(CONVOLUTIONAL, batch_size=4, generator_widths=(32, 32, 16), discriminator_widths=(16, 32)),
        small(PERCEPTRON, discriminator_steps=2, ema=0.0),
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_stopped_and_resumed_run_ends_as_the_unbroken_one(recipe, precision, mnist, tmp_path, monkeypatch):
    length, options = 24, {"snapshots": 5, "precision": precision}
    fit(recipe, mnist, tmp_path / "unbroken", length, **options)
    step = training.Trainer.train_step
    for stop in (7, 19):  # the snapshot of the stop is not on the schedule, and must not stay

        def stopping(self, stop=stop):
            step(self)
            self.stopped_by = "SIGTERM" if self.step == stop else ""

        monkeypatch.setattr(training.Trainer, "train_step", stopping)
        stopped = fit(recipe, mnist, tmp_path / "broken", length, resume=stop > 7, **options)
        assert stopped.step == stop and stopped.run.steps[-1] == stop
    monkeypatch.setattr(training.Trainer, "train_step", step)
    fit(recipe, mnist, tmp_path / "broken", length, resume=True, **options)
    assert_same_run(tmp_path / "unbroken", tmp_path / "broken")
    files = [sorted(file.relative_to(folder) for file in folder.rglob("*")) for folder in tmp_path.iterdir()]
    assert files[0] == files[1]


def test_the_speed_after_a_resume_counts_what_was_trained_since(mnist, tmp_path, monkeypatch):
    """A stop in the middle of two log lines carries the terms over, and no images."""
    monkeypatch.setattr(training, "LOGS", 1)  # a line every hundred steps
    out, step = tmp_path / "run", training.Trainer.train_step

    def stop(trainer):
        step(trainer)
        if trainer.step == 99:
            trainer.stopped_by = "the test"

    monkeypatch.setattr(training.Trainer, "train_step", stop)
    fit(PERCEPTRON, mnist, out, length=100, snapshots=2)
    clock = iter(range(10**6))
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(clock)))  # a second for each look at it
    fit(PERCEPTRON, mnist, out, length=100, snapshots=2, resume=True)
    row = Run(out).read_history()[-1]
    assert row["step"] == 100 and 0 < row["images_per_second"] <= PERCEPTRON.batch_size


def test_a_resume_takes_the_same_pictures_and_the_same_plan(mnist, tmp_path):
    fit(small(PERCEPTRON), mnist, tmp_path / "run", 8, snapshots=3)
    others = replace(mnist, pixels=mnist.pixels[:-1], labels=mnist.labels[:-1])
    with pytest.raises(GanDemoError, match=r"on 60,000 images of mnist, and these are 59,999 .* the same --data"):
        fit(small(PERCEPTRON), others, tmp_path / "run", 16, resume=True)
    with pytest.raises(GanDemoError, match=r"at step 8 already: give --steps 8 or more"):
        fit(small(PERCEPTRON), mnist, tmp_path / "run", 5, resume=True)
    before = Run(tmp_path / "run")
    assert before.config.steps == before.config.length == 8
    fit(small(PERCEPTRON), mnist, tmp_path / "run", 64, resume=True)
    later = [step for step in training.schedule(64, 3) if step > 8]
    assert Run(tmp_path / "run").steps == [*before.steps, *later]


def command(out: Path, *more: str) -> list[str]:
    size = ("--steps", "300", "--batch-size", "8", "--snapshots", "8", "--device", "cpu", "--precision", "fp32")
    arguments = (
        "cdcgan-mnist",
        "--with",
        "slim",
        "--data",
        str(DATA),
        "--out",
        str(out),
        *size,
        "--no-evaluate",
        *more,
    )
    return [sys.executable, str(ROOT / "train.py"), *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def start(out: Path, *more: str) -> subprocess.Popen:
    return subprocess.Popen(
        command(out, *more), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the training did not get there in time"
        time.sleep(0.02)


@pytest.mark.parametrize("kills", [int(os.environ.get("GAN_DEMO_KILLS", "3"))])
def test_a_run_killed_at_random_moments_ends_as_the_unbroken_one(kills, tmp_path):
    """kill -9 with no warning; after each kill the folder opens, and --resume goes on from the last save."""
    subprocess.run(command(tmp_path / "unbroken"), env=environment(), check=True, capture_output=True)
    out, moments = tmp_path / "killed", random.Random(0)
    for kill in range(kills):
        process = start(out, *(["--resume"] if (out / "state" / "state.pt").exists() else []))
        # From the first save on, any moment will do: in a step, in a save, between two files.
        wait_for((out / "state" / "state.pt").exists)
        wait_for(lambda kill=kill, process=process: process.poll() is not None or _has_started(out, kill))
        time.sleep(moments.uniform(0, 1.2))
        process.kill()
        process.communicate()
        assert Run(out).steps[0] == 0
    subprocess.run(command(out, "--resume"), env=environment(), check=True, capture_output=True)
    assert_same_run(tmp_path / "unbroken", out)


def _has_started(out: Path, kill: int) -> bool:
    """Whether this process has logged a step, or at the first kill made the folder."""
    stamp = out / "history.csv"
    return kill == 0 or (stamp.exists() and time.time() - stamp.stat().st_mtime < 0.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_says_how_to_go_on_and_leaves_with_zero(number, tmp_path):
    process = start(tmp_path / "run")
    wait_for((tmp_path / "run" / "history.csv").exists)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert f"stopped by {number.name}; go on with" in output and "Traceback" not in output
    run = Run(tmp_path / "run")
    assert run.config.steps == run.steps[-1] > 0
    assert (tmp_path / "run" / "film.webp").exists()


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_last_good_snapshot(mnist, tmp_path):
    recipe = small(PERCEPTRON, learning_rates=(1e30, 1e30))
    with pytest.raises(GanDemoError, match=r"no longer finite at step \d+.*last snapshot: step 0"):
        fit(recipe, mnist, tmp_path / "run", length=40, snapshots=2)
    run = Run(tmp_path / "run")
    assert run.steps == [0]
    assert all(np.isfinite(value).all() for value in run.read_snapshot(0).values())


def test_a_last_update_that_ruins_the_weights_is_no_snapshot(mnist, tmp_path, monkeypatch):
    """No loss has seen it: the next step would have."""
    step = training.Trainer.train_step

    def ruin(trainer):
        step(trainer)
        if trainer.step == 4:
            with torch.no_grad():
                next(trainer.gan.generator.parameters()).view(-1)[0] = float("nan")

    monkeypatch.setattr(training.Trainer, "train_step", ruin)
    with pytest.raises(GanDemoError, match="a weight of mlp-mnist is no longer finite at step 4"):
        fit(PERCEPTRON, mnist, tmp_path / "run", length=4, snapshots=2)
    assert Run(tmp_path / "run").steps == [0]
    assert all(np.isfinite(value).all() for value in Run(tmp_path / "run").read_snapshot(0).values())


def test_a_full_disk_stops_with_one_clear_line_and_an_intact_folder(mnist, tmp_path, monkeypatch):
    """The disk fills up while the third snapshot is written."""
    from gan_demo import run as run_module

    write, written = run_module.os.fsync, []

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > 25:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(descriptor)

    monkeypatch.setattr(run_module.os, "fsync", full)
    with pytest.raises(GanDemoError, match=r"disk is full.*--resume"):
        fit(small(PERCEPTRON), mnist, tmp_path / "run", length=30, snapshots=8)
    monkeypatch.undo()
    run = Run(tmp_path / "run")
    assert run.steps and all(run.read_snapshot(step) for step in run.steps)
    assert not list((tmp_path / "run").rglob("*.part"))
    fit(small(PERCEPTRON), mnist, tmp_path / "run", length=30, snapshots=8, resume=True)
    assert Run(tmp_path / "run").steps[-1] == 30


def test_a_folder_removed_while_it_trains_ends_in_one_line_and_stays_away(tmp_path):
    process = start(tmp_path / "run", "--steps", "9000")
    wait_for((tmp_path / "run" / "history.csv").exists)
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2 and "Traceback" not in output, output
    assert f"{tmp_path / 'run'} is gone: it was removed or renamed while it was trained" in output
    assert not (tmp_path / "run").exists()


def test_of_two_trainings_into_one_folder_the_second_is_refused_and_the_first_named(tmp_path):
    first = start(tmp_path / "run", "--steps", "9000")
    wait_for((tmp_path / "run" / "state" / "state.pt").exists)
    before = Run(tmp_path / "run").config
    for more in ([], ["--resume"]):
        second = subprocess.run(
            command(tmp_path / "run", *more), env=environment(), capture_output=True, text=True, check=False
        )
        assert second.returncode == 2 and len(second.stderr.strip().splitlines()) == 1, second.stderr
        assert f"is being trained by process {first.pid} on " in second.stderr
    now = Run(tmp_path / "run").config
    assert replace(now, steps=before.steps, seconds=before.seconds) == before  # the first goes on
    first.kill()
    first.communicate()
    assert (tmp_path / "run" / "state" / "lock").exists()  # and locks nothing any more
    saved = (tmp_path / "run" / "state" / "state.pt").stat().st_mtime_ns
    third = start(tmp_path / "run", "--resume", "--steps", "9000")  # it hears signals once it trains
    wait_for(lambda: (tmp_path / "run" / "state" / "state.pt").stat().st_mtime_ns > saved)
    third.send_signal(signal.SIGTERM)
    output, _ = third.communicate(timeout=60)
    assert third.returncode == 0, output
    assert not (tmp_path / "run" / "state" / "lock").exists()


def test_snapshots_are_many_early_and_always_hold_the_first_and_the_last_step():
    steps = training.schedule(187_500, 32)
    gaps = np.diff(steps)
    assert steps[0] == 0 and steps[-1] == 187_500 and len(steps) == 32
    assert (np.diff(gaps) >= -1).all() and steps[10] < 0.01 * steps[-1]
    assert training.schedule(3, 32) == [0, 1, 2, 3]


def test_a_longer_length_goes_on_from_a_finished_run(mnist, tmp_path):
    fit(small(PERCEPTRON), mnist, tmp_path / "run", length=10, snapshots=3)
    fit(small(PERCEPTRON), mnist, tmp_path / "run", length=20, snapshots=3, resume=True)
    run = Run(tmp_path / "run")
    assert run.steps[-1] == 20 and 10 in run.steps and run.config.length == 20


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
        done = subprocess.run([*launcher, *arguments], env=environment(), capture_output=True, text=True, check=False)
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
