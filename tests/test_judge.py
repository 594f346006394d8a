"""What a person would lose: figures that mean something."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors
import torch
from conftest import DATA, ROOT, fit, small
from PIL import Image

from gan_demo import data, judge, pictures, recipes
from gan_demo.errors import GanDemoError
from gan_demo.pictures import Images
from gan_demo.player import Player, open_run
from gan_demo.run import Run

MARKS = {"mnist": 0.99, "fashion-mnist": 0.91, "cifar10": 0.80}


@pytest.fixture(scope="module")
def held_out():
    """The 10,000 digits of MNIST's test split."""
    return data.load(recipes.get("dcgan-mnist"), DATA, train=False)[0]


@pytest.mark.parametrize("name", MARKS)
def test_each_judge_is_small_and_as_good_as_it_must_be(name):
    path = judge.JUDGES / f"{name}.safetensors"
    assert path.stat().st_size < 1e6
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata()
    assert float(metadata["accuracy"]) >= MARKS[name] and int(metadata["tested"]) >= 5000


def test_every_tenth_image_of_each_class_is_kept_from_a_judge_that_has_no_test_split():
    pixels = np.arange(100, dtype=np.uint8).reshape(-1, 1, 1, 1)
    labels = np.random.default_rng(0).integers(0, 10, 100)
    learnt, of_learnt, kept, of_kept = judge._split(Images(pixels, labels, [], "cifar10"), "", "cifar10")
    assert sorted([*learnt.flat, *kept.flat]) == list(range(100))
    assert list(kept.flat) == sorted(at for label in range(10) for at in np.flatnonzero(labels == label)[::10])
    assert (of_learnt == labels[learnt.flat]).all() and (of_kept == labels[kept.flat]).all()


def test_a_judge_that_is_made_anew_says_how_often_it_is_right(mnist, held_out, tmp_path, monkeypatch):
    few = {True: replace(mnist, pixels=mnist.pixels[:3000], labels=mnist.labels[:3000])}
    few[False] = replace(held_out, pixels=held_out.pixels[:700], labels=held_out.labels[:700])
    monkeypatch.setattr(judge, "JUDGES", tmp_path)
    monkeypatch.setitem(judge.EPOCHS, "mnist", 3)
    monkeypatch.setattr(data, "load", lambda recipe, _, train=True: (few[train], recipe))
    judge.fit("mnist", DATA)
    made = judge.Judge("mnist")
    _, probabilities = made.look(few[False].pixels.transpose(0, 2, 3, 1))
    right = (probabilities.argmax(1) == few[False].labels).mean()
    assert made.tested == 700 and made.accuracy == pytest.approx(right, abs=1e-4) and right > 0.8


def test_the_stated_accuracy_is_the_true_one(held_out):
    network = judge.Judge("mnist")
    _, probabilities = network.look(held_out.pixels.transpose(0, 2, 3, 1))
    assert (probabilities.argmax(1) == held_out.labels).mean() == pytest.approx(network.accuracy, abs=1e-3)


def test_the_frechet_distance_of_two_normal_clouds_is_the_known_one():
    random = np.random.default_rng(0)
    a = random.normal(0, 1, (200_000, 3))
    b = random.normal([1, 0, 0], 2, (200_000, 3))
    # |mean|^2 + tr(1 + 4 - 2 * 2) = 1 + 3
    assert judge.frechet(a, b) == pytest.approx(4, abs=0.05) and judge.frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_distances_grow_with_the_damage(held_out):
    """Real digits are near real digits, blurred ones farther, noise farthest; for both measures."""
    real = held_out.pixels.transpose(0, 2, 3, 1)
    a, b = real[:1000], real[1000:2000]
    blurred = (b.astype(int) + np.roll(b, 1, 1) + np.roll(b, 1, 2) + np.roll(b, (1, 1), (1, 2))) // 4
    noise = np.random.default_rng(0).integers(0, 256, b.shape)
    for measure in (judge._Classified("mnist", a), judge._Sliced(a)):
        near, far, farthest = (measure(x.astype(np.uint8), None)[measure.name] for x in (b, blurred, noise))
        assert near < 0.7 * far < 0.7 * farthest


def test_patches_are_the_same_however_many_pictures_are_cut_at_a_time(held_out, monkeypatch):
    pixels, found = held_out.pixels[:50].transpose(0, 2, 3, 1), []
    for chunk in (7, 50):
        monkeypatch.setattr(judge, "CHUNK", chunk)
        found.append(judge.descriptors(pixels))
    assert len(found[0]) == 2
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_collapsed_generator_is_seen_by_its_diversity(held_out):
    real = held_out.pixels.transpose(0, 2, 3, 1)
    measure = judge._Classified("mnist", real[:1000])
    order = np.argsort(held_out.labels[1000:3000], kind="stable")
    labels = held_out.labels[1000:3000][order]
    one_each = real[1000:3000][order][np.searchsorted(labels, labels)]
    assert measure(real[1000:3000][order], labels)["diversity"] == pytest.approx(1, abs=0.25)
    assert measure(one_each, labels)["diversity"] < 0.05
    assert measure(one_each, labels)["accuracy"] > 0.8


