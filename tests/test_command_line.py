"""What a person would lose: their patience. Every wrong input is one line that helps, and exit status 2."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATA, ROOT
from PIL import Image

import train as cli
from gan_demo import job, recipes
from gan_demo.run import Run

QUICK = ["--steps", "2", "--data", str(DATA), "--no-evaluate", "--device", "cpu"]


def train(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "train.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_list_shows_every_recipe_with_its_facts():
    done = train("--list")
    assert done.returncode == 0 and not done.stderr
    for name, recipe in recipes.RECIPES.items():
        assert name in done.stdout
        assert all(f"--with {option}: " in done.stdout for option in recipe.options)
    assert "1,486,352" in done.stdout and "200 epochs" in done.stdout and "CIFAR-10" in done.stdout


def test_a_reader_that_leaves_early_sees_no_traceback():
    with subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "--list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as listing:
        listing.stdout.close()  # as `| head` does, before the first line comes
        assert listing.stderr.read() == b"" and listing.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["dcgan-mnits"], ["dcgan-mnits", "dcgan-mnist"]),
        ([], ["name a recipe"]),
        (["dcgan-mnist", "--steps", "-3"], ["--steps", "whole number from 1"]),
        (["dcgan-mnist", "--steps", "many"], ["--steps"]),
        (["mlp-mnist", "--with", "luck"], ["luck", "dropout"]),
        (["dcgan-anime", "--with", "dropout"], ["dropout", "leave it out"]),
        (["dcgan-mnist", "--dataset", "cats"], ["cats", "fashion-mnist", "anime"]),
        (["cdcgan-mnist", "--dataset", "anime"], ["anime", "choose one of mnist, fashion-mnist, cifar10"]),
        (["toy-ring", "--dataset", "mnist"], ["mnist", "choose one of ring"]),
        (["dcgan-mnist", "--ema", "1"], ["--ema", "below 1"]),
        (["dcgan-mnist", "--image-size", "3"], ["--image-size", "from 4 to 512"]),
        (["dcgan-mnist", "--batch-size", "1"], ["--batch-size", "from 2 to"]),
        (["dcgan-mnist", "--snapshots", "1099511627775"], ["--snapshots", "from 2 to 1,000"]),
        (["dcgan-mnist", "--seed", "-1"], ["--seed"]),
        (["dcgan-mnist", "--device", "tpu"], ["--device", "cuda"]),
        (["dcgan-mnist", "--steps", "1", "--epochs", "1"], ["--epochs", "--steps"]),
        (["dcgan-mnist", "--surprise"], ["--surprise"]),
        (["dcgan-mnist", "--out", "/dev/null/run", *QUICK], ["/dev/null/run", "--out"]),
        (["dcgan-mnist", "--out", "{tmp}/x", "--resume", *QUICK], ["no run folder"]),
        (["dcgan-anime", "--out", "{tmp}/x", "--image-size", "60", *QUICK], ["60 pixels", "--image-size"]),
        (["dcgan-anime", "--out", "{tmp}/x", "--data", "{tmp}"], ["Anime faces is not in", "--data"]),
        (["--reproduce", "{tmp}"], ["no run folder", "checkpoints"]),
        (["--fit-judge", "faces"], ["faces", "mnist"]),
    ],
)
def test_wrong_input_is_one_line_that_says_what_would_work(arguments, names, tmp_path):
    done = train(*(argument.replace("{tmp}", str(tmp_path)) for argument in arguments))
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and not done.stdout, done
    assert lines[-1].startswith("train.py: ") and all(name in lines[-1] for name in names), done.stderr
    assert len([line for line in lines if not line.startswith(("decoding", "\r"))]) == 1, done.stderr


def test_a_network_that_no_page_would_play_is_refused_before_it_is_trained(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    own = ["--data", str(tmp_path), "--batch-size", "2", "--image-size", "512"]
    done = train("mlp-mnist", "--out", str(tmp_path / "run"), *own)
    assert done.returncode == 2 and not (tmp_path / "run").exists()
    assert "mlp-mnist at 512x512x3 asks for a network of 806" in done.stderr and "smaller image size" in done.stderr


def test_from_nothing_to_a_summary_and_no_folder_is_overwritten(tmp_path):
    arguments = ["mlp-mnist", "--out", str(tmp_path / "run"), *QUICK, "--k", "2", "--ema", "0", "--batch-size", "8"]
    done = train(*arguments)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 steps" in done.stdout and f"python app.py --runs {tmp_path / 'run'}" in done.stdout
    assert "100%" in done.stderr and "img/s" in done.stderr
    again = train(*arguments)
    assert again.returncode == 2 and "holds a run already: go on with --resume" in again.stderr
    other = train(*arguments[:-1], "16", "--resume")
    assert other.returncode == 2 and "batch_size 8: --resume keeps it" in other.stderr
    had = Run(tmp_path / "run").config.precision
    coarser = train(*arguments, "--resume", "--precision", {"fp32": "bf16", "bf16": "fp32"}[had])
    assert coarser.returncode == 2 and f"precision {had}: --resume keeps it" in coarser.stderr
    shorter = train(*arguments, "--resume", "--steps", "1")
    assert shorter.returncode == 2 and "is at step 2 already: give --steps 2 or more" in shorter.stderr
    with_more = train(*arguments, "--resume", "--with", "dropout")
    assert with_more.returncode == 2 and "not trained with dropout: --resume keeps" in with_more.stderr
    longer = train(*arguments, "--resume", "--steps", "4")
    assert longer.returncode == 0 and "4 of 4 steps" in longer.stdout


def test_a_run_with_an_option_is_resumed_without_naming_it_where_it_is_the_only_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    resumed = cli.parse(["cdcgan-mnist", "--resume"])
    assert job.folder(resumed) == Path("runs/cdcgan-mnist")
    Path("runs/cdcgan-mnist-slim").mkdir(parents=True)
    assert job.folder(resumed) == Path("runs/cdcgan-mnist-slim")
    assert job.folder(cli.parse(["cdcgan-mnist"])) == Path("runs/cdcgan-mnist")
    Path("runs/cdcgan-mnist-classifier").mkdir()
    assert job.folder(resumed) == Path("runs/cdcgan-mnist")


def test_a_persons_own_pictures_train(tmp_path):
    from PIL import Image

    for index in range(12):
        folder = tmp_path / "own" / ("dark" if index % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (50, 40), (20 * index, 100, 255 - 20 * index)).save(folder / f"{index}.png")
    arguments = ["cdcgan-mnist", "--data", str(tmp_path / "own"), "--image-size", "16", "--batch-size", "4"]
    both = train(*arguments, "--out", str(tmp_path / "run"), "--dataset", "cifar10")
    assert both.returncode == 2 and "leave --dataset cifar10 out, or --data" in both.stderr
    done = train(*arguments, "--out", str(tmp_path / "run"), "--steps", "2", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "sliced Wasserstein distance" in done.stdout
    assert Run(tmp_path / "run").config.as_recipe().title == "Conditional DCGAN on own pictures"
    from gan_demo.player import open_run

    player = open_run(tmp_path / "run")
    assert player.classes == ["dark", "light"] and player.image_shape == (16, 16, 3)


def test_the_command_that_reproduce_names_makes_the_same_run_again(tmp_path):
    first, again = tmp_path / "runs" / "first", tmp_path / "again"
    arguments = ["mlp-mnist", "--with", "dropout", "--out", str(first), *QUICK]
    arguments += ["--batch-size", "8", "--snapshots", "3", "--seed", "5"]
    assert train(*arguments).returncode == 0
    said = train("--reproduce", str(tmp_path / "runs"))
    assert said.returncode == 0 and "recipe has changed" not in said.stdout, said
    name, line, where = (line.strip() for line in said.stdout.splitlines())
    assert name == "first" and all(word in line for word in ("--with dropout", "--seed 5", "--batch-size 8"))
    assert "on cpu, " in where
    line = line.replace("python train.py", f"{sys.executable} {ROOT / 'train.py'}")
    line += f" --out {again} --data {DATA} --no-evaluate"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    digests = [[one.sha256 for one in Run(folder).snapshots] for folder in (first, again)]
    assert digests[0] == digests[1] and len(digests[0]) == 3


def test_a_recipe_trains_on_another_data_set_and_says_so(tmp_path):
    out = tmp_path / "runs" / "digits"
    done = train("cdcgan-fashion", "--dataset", "mnist", "--batch-size", "8", "--out", str(out), *QUICK)
    assert done.returncode == 0, done.stderr
    config = Run(out).config
    assert (config.dataset, config.classes[3], config.as_recipe().title) == ("mnist", "3", "Conditional DCGAN on MNIST")
    assert " --dataset mnist" in train("--reproduce", str(out.parent)).stdout
    longer = train("cdcgan-fashion", "--out", str(out), *QUICK, "--resume", "--steps", "3")
    assert longer.returncode == 0 and "3 of 3 steps" in longer.stdout, longer.stderr
    other = train("cdcgan-fashion", "--dataset", "cifar10", "--out", str(out), *QUICK, "--resume")
    assert other.returncode == 2 and "trained with dataset mnist: --resume keeps it" in other.stderr


def test_the_shipped_runs_name_their_command():
    folders = sorted((ROOT / "checkpoints").iterdir())
    lines = train("--reproduce").stdout.splitlines()
    at = [lines.index(folder.name) for folder in folders]
    for folder, index in zip(folders, at, strict=True):
        assert f"python train.py {Run(folder).config.recipe} " in lines[index + 1]
