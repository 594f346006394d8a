"""What a person would lose: the right picture for a seed, a class and a step."""

import json
import shutil

import numpy as np
import pytest
import torch
from conftest import ROOT, fit, small
from PIL import Image
from safetensors.torch import load_file

from gan_demo import film, inference, latents, recipes
from gan_demo.errors import GanDemoError
from gan_demo.judge import Judge
from gan_demo.networks import build_discriminator
from gan_demo.player import open_run

SHIPPED = sorted(path.parent.name for path in (ROOT / "checkpoints").glob("*/config.json"))
MULTIPLIES_BF16 = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


@pytest.fixture(scope="module")
def player(digits_run):
    return open_run(digits_run)


def test_the_players_facts(player, digits_run):
    assert player.name == digits_run.name and player.recipe == "cdcgan-mnist"
    assert player.classes == list("0123456789") and player.image_shape == (28, 28, 1)
    assert player.steps[0] == 0 and player.steps[-1] == 60


def test_a_seed_is_the_same_picture_alone_and_in_any_batch(player):
    many = player.generate(range(40))
    assert many.shape == (40, 28, 28, 1) and many.dtype == np.uint8
    for seed in (0, 17, 39):
        np.testing.assert_array_equal(player.generate([seed])[0], many[seed])
    np.testing.assert_array_equal(player.generate([39, 3])[0], many[39])


def test_a_class_changes_the_picture_and_none_means_the_seed_modulo_the_classes(player):
    three, eight = player.generate([5, 5], classes=[3, 8])
    assert (three != eight).any()
    np.testing.assert_array_equal(player.generate([13])[0], player.generate([13], classes=[3])[0])


def test_guidance_is_the_recipe_s_where_none_is_asked_for(player, digits_run, tmp_path):
    shutil.copytree(digits_run, tmp_path / "guided")
    config = json.loads((tmp_path / "guided" / "config.json").read_text())
    assert "guidance" not in config["hyperparameters"]  # as in every run of before
    np.testing.assert_array_equal(player.generate([5]), player.generate([5], guidance=1))
    config["hyperparameters"]["guidance"] = 2.0
    (tmp_path / "guided" / "config.json").write_text(json.dumps(config))
    guided, wanted = open_run(tmp_path / "guided"), player.generate([5], guidance=2)
    assert (wanted != player.generate([5])).any()
    np.testing.assert_array_equal(guided.generate([5]), wanted)
    assert guided.run.revision != player.run.revision  # else a page would go on showing what it kept
    np.testing.assert_array_equal(guided.film([5])[-1], wanted)
    np.testing.assert_array_equal(guided.interpolate(5, 6, 2)[0], wanted[0])
    np.testing.assert_array_equal(player.film([5], guidance=2)[-1], wanted)
    np.testing.assert_array_equal(player.interpolate(5, 6, 2, guidance=2)[0], wanted[0])
    np.testing.assert_array_equal(player.pad([5, 6, 7, 8], 2, guidance=2)[0], wanted[0])


def test_guidance_shows_more_of_the_classes_asked_for():
    """Of the shipped run, by the judge: 70.7% of 2,000 as trained, 85.6% at 1.5."""
    player, judge = open_run(ROOT / "checkpoints" / "acgan-cifar10"), Judge("cifar10")
    seeds = range(10_000, 10_300)

    def as_asked(guidance: float) -> float:
        seen = judge.look(player.generate(seeds, guidance=guidance))[1].argmax(1)
        return float((seen == np.array(seeds) % 10).mean())

    assert as_asked(0) < 0.2 < as_asked(1) + 0.05 < as_asked(1.5)


def test_a_step_between_two_snapshots_is_the_one_before(player):
    at, after = player.steps[2], player.steps[3]
    assert after > at + 1
    np.testing.assert_array_equal(player.generate([1], step=after - 1), player.generate([1], step=at))
    np.testing.assert_array_equal(player.generate([1], step=10**9), player.generate([1]))