def test_every_snapshot_has_its_figures_beside_the_floor(digits_run):
    metrics = json.loads((digits_run / "metrics.json").read_text())
    steps = [row["step"] for row in metrics["snapshots"]]
    assert steps == Run(digits_run).steps and metrics["best"] in steps
    assert metrics["measure"] == "frechet" and metrics["images"] == 2000 and "MNIST" in metrics["judge"]
    assert all({"frechet", "accuracy", "diversity", "classes"} <= set(row) for row in metrics["snapshots"])
    assert 0 < metrics["floor"] < min(row["frechet"] for row in metrics["snapshots"])
    best = next(row for row in metrics["snapshots"] if row["step"] == metrics["best"])
    assert [row["guidance"] for row in metrics["guidance"]] == [1, 1.25, 1.5, 2]
    assert all(metrics["guidance"][0][name] == best[name] for name in best.keys() - {"step"})  # 1 is as it was trained
    assert metrics["guidance"][0] != metrics["guidance"][2]


def test_a_run_at_another_size_is_judged_at_the_size_that_the_judge_knows(held_out):
    pixels = held_out.pixels[:200]
    network = judge.Judge(held_out.name)
    right = (
        network.look(pictures.resize(pixels, 56).transpose(0, 2, 3, 1))[1].argmax(1) == held_out.labels[:200]
    ).mean()
    assert right > 0.95


def test_few_pictures_of_a_known_data_set_are_judged_by_their_patches(mnist, tmp_path):
    """In 20 digits of which 10 are the reference a classifier may find no two of one class."""
    few = replace(mnist, pixels=mnist.pixels[:20], labels=mnist.labels[:20])
    trainer = fit(small(recipes.get("mlp-mnist"), batch_size=4), few, tmp_path / "run", 2, snapshots=2)
    metrics = judge.evaluate(trainer.run, Player(trainer.run).generate, few)
    assert metrics["measure"] == "swd" and [row["step"] for row in metrics["snapshots"]] == [0, 2]


def test_a_judge_is_not_trained_on_a_few_pictures(mnist, tmp_path, monkeypatch):
    few = replace(mnist, pixels=mnist.pixels[:127], labels=mnist.labels[:127])
    monkeypatch.setattr(data, "load", lambda *_, **__: (few, None))
    with pytest.raises(GanDemoError, match="127 images to train a judge on: give 128 or more"):
        judge.fit("mnist", tmp_path)


def test_a_judge_is_not_trained_on_a_persons_own_pictures(tmp_path):
    for index in range(128):
        Image.new("L", (28, 28), index).save(tmp_path / f"{index}.png")
    with pytest.raises(GanDemoError, match="holds pictures of its own, not MNIST"):
        judge.fit("mnist", tmp_path)


def test_the_best_snapshot_is_the_one_nearest_to_real_pictures(mnist, tmp_path):
    few = replace(mnist, pixels=mnist.pixels[:400], labels=mnist.labels[:400])
    widths = {"generator_widths": (16, 16, 16), "discriminator_widths": (16, 16)}
    trainer = fit(small(recipes.get("cdcgan-mnist"), **widths), few, tmp_path / "run", 2, snapshots=3)

    def paint(seeds, classes, step, *, guidance=None):  # noise, real digits, one digit
        real = mnist.pixels[400 : 400 + len(seeds)].transpose(0, 2, 3, 1)
        noise = np.random.default_rng(0).integers(0, 256, real.shape).astype(np.uint8)
        return {0: noise, 1: real, 2: real[:1].repeat(len(seeds), 0)}[step]

    metrics = judge.evaluate(trainer.run, paint, few)
    assert metrics["best"] == 1
    assert [row["classes"] for row in metrics["snapshots"]][1:] == [10, 1]


def test_the_sliced_wasserstein_distance_is_the_known_one():
    a = [torch.zeros(100, 8)]
    b = [torch.zeros(100, 8)]
    b[0][:, 0] = 1  # each slice is off by its first coordinate
    slices = torch.randn(8, 256, generator=torch.Generator().manual_seed(1))
    wanted = 1000 * float((slices / slices.norm(dim=0))[0].abs().mean())
    assert judge.sliced_wasserstein(a, b) == pytest.approx(wanted, rel=1e-5)


JUDGED = [
    path.parent.name
    for path in sorted((ROOT / "checkpoints").glob("*/metrics.json"))
    if "accuracy" in json.loads(path.read_text())["snapshots"][0]
]


@pytest.mark.parametrize("name", JUDGED)
def test_a_judge_finds_again_what_a_shipped_run_s_metrics_say(name):
    player = open_run(ROOT / "checkpoints" / name)
    metrics = player.run.read_metrics()
    told = next(row["accuracy"] for row in metrics["snapshots"] if row["step"] == metrics["best"])
    seeds = range(judge.FIRST_SEED, judge.FIRST_SEED + 500)
    seen = judge.Judge(player.config.dataset).look(player.generate(seeds, step=metrics["best"]))[1].argmax(1)
    assert (seen == np.array(seeds) % 10).mean() == pytest.approx(told, abs=0.05)
