"""What a person would lose: their patience. Every wrong input is one line that helps, and exit status 2."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import DATA, ROOT
from PIL import Image

import app
import train as cli
from gan_demo import job, recipes, reproduce
from gan_demo.arguments import Parser
from gan_demo.benchmark import __main__ as benchmark
from gan_demo.control import PARENT
from gan_demo.player import open_run
from gan_demo.run import Run, check_free

QUICK = ["--steps", "2", "--data", str(DATA), "--no-evaluate", "--device", "cpu"]


def test_the_list_shows_every_recipe_with_its_facts(train):
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


@pytest.mark.parametrize("main", [cli.main, app.main, benchmark.main], ids=["train", "app", "benchmark"])
def test_the_help_names_every_option(main, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(Parser, "print_help", lambda parser: shown.append(parser) or print(parser.format_help()))
    monkeypatch.setattr(sys, "argv", ["program", "--help"])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().out
    [parser] = shown
    options = [name for action in parser._actions for name in action.option_strings]
    assert left.value.code == 0 and len(options) > 5
    assert all(name in said.split() or f"{name}," in said.split() for name in options)
    assert all(action.help not in (None, argparse.SUPPRESS) for action in parser._actions)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["dcgan-mnits"], ["dcgan-mnits", "dcgan-mnist"]),
        ([], ["name a recipe"]),
        (["dcgan-mnist", "--steps", "-3"], ["--steps", "whole number from 1"]),
        (["dcgan-mnist", "--steps", "many"], ["--steps"]),
        (["dcgan-mnist", "--steps", "9" * 5000], ["--steps", "whole number from 1"]),
        (["dcgan-mnist", "--seed", "9" * 5000], ["--seed", "from 0 to"]),
        (["--reproduce", "x" * 300], ["cannot be read (File name too long)", "give a run folder"]),
        (["mlp-mnist", "--with", "luck"], ["luck", "dropout"]),
        (["dcgan-anime", "--with", "dropout"], ["dropout", "leave it out"]),
        (["dcgan-mnist", "--dataset", "cats"], ["cats", "fashion-mnist", "anime"]),
        (["cdcgan-mnist", "--dataset", "anime"], ["anime", "choose one of mnist, fashion-mnist, cifar10"]),
        (["toy-ring", "--dataset", "mnist"], ["mnist", "choose one of ring"]),
        (["dcgan-mnist", "--ema", "1"], ["--ema", "below 1"]),
        (["dcgan-mnist", "--k", "101"], ["--k", "from 1 to 100"]),
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
        (["dcgan-anime", "--out", "{tmp}/x", "--data", "~nosuch/x"], ["Anime faces is not in ~nosuch/x", "--data"]),
        (["dcgan-anime", "--out", "{tmp}/x", "--data", "{loop}"], ["Anime faces is not in", "--data"]),
        (["--reproduce", "{tmp}"], ["no run folder", "checkpoints"]),
        (["--fit-judge", "faces"], ["faces", "mnist"]),
        (["dcgan-mnist", "--push-to-hub", ""], ["--push-to-hub", "give a name or path"]),
        (["dcgan-mnist", "--out", " "], ["--out", "give a name or path"]),
        (["--resume"], ["name a recipe"]),
        (["--resume", "--out", "{tmp}/x"], ["no run folder"]),
    ],
)
def test_wrong_input_is_one_line_that_says_what_would_work(arguments, names, tmp_path, tmp_path_factory, train):
    (loop := tmp_path_factory.mktemp("links") / "loop").symlink_to("loop")
    places = {"tmp": tmp_path, "loop": loop}
    done = train(*(argument.format(**places) for argument in arguments))
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and not done.stdout, done
    assert lines[-1].startswith("train.py: ") and all(name in lines[-1] for name in names), done.stderr
    assert len([line for line in lines if not line.startswith(("decoding", "\r"))]) == 1, done.stderr


@pytest.mark.parametrize("arguments", [["dcgan-mnits"], ["dcgan-mnist", "--steps", "-3"]])
def test_a_process_that_was_asked_wrongly_ends_with_status_2(arguments):
    command = [sys.executable, str(ROOT / "train.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("train.py: ") and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix closes the output")
def test_a_program_without_an_output_fails_at_nothing():
    command = [shutil.which("sh"), "-c", 'exec "$0" train.py --list >&-', sys.executable]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_page_stops_a_training_that_a_shell_s_background_made_deaf(train, monkeypatch):
    monkeypatch.setenv(PARENT, str(os.getpid()))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        train("--list")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_of_several_processes_one_that_cannot_go_on_waits_for_none(train, tmp_path, monkeypatch, capsys):
    """torchrun ends the others; NCCL would keep this one for as long as they wait for it."""
    ends = []

    def leave(status: int) -> None:
        ends.append((status, capsys.readouterr().err))
        raise SystemExit

    (tmp_path / "config.json").touch()
    monkeypatch.setattr(os, "_exit", leave)
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1")):
        monkeypatch.setenv(name, value)
    train("mlp-mnist", "--out", str(tmp_path), *QUICK)
    [(status, line)] = ends
    assert status == 2 and line.startswith("train.py: ") and "holds a run already" in line and line.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore."),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_gpu_with_too_little_memory_is_one_line(error, train, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(job, "_train", fail)
    done = train("mlp-mnist", "--out", str(tmp_path / "run"), "--batch-size", "512")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "too little memory for mlp-mnist in batches of 512: give a smaller --batch-size" in done.stderr


def test_a_network_that_no_page_would_play_is_refused_before_it_is_trained(train, tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    own = ["--data", str(tmp_path), "--batch-size", "2", "--image-size", "512"]
    done = train("mlp-mnist", "--out", str(tmp_path / "run"), *own)
    assert done.returncode == 2 and not (tmp_path / "run").exists()
    assert "mlp-mnist at 512x512x1 asks for a network of 269" in done.stderr and "smaller image size" in done.stderr


def test_from_nothing_to_a_summary_and_no_folder_is_overwritten(train, tmp_path):
    arguments = ["mlp-mnist", "--out", str(tmp_path / "run"), *QUICK, "--k", "2", "--ema", "0", "--batch-size", "8"]
    done = train(*arguments)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 steps" in done.stdout and f"python app.py --runs {tmp_path / 'run'}" in done.stdout
    assert "100%" in done.stderr and "img/s" in done.stderr
    ran = Run(tmp_path / "run")
    recipe = ran.config.as_recipe()
    assert (recipe.discriminator_steps, recipe.ema, ran.snapshots[-1].images) == (2, 0, 2 * 2 * 8)
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


def test_a_persons_own_pictures_train(train, tmp_path):
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
    player = open_run(tmp_path / "run")
    assert player.classes == ["dark", "light"] and player.image_shape == (16, 16, 3)
    again = train(
        *arguments, "--out", str(tmp_path / "run"), "--steps", "2", "--device", "cpu", "--resume", "--no-evaluate"
    )
    assert again.returncode == 0 and "sliced Wasserstein distance" in again.stdout, again.stderr
    assert "Not judged yet" not in (tmp_path / "run" / "README.md").read_text()


def test_the_command_that_reproduce_names_makes_the_same_run_again(train, tmp_path):
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


def test_a_damaged_run_hides_no_other(train, tmp_path):
    for name in ("a", "b"):
        assert train("toy-ring", "--out", str(tmp_path / name), *QUICK).returncode == 0
    (tmp_path / "a" / "config.json").write_text("{")
    said = train("--reproduce", str(tmp_path))
    assert said.returncode == 2 and "train.py toy-ring" in said.stdout
    assert said.stderr.count("\n") == 1 and "a/config.json is damaged" in said.stderr


def test_a_run_in_the_folder_of_its_own_pictures_is_refused(train, tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (28, 28), "red").save(tmp_path / name)
    own = ["--data", str(tmp_path), "--batch-size", "2", "--out", str(tmp_path / "run")]
    done = train("dcgan-mnist", *QUICK, *own)
    assert (
        done.returncode == 2 and "choose another folder with --out" in done.stderr and not (tmp_path / "run").exists()
    )


def test_a_process_whose_others_do_not_come_says_so(tmp_path):
    environment = {**os.environ, "WORLD_SIZE": "2"}
    command = [sys.executable, str(ROOT / "train.py"), "toy-ring", "--out", str(tmp_path / "run"), *QUICK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "start them with torchrun, or unset WORLD_SIZE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("name", "value"), [("WORLD_SIZE", "two"), ("WORLD_SIZE", "0"), ("RANK", "1"), ("RANK", "x")])
def test_a_process_that_cannot_be_is_one_line(name, value, train, tmp_path, monkeypatch):
    monkeypatch.setenv(name, value)
    done = train("toy-ring", "--out", str(tmp_path / "run"), *QUICK)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"{name} '{value}'" in done.stderr and "start it with torchrun, or unset both" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_gets_a_folder_of_its_own(train, tmp_path):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "config.json").write_text("{}")
    done = train("toy-ring", "--out", str(tmp_path / "runs"), *QUICK)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "runs holds a and no run: give a run a folder of its own" in done.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a"]
    (tmp_path / "free" / "state").mkdir(parents=True)  # as the page leaves it
    (tmp_path / "free" / ".hidden").touch()
    check_free(tmp_path / "free")


def test_a_home_that_the_shell_left_alone_is_meant():
    assert cli.parse(["toy-ring", "--out=~/x"]).out == Path.home() / "x"


def test_a_recipe_trains_on_another_data_set_and_says_so(train, tmp_path):
    out = tmp_path / "runs" / "digits"
    done = train("cdcgan-fashion", "--dataset", "mnist", "--batch-size", "8", "--out", str(out), *QUICK)
    assert done.returncode == 0, done.stderr
    config = Run(out).config
    assert (config.dataset, config.classes[3], config.as_recipe().title) == ("mnist", "3", "Conditional DCGAN on MNIST")
    assert " --dataset mnist" in train("--reproduce", str(out.parent)).stdout
    longer = train("--out", str(out), *QUICK, "--resume", "--steps", "3")  # the folder knows the recipe
    assert longer.returncode == 0 and "3 of 3 steps" in longer.stdout, longer.stderr
    other = train("cdcgan-fashion", "--dataset", "cifar10", "--out", str(out), *QUICK, "--resume")
    assert other.returncode == 2 and "trained with dataset mnist: --resume keeps it" in other.stderr


def test_a_plan_is_named_while_half_of_its_snapshots_are_there(tmp_path, capsys):
    shutil.copytree(ROOT / "checkpoints" / "mlp-fashion", tmp_path / "run")
    run = Run(tmp_path / "run")
    assert len(run.steps) == 32  # all of its plan
    run.drop(run.steps[1:-1:2] + run.steps[2:3])
    reproduce.show(tmp_path)
    said = capsys.readouterr().out
    assert "--snapshots 32 " in said and "16 of those snapshots were taken out since" in said
    run.drop(run.steps[1:2])
    reproduce.show(tmp_path)  # of some thousand snapshots these fifteen are a part, too
    said = capsys.readouterr().out
    assert "--snapshots" not in said and "its 15 snapshots were taken at steps of its own" in said


def test_the_shipped_runs_name_their_command(train):
    folders = sorted((ROOT / "checkpoints").iterdir())
    lines = train("--reproduce").stdout.splitlines()
    at = [lines.index(folder.name) for folder in folders]
    assert not [line for line in lines if "recipe has changed" in line]
    for folder, index in zip(folders, at, strict=True):
        assert f"python train.py {Run(folder).config.recipe} " in lines[index + 1]