def test_a_film_is_every_snapshots_picture_of_the_same_seeds(player):
    frames = player.film([4, 9], classes=[1, 2])
    assert frames.shape == (len(player.steps), 2, 28, 28, 1)
    for index, step in enumerate(player.steps):
        np.testing.assert_array_equal(frames[index], player.generate([4, 9], [1, 2], step))
    assert (frames[0] != frames[-1]).any()


def test_a_walk_holds_both_its_ends(player):
    walk = player.interpolate((3, 1), (8, 2), 7)
    np.testing.assert_array_equal(walk[0], player.generate([3], [1])[0])
    np.testing.assert_array_equal(walk[-1], player.generate([8], [2])[0])
    np.testing.assert_array_equal(player.interpolate(3, 8, 7, classes=[1, 2]), walk)
    np.testing.assert_array_equal(player.interpolate(3, 8, 5, classes=4)[0], player.generate([3], [4])[0])
    ends = player.interpolate(3, (8, 5), 2)  # an end that names no class has its seed's
    np.testing.assert_array_equal(ends, np.concatenate([player.generate([3], [3]), player.generate([8], [5])]))
    assert player.interpolate(3, 8, 1).shape == (1, 28, 28, 1)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda p: p.generate([-1]), "seed -1|seed '-1'"),
        (lambda p: p.generate([2**64]), "seed"),
        (lambda p: p.generate([1], classes=[10]), "class"),
        (lambda p: p.generate([1, 2], classes=[1]), "1 classes for 2 seeds"),
        (lambda p: p.generate([1], step=-1), "step"),
        (lambda p: p.generate([1], truncation=2), "truncation"),
        (lambda p: p.generate([1], guidance=4), "guidance"),
        (lambda p: p.interpolate(1, 2, 0), "frames"),
        (lambda p: p.interpolate(1, 2, 5, classes=[]), "no class is named"),
        (lambda p: p.interpolate(1, 2, "many"), "frames"),
    ],
)
def test_what_will_not_do_is_said(call, names, player):
    with pytest.raises(GanDemoError, match=names):
        call(player)


def test_an_unconditional_run_says_that_it_knows_no_classes(mnist, tmp_path):
    fit(recipes.get("mlp-mnist"), mnist, tmp_path / "run", length=2, snapshots=2)
    player = open_run(tmp_path / "run")
    assert player.classes is None and player.generate([1]).shape == (1, 28, 28, 1)
    with pytest.raises(GanDemoError, match="knows no classes: leave guidance out"):
        player.generate([1], guidance=1)
    with pytest.raises(GanDemoError, match="knows no classes"):
        player.generate([1], classes=[0])


