"""What a person would lose: a run folder that opens, or the word that says why it does not."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gan_demo import film
from gan_demo.errors import GanDemoError
from gan_demo.player import open_run
from gan_demo.run import Run, folders
from gan_demo.ui.facts import quality
from gan_demo.weights import dequantize, halve, load_weights, quantize, save_weights


def edit(path, change) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.fixture
def folder(digits_run, tmp_path):
    return shutil.copytree(digits_run, tmp_path / "run")


def test_the_folder_holds_what_the_contract_lists(folder):
    run = Run(folder)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "config.json", "model.safetensors", "discriminator.safetensors", "history.csv", "metrics.json",
        "film.webp", "film.json", "README.md", "snapshots/index.json", "state/state.pt", "samples/real.png",
        "curves.png", "samples/training.webp",
        *(f"snapshots/step-{step:08d}.safetensors" for step in run.steps),
        *(f"samples/step-{step:08d}.png" for step in run.steps),
    }  # fmt: skip
    assert run.config.recipe == "cdcgan-mnist" and run.config.dataset == "mnist" and run.config.dataset_images == 60_000
    assert run.config.classes == list("0123456789") and run.config.image_shape == [28, 28, 1]
    assert run.config.steps == run.config.length == run.steps[-1] == 60
    last = run.snapshots[-1]
    assert last.images == 60 * 16 and last.epoch == pytest.approx(60 / 3750)
    assert (folder / "snapshots" / last.file).stat().st_size == last.bytes


def test_the_samples_show_what_each_snapshot_generates(folder):
    player = open_run(folder)
    for step in player.steps:
        sample = np.asarray(Image.open(folder / f"samples/step-{step:08d}.png"), float)
        grid = film.grid(player.generate(range(16), step=step), 4)[:, :, 0]
        assert np.abs(sample - grid).mean() < 2, step


def test_a_config_survives_the_way_to_the_disk_and_back(folder):
    run = Run(folder)
    run.write_config(run.config)
    assert Run(folder).config == run.config
    recipe = run.config.as_recipe()
    assert recipe.batch_size == 16 and recipe.latent_size == 16 and recipe.generator_widths == (64, 64, 32)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda c: c.update(format=2), "newer than this version reads"),
        (lambda c: c.pop("seed"), "lacks the key 'seed'"),
        (lambda c: c.update(surprise=1), "unknown key 'surprise'"),
        (lambda c: c.update(latent_size="16"), "'latent_size'"),
        (lambda c: c.update(latent_size=10**9), "'latent_size' is out of range"),
        (lambda c: c.update(image_shape=[28, 28]), "'image_shape' is out of range"),
        (lambda c: c.update(image_shape=[10**6, 10**6, 3]), "'image_shape' is out of range"),
        (lambda c: c["hyperparameters"].update(generator_widths=[10**9, 1, 1]), "'generator_widths' is out of range"),
        (lambda c: c["hyperparameters"].update(generator_widths=[8, 8, 8, 8]), "other widths than its network"),
        (lambda c: c["hyperparameters"].update(discriminator_dropout=2.0), "'discriminator_dropout' is out of range"),
        (lambda c: c["hyperparameters"].pop("betas"), "hyperparameters lacks the key 'betas'"),
        (lambda c: c["hyperparameters"].update(network="../x"), "no network is called"),
        (lambda c: c.update(classes=None), "'conditional' is out of range"),
        (lambda c: c.update(seconds=float("nan")), "'seconds'"),
    ],
)
def test_a_config_that_cannot_be_read_back_is_refused_with_the_keys_name(change, names, folder):
    edit(folder / "config.json", change)
    with pytest.raises(GanDemoError, match=names):
        open_run(folder)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda entry: entry.update(file="../../config.json"), "no snapshot's name"),
        (lambda entry: entry.update(step=7), "no snapshot's name for step 7"),
        (lambda entry: entry.pop("sha256"), "lacks the key 'sha256'"),
    ],
)
def test_an_index_that_points_elsewhere_is_refused(change, names, folder):
    edit(folder / "snapshots" / "index.json", lambda index: change(index["snapshots"][1]))
    with pytest.raises(GanDemoError, match=names):
        Run(folder)


def test_an_index_out_of_order_is_refused(folder):
    edit(folder / "snapshots" / "index.json", lambda index: index["snapshots"].reverse())
    with pytest.raises(GanDemoError, match="the steps are not in order"):
        Run(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda metrics: metrics.update(snapshots=5),
        lambda metrics: metrics.update(snapshots=[1]),
        lambda metrics: metrics["snapshots"].pop(),
        lambda metrics: metrics["snapshots"][0].update(step="0"),
        lambda metrics: metrics["snapshots"][0].pop("frechet"),
        lambda metrics: metrics.update(measure=["frechet"]),
        lambda metrics: metrics.update(measure="taste"),
        lambda metrics: metrics.update(best=7),
        lambda metrics: metrics.update(judge=None),
        lambda metrics: metrics.pop("floor"),
        lambda metrics: metrics.update(guidance=[{"guidance": None}]),
    ],
)
def test_a_verdict_is_of_every_snapshot_or_none_at_all(folder, damage):
    metrics = json.loads((folder / "metrics.json").read_text())
    steps = Run(folder).steps
    whole = {"judge": "MNIST", "images": 100, "floor": 0.1, "best": steps[-1], "measure": "frechet"}
    metrics |= whole | {"snapshots": [{"step": step, "frechet": 1.0} for step in steps]}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert Run(folder).read_verdict() == metrics
    edit(folder / "metrics.json", damage)
    assert Run(folder).read_verdict() is None


def test_what_is_of_a_newer_format_is_refused_or_left_out(folder):
    run = Run(folder)
    assert run.read_metrics()["format"] == 1 and quality(run)
    edit(folder / "metrics.json", lambda metrics: metrics.update(format=2))
    assert run.read_metrics() is None and quality(run) is None
    edit(folder / "snapshots" / "index.json", lambda index: index.pop("format"))
    assert Run(folder).steps == run.steps
    edit(folder / "snapshots" / "index.json", lambda index: index.update(format=2))
    with pytest.raises(
        GanDemoError, match=r"index.json is of format 2, newer than this version reads \(1\): update it"
    ):
        Run(folder)


def test_a_source_is_a_run_or_a_folder_of_them(folder, tmp_path):
    for name in (".ipynb_checkpoints", "only-state/state"):
        (tmp_path / name).mkdir(parents=True)
    assert folders(folder) == [folder]
    assert folders(str(tmp_path)) == [folder]
    for source, says in (
        (tmp_path / "only-state", "holds no run folder: train one"),
        (tmp_path / "nothing", "is no folder: give a run folder"),
        (folder / "config.json", "is no folder: give a run folder"),
        (tmp_path / ("x" * 300), "cannot be read .File name too long.: give a run folder"),
    ):
        with pytest.raises(GanDemoError, match=says):
            folders(source)


def test_a_film_that_fits_on_no_sheet_is_left_out(folder, monkeypatch):
    assert film.fits(film.layout(64, 1, 512, 512)) and not film.fits(film.layout(65, 1, 512, 512))
    player = open_run(folder)
    monkeypatch.setattr(film, "MAX_SIDE", 28 * 2)
    player.write_ready_film()
    assert not list(folder.glob("film.*"))
    monkeypatch.setattr(film, "MAX_SIDE", 28 * 6)  # some tiles of each step
    player.write_ready_film()
    assert 1 <= json.loads((folder / "film.json").read_text())["tiles"] < film.TILES
    assert Run(folder).ready_film()


def test_damaged_files_are_named(folder):
    run = Run(folder)
    file = folder / "snapshots" / run.snapshots[2].file
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    with pytest.raises(GanDemoError, match=rf"{file.name} is damaged .its sha256"):
        run.read_snapshot(run.steps[2])
    file.unlink()
    with pytest.raises(GanDemoError, match=rf"{file.name} cannot be read"):
        run.read_snapshot(run.steps[2])
    (folder / "config.json").write_text("{")
    with pytest.raises(GanDemoError, match=r"config.json is damaged"):
        Run(folder)
    with pytest.raises(GanDemoError, match="is no run folder"):
        Run(folder / "snapshots")


def test_no_folder_is_made_that_would_not_open_again(folder, tmp_path):
    config = replace(Run(folder).config, classes=[str(index) for index in range(1001)])
    with pytest.raises(GanDemoError, match="the key 'classes' is out of range"):
        Run.create(tmp_path / "new", config)
    assert not (tmp_path / "new").exists()


def test_weights_with_nan_or_a_false_header_are_refused():
    with pytest.raises(GanDemoError, match="'w' holds numbers that are no finite float32"):
        load_weights(save_weights({"w": np.array([np.nan], np.float32)}, {}), "x")
    for data in (b"", b"\x80\x04pickle", (10**12).to_bytes(8, "little") + b"{}"):
        with pytest.raises(GanDemoError, match="x is damaged"):
            load_weights(data, "x")


def test_a_scale_of_nothing_is_refused():
    """It would be dropped unseen, however large."""
    ones, eight = np.ones((2, 2), np.float32), np.ones((2, 2), np.int8)
    for weights in ({"w": ones, "junk.scale": ones}, {"w": ones, "w.scale": ones}):
        with pytest.raises(GanDemoError, match="scale' is the scale of none in 8 bit"):
            load_weights(save_weights(weights, {}), "x")
    assert set(load_weights(save_weights({"w": eight, "w.scale": ones}, {}), "x")) == {"w", "w.scale"}


def test_half_precision_keeps_kernels_to_eleven_bits_and_the_rest_as_it_is():
    random = np.random.default_rng(0)
    kernel, small, large = random.normal(size=(64, 3, 4, 4)), np.full(3, 1e-9), np.full((2, 2), 1e6)
    weights = {name: value.astype(np.float32) for name, value in (("k", kernel), ("s", small), ("l", large))}
    data = save_weights(halve(weights), {})
    read = load_weights(data, "x")
    assert len(data) < kernel.size * 2 + 500 and all(value.dtype == np.float32 for value in read.values())
    assert (np.abs(read["k"] - weights["k"]) <= np.abs(weights["k"]) / 2048 + 3e-8).all()
    assert np.array_equal(read["s"], weights["s"]) and np.array_equal(read["l"], weights["l"])


def test_what_is_in_eight_bits_already_is_not_halved():
    weights = {"layer": np.random.default_rng(0).normal(0, 0.02, (64, 32)).astype(np.float32)}
    stored = quantize(weights, {"layer": 0})
    back = dequantize(load_weights(save_weights(halve(stored), {}), "here"))
    assert np.abs(back["layer"] - weights["layer"]).max() < 0.001


def test_a_history_of_any_length_is_read_so_far(folder, monkeypatch):
    monkeypatch.setattr("gan_demo.run.MAX_ROWS", 3)
    (folder / "history.csv").write_text("step,g\n" + "".join(f"{step},0.5\n" for step in range(1, 9)))
    assert [row["step"] for row in Run(folder).read_history()] == [1, 2, 3]
    (folder / "history.csv").write_text(",".join(["step", *map(str, range(200))]) + "\n" + ",".join("1" * 201) + "\n")
    assert Run(folder).read_history() == []
    (folder / "history.csv").write_text(f"step,{'x' * 65}\n1,1\n")
    assert Run(folder).read_history() == []
    monkeypatch.setattr("gan_demo.run.MAX_CELLS", 4)
    (folder / "history.csv").write_text("step,g\n" + "".join(f"{step},0.5\n" for step in range(1, 9)))
    assert [row["step"] for row in Run(folder).read_history()] == [1, 2]
    Run(folder).rewind(7)  # a resume forgets no more than what came after
    assert [row["step"] for row in Run(folder).read_history(whole=True)] == [1, 2, 3, 4, 5, 6, 7]


def test_snapshots_that_cannot_be_looked_at_are_one_line(folder):
    for path in (folder / "snapshots").iterdir():
        path.unlink()
    (folder / "snapshots").rmdir()
    (folder / "snapshots").symlink_to("snapshots")
    with pytest.raises(GanDemoError, match=r"snapshots.index\.json cannot be read"):
        Run(folder)


def test_eight_bits_with_a_scale_a_row_err_by_half_a_step_at_most():
    random = np.random.default_rng(0)
    weight = random.normal(size=(6, 5, 4, 4)).astype(np.float32) * random.uniform(0.01, 10, (6, 1, 1, 1))
    weight[3] = 0
    for axis in (0, 1):
        stored = quantize({"w": weight.astype(np.float32), "b": np.ones(3, np.float32)}, {"w": axis})
        assert stored["w"].dtype == np.int8 and stored["w.scale"].size == weight.shape[axis]
        back = dequantize(stored)
        assert (np.abs(back["w"] - weight) <= stored["w.scale"] * 0.5001).all()
        np.testing.assert_array_equal(back["b"], 1)


def test_the_same_weights_are_the_same_bytes():
    weights = {"b": np.ones(3, np.float32), "a": np.zeros((2, 2), np.int8)}
    metadata = {"step": "1", "recipe": "x", "format": "pt"}
    assert len({save_weights(weights, metadata) for _ in range(20)}) == 1
    assert set(load_weights(save_weights({"b": weights["b"]}, metadata), "x")) == {"b"}


def test_a_torn_last_line_of_the_history_is_passed_over(folder):
    rows = Run(folder).read_history()
    with (folder / "history.csv").open("a") as file:
        file.write("61,0.5,0.")
    assert Run(folder).read_history() == rows
    assert rows[0]["step"] == 1 and rows[-1]["step"] == 60


def test_a_second_run_does_not_overwrite_the_first(folder):
    run = Run(folder)
    with pytest.raises(GanDemoError, match="holds a run already: go on with --resume"):
        Run.create(folder, run.config)


def test_the_model_opens_with_safetensors_and_plain_torch(folder):
    """What the model card promises to people who do not use this project's player."""
    from safetensors.torch import load_file

    from gan_demo.networks import build

    run = Run(folder)
    generator, discriminator = build(run.config.as_recipe(), 10)
    generator.load_state_dict(load_file(folder / "model.safetensors"))
    discriminator.load_state_dict(load_file(folder / "discriminator.safetensors"))


def test_the_card_says_what_was_measured(folder):
    card = (folder / "README.md").read_text()
    metrics = json.loads((folder / "metrics.json").read_text())
    last = metrics["snapshots"][-1]
    assert f"| last | 60 | {last['frechet']:.4g} |" in card and f"| real images | | {metrics['floor']:.4g} |" in card
    assert "60 steps, 960 images seen" in card and "arXiv:1411.1784" in card and "licence: none stated" in card
    for picture in ("samples/step-00000060.png", "samples/real.png"):
        assert f'src="{picture}"' in card and (folder / picture).exists()
    assert "(curves.png)" in card and 'src="samples/training.webp"' in card


def test_a_run_without_a_snapshot_is_told_with_what_helps(folder, tmp_path):
    Run.create(tmp_path / "new", Run(folder).config)  # which has no state/ to resume from
    with pytest.raises(GanDemoError, match="no snapshot yet: wait for its training, or remove it and train anew"):
        open_run(tmp_path / "new")