def test_eight_bits_change_the_pictures_by_under_one_percent_and_keep_a_history_small(mnist, tmp_path):
    """The MLP of 1.5M parameters: 48 snapshots under 75 MB, pictures under 1% of the range from full precision."""
    from gan_demo.latents import latents
    from gan_demo.weights import load_weights

    trainer = fit(small(recipes.get("mlp-mnist")), mnist, tmp_path / "run", length=40, snapshots=3)
    assert 48 * trainer.run.snapshots[-1].bytes < 75e6
    exact = trainer.gan.average.module
    full = load_weights((tmp_path / "run" / "model.safetensors").read_bytes(), "model")
    exact.load_state_dict({name: torch.from_numpy(value) for name, value in full.items()})
    with torch.inference_mode():
        pictures = exact(torch.from_numpy(latents(range(200), 100))).permute(0, 2, 3, 1).numpy() * 127.5 + 127.5
    shown = open_run(tmp_path / "run").generate(range(200)).astype(float)
    assert 0 < np.abs(shown - pictures).mean() < 0.01 * 255


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_run_still_paints_what_its_training_drew(name):
    player = open_run(ROOT / "checkpoints" / name)
    for step in (player.steps[0], player.steps[len(player.steps) // 2], player.steps[-1]):
        with Image.open(ROOT / "checkpoints" / name / f"samples/step-{step:08d}.png") as drawn:
            apart = np.abs(np.asarray(drawn, float) - film.grid(player.generate(range(16), step=step), 4).squeeze())
        assert apart.mean() < 0.01 * 255  # the weights are in 8 bit


@pytest.mark.skipif(not MULTIPLIES_BF16, reason="bf16 needs a processor with AVX-512")
@pytest.mark.parametrize("name", SHIPPED)
def test_nobody_can_see_in_what_arithmetic_a_film_was_painted(name, monkeypatch):
    films = []
    for coarse in (True, False):
        monkeypatch.setattr(inference, "BF16", coarse)
        player = open_run(ROOT / "checkpoints" / name)
        films.append(player.film(range(16)).astype(int))
    levels = np.abs(films[0] - films[1])
    most, as_near = (36, 0.95) if player.run.config.as_recipe().network == "residual" else (6, 0.999)
    assert levels.max() <= most and (levels <= 2).mean() > as_near
    assert levels.any() == (player.run.config.as_recipe().network != "mlp")


def test_a_sheet_cuts_up_into_the_films_frames(player):
    from io import BytesIO

    from PIL import Image

    frames = player.film(range(16))
    data, layout = film.sheet(frames)
    sheet = np.asarray(Image.open(BytesIO(data)).convert("L")).astype(float)
    width, height = layout["frame_width"], layout["frame_height"]
    for index in range(len(frames)):
        row, column = divmod(index, layout["frame_columns"])
        cut = sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]
        assert np.abs(cut - film.grid(frames[index], layout["tile_columns"])[:, :, 0]).mean() < 8
    assert max(sheet.shape) <= film.MAX_SIDE


def test_a_network_too_large_to_be_honest_is_refused_before_it_is_allocated(digits_run, tmp_path):
    import json
    import shutil

    folder = shutil.copytree(digits_run, tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config["hyperparameters"]["generator_widths"] = [8192, 8192, 8192]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(GanDemoError, match=r"parameters, more than 100,000,000: choose"):
        open_run(folder)


def test_a_verdict_is_the_sigmoid_of_the_discriminators_own_number(digits_run):
    player = open_run(digits_run)
    images, classes = player.generate(range(20)), [seed % 10 for seed in range(20)]
    network = build_discriminator(player.config.as_recipe(), 10).eval()
    network.load_state_dict(load_file(digits_run / "discriminator.safetensors"), strict=False)
    with torch.inference_mode():
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
        wanted = network(x, torch.eye(10)[classes]).source.sigmoid().numpy()
    np.testing.assert_allclose(player.verdict(images, classes), wanted, atol=1e-5)
    assert np.ptp(wanted) > 0


def test_a_closed_or_a_straight_walk_a_pad_and_truncation_paint_these_latents(digits_run, monkeypatch):
    player, seen = open_run(digits_run), []
    monkeypatch.setattr(player, "_render", lambda z, weights, steps: seen.append((z, weights)) or [z])
    a, b, c, d = latents.latents([3, 9, 10, 4], 16)
    player.walk([(3, 3), (9, 8)], 4, closed=True)
    half = np.array([0.5])
    z, weights = seen.pop()
    np.testing.assert_allclose(z, [a, latents.slerp(a, b, half)[0], b, latents.slerp(b, a, half)[0]], atol=1e-5)
    assert weights[1, 3] == weights[1, 8] == weights[3, 3] == 0.5
    player.walk([3, 9], 3, straight=True)
    np.testing.assert_allclose(seen.pop()[0][1], (a + b) / 2, atol=1e-5)
    player.pad([(3, 0), (9, 1), (10, 2), (4, 3)], 3)
    z, weights = seen.pop()
    np.testing.assert_allclose(z[[0, 2, 6, 8]], [a, b, c, d], atol=1e-5)  # read as a page is
    np.testing.assert_allclose(weights[[0, 2, 6, 8], :4], np.eye(4), atol=1e-6)
    np.testing.assert_allclose(z[1], latents.slerp(a, b, half)[0], atol=1e-5)
    np.testing.assert_allclose(weights[4, :4], [0.25] * 4)
    player.generate([3], truncation=0.5)
    np.testing.assert_allclose(seen.pop()[0][0], a / 2, atol=1e-6)
