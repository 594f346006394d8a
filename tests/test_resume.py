"""What a person would lose when a training breaks off: nothing that was saved, and how to go on is said."""

import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DATA, ROOT, assert_same_run, fit, run_as_two, small, stop_at
from waiting import wait_until

from gan_demo import control, recipes, training
from gan_demo.control import Control
from gan_demo.errors import GanDemoError
from gan_demo.run import Run

CONVOLUTIONAL, PERCEPTRON = recipes.get("dcgan-mnist"), recipes.get("mlp-mnist")


@pytest.mark.parametrize(
    "recipe",
    [
        small(CONVOLUTIONAL, batch_size=4, generator_widths=(32, 32, 16), discriminator_widths=(16, 32)),
        small(PERCEPTRON, discriminator_steps=2, ema=0.0),
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_stopped_and_resumed_run_ends_as_the_unbroken_one(recipe, precision, mnist, tmp_path, after_each_step):
    length, options = 24, {"snapshots": 5, "precision": precision}
    fit(recipe, mnist, tmp_path / "unbroken", length, **options)
    for stop in (7, 19):  # the snapshot of the stop is not on the schedule, and must not stay
        after_each_step(stop_at(stop))
        stopped = fit(recipe, mnist, tmp_path / "broken", length, resume=stop > 7, **options)
        assert stopped.step == stop and stopped.run.steps[-1] == stop
    after_each_step(stop_at(None))
    for name in (".model.safetensors", "snapshots/.index.json", "samples/.real.png", "state/.state.pt"):  # of a kill
        (tmp_path / "broken" / f"{name}.4711.part").write_bytes(b"half")
    fit(recipe, mnist, tmp_path / "broken", length, resume=True, **options)
    assert_same_run(tmp_path / "unbroken", tmp_path / "broken")
    files = [sorted(file.relative_to(folder) for file in folder.rglob("*")) for folder in tmp_path.iterdir()]
    assert files[0] == files[1]


def test_the_snapshot_of_a_stop_stays_until_a_later_one_is_there(mnist, tmp_path, after_each_step):
    """A page shows it meanwhile, and the run says that it has come so far."""
    out, options = tmp_path / "run", {"length": 24, "snapshots": 2}
    after_each_step(stop_at(7))
    fit(small(PERCEPTRON), mnist, out, **options)
    seen = []

    def look(trainer):
        seen.append(Run(out).steps)
        stop_at(20)(trainer)

    after_each_step(look)
    fit(small(PERCEPTRON), mnist, out, resume=True, **options)
    assert seen == [[0, 7]] * 13
    run = Run(out)
    assert run.steps == [0, 20] and run.config.steps == 20 and not (out / "samples/step-00000007.png").exists()
    after_each_step(stop_at(None))
    fit(small(PERCEPTRON), mnist, out, length=20, snapshots=2, resume=True)  # no step further: an end like any other
    fit(small(PERCEPTRON), mnist, out, resume=True, **options)
    assert Run(out).steps == [0, 20, 24]


def test_the_speed_after_a_resume_counts_what_was_trained_since(mnist, tmp_path, monkeypatch, after_each_step):
    """A stop in the middle of two log lines carries the terms over, and no images."""
    monkeypatch.setattr(training, "LOGS", 1)  # a line every hundred steps
    out = tmp_path / "run"
    after_each_step(stop_at(99))
    fit(PERCEPTRON, mnist, out, length=100, snapshots=2)
    clock = iter(range(10**6))
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(clock)))  # a second for each look at it
    fit(PERCEPTRON, mnist, out, length=100, snapshots=2, resume=True)
    row = Run(out).read_history()[-1]
    assert row["step"] == 100 and 0 < row["images_per_second"] <= PERCEPTRON.batch_size


def test_a_resume_takes_the_same_pictures_and_the_same_plan(mnist, tmp_path, capsys):
    fit(small(PERCEPTRON), mnist, tmp_path / "run", 8, snapshots=3)
    others = replace(mnist, pixels=mnist.pixels[:-1], labels=mnist.labels[:-1])
    with pytest.raises(GanDemoError, match=r"on 60,000 images of mnist, and these are 59,999 .* the same --data"):
        fit(small(PERCEPTRON), others, tmp_path / "run", 16, resume=True)
    pixels = mnist.pixels.copy()
    pixels[59_999, 0, 14, 14] ^= 1
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    fit(small(PERCEPTRON), replace(mnist, pixels=pixels), tmp_path / "copy", 9, resume=True)
    assert "copy was trained on other pictures than these" in capsys.readouterr().err
    with pytest.raises(GanDemoError, match=r"at step 8 already: give --steps 8 or more"):
        fit(small(PERCEPTRON), mnist, tmp_path / "run", 5, resume=True)
    before = Run(tmp_path / "run")
    assert before.config.steps == before.config.length == 8
    fit(small(PERCEPTRON), mnist, tmp_path / "run", 64, resume=True)
    later = [step for step in training.schedule(64, 3) if step > 8]
    assert Run(tmp_path / "run").steps == [*before.steps, *later]
    assert "other pictures" not in capsys.readouterr().err


class KilledError(Exception):
    """What a process that is killed between two saves cannot tell us."""


@pytest.fixture
def kill_at(after_each_step, monkeypatch):
    """`kill_at(step)`: the next training saves its state after every step, and breaks off after that one."""
    monkeypatch.setattr(training, "SAVE_SECONDS", -1)

    def kill(trainer: training.Trainer, at: int) -> None:
        if trainer.step == at:
            raise KilledError

    return lambda at: after_each_step(lambda trainer: kill(trainer, at))


def test_what_was_saved_between_two_snapshots_is_not_lost(kill_at, mnist, tmp_path):
    fit(small(PERCEPTRON), mnist, tmp_path / "unbroken", 20, snapshots=2)
    kill_at(9)
    with pytest.raises(KilledError):
        fit(small(PERCEPTRON), mnist, tmp_path / "run", 20, snapshots=2)
    kill_at(None)
    trainer = training.Trainer(small(PERCEPTRON), mnist, training.Options(tmp_path / "run", 20, resume=True))
    assert trainer.step == 8
    trainer.fit()
    assert_same_run(tmp_path / "unbroken", tmp_path / "run")


def test_a_longer_length_outlives_a_kill_before_its_first_snapshot(kill_at, mnist, tmp_path):
    fit(small(PERCEPTRON), mnist, tmp_path / "run", 10, snapshots=2)
    kill_at(12)
    with pytest.raises(KilledError):
        fit(small(PERCEPTRON), mnist, tmp_path / "run", 40, resume=True)
    config = Run(tmp_path / "run").config
    assert (config.steps, config.length) == (10, 40)


def test_a_run_goes_on_elsewhere_and_says_so(mnist, tmp_path, monkeypatch, capsys):
    fit(small(PERCEPTRON), mnist, tmp_path / "run", 4, snapshots=2)
    here = Run(tmp_path / "run").config.device
    fit(small(PERCEPTRON), mnist, tmp_path / "run", 6, resume=True)
    assert Run(tmp_path / "run").config.device == here and "start anew" not in capsys.readouterr().err
    state = torch.load(tmp_path / "run" / "state" / "state.pt", weights_only=True)
    torch.save(state | {"device": "cuda"}, tmp_path / "run" / "state" / "state.pt")
    monkeypatch.setattr(training, "describe", lambda *_: "cpu, another")
    fit(small(PERCEPTRON), mnist, tmp_path / "run", 8, resume=True)
    assert Run(tmp_path / "run").config.device == f"{here}; then cpu, another"
    assert "another device or number of processes than before" in capsys.readouterr().err


def test_a_longer_length_goes_on_from_a_finished_run(mnist, tmp_path):
    fit(small(PERCEPTRON), mnist, tmp_path / "run", length=10, snapshots=3)
    fit(small(PERCEPTRON), mnist, tmp_path / "run", length=20, snapshots=3, resume=True)
    run = Run(tmp_path / "run")
    assert run.steps[-1] == 20 and 10 in run.steps and run.config.length == 20


def arguments(out: Path, *more: str) -> list[str]:
    how = ("--batch-size", "8", "--snapshots", "8", "--device", "cpu", "--precision", "fp32", "--no-evaluate")
    what = ("cdcgan-mnist", "--with", "slim", "--data", str(DATA), "--out", str(out))
    return [*what, "--steps", "300", *how, *more]


def start(out: Path, *more: str, program: tuple[str, ...] = ("train.py",)) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *program, *arguments(out, *more)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


EAGER = (  # train.py, but that a kill costs a tenth of a second: so many saves are under way that some are hit
    "-c",
    "import sys, train; from gan_demo import training; training.SAVE_SECONDS = 0.1; sys.exit(train.main(sys.argv[1:]))",
)


@pytest.mark.parametrize("kills", [int(os.environ.get("GAN_DEMO_KILLS", "3"))])
def test_a_run_killed_at_random_moments_ends_as_the_unbroken_one(kills, train, tmp_path):
    """kill -9 with no warning; after each kill the folder opens, and --resume goes on from the last save."""
    length = ("--steps", str(max(300, 30 * kills)))  # so that few of them come too late
    out, moments, ends = tmp_path / "killed", random.Random(0), []
    state = out / "state" / "state.pt"
    for _ in range(kills):
        began = time.time()
        process = start(out, *length, *(["--resume"] if state.exists() else []), program=EAGER)
        wait_until(partial(is_under_way, process, out, began))
        time.sleep(moments.uniform(0, 0.6))
        process.kill()
        process.communicate()
        ends.append(process.returncode)
        assert Run(out).steps[0] == 0
    assert -signal.SIGKILL in ends, "all of them had ended by themselves"
    assert torch.load(state, weights_only=True)["step"] > 0, "no kill came after a save"
    for folder, more in ((out, ["--resume"]), (tmp_path / "unbroken", [])):
        done = train(*arguments(folder, *length, *more))
        assert done.returncode == 0, done.stderr
    assert_same_run(tmp_path / "unbroken", out)


def is_under_way(process: subprocess.Popen, out: Path, began: float) -> bool:
    """Whether any moment will do for a kill from now on: in a step, in a save, between two files.

    The history has to be of this process: that of the one before it says nothing.
    """
    with contextlib.suppress(FileNotFoundError):
        if (out / "state" / "state.pt").exists() and (out / "history.csv").stat().st_mtime > began:
            return True
    return process.poll() is not None


TWO = """
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from gan_demo import data, recipes, training
training.SAVE_SECONDS = -1  # due at every step: both have to agree
data_folder, *trainings = sys.argv[1:]
images, recipe = data.load(replace(recipes.get("mlp-mnist"), batch_size=32, generator_dropout=0.3), data_folder)
for out, stop, resume in (one.split(",") for one in trainings):
    options = training.Options(Path(out), length=8, snapshots=3, resume=resume == "yes")
    trainer = training.Trainer(recipe, images, options)
    def stopped_on_the_second(step=trainer.train_step):
        step()
        if trainer.step == int(stop) and not trainer.world.first:
            trainer.stopped_by = "SIGTERM"
    trainer.train_step = stopped_on_the_second
    trainer.fit()
trainer.world.leave()
"""


def test_two_processes_stop_where_one_is_told_to_and_go_on_as_if_they_had_not(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_as_two(str(script), str(DATA), f"{whole},0,no", f"{broken},5,no")
    assert [Run(out).config.steps for out in (whole, broken)] == [8, 5]
    run_as_two(str(script), str(DATA), f"{broken},0,yes")  # by processes that know nothing of the others
    assert Run(broken).config.steps == 8
    assert_same_run(whole, broken)


def test_a_signal_saves_says_how_to_go_on_and_leaves_with_zero(tmp_path):
    """SIGINT; for SIGTERM see the third of the trainings into one folder, below."""
    process = start(tmp_path / "run", "--steps", "9000")
    wait_until((tmp_path / "run" / "history.csv").exists)
    assert_stops_at(signal.SIGINT, process, tmp_path / "run")


def assert_stops_at(number: signal.Signals, process: subprocess.Popen, folder: Path) -> None:
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert f"stopped by {number.name}; go on with" in output and "Traceback" not in output
    run = Run(folder)
    assert run.config.steps == run.steps[-1] > 0
    assert (folder / "film.webp").exists()


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_last_good_snapshot(mnist, tmp_path):
    recipe = small(PERCEPTRON, learning_rates=(1e30, 1e30))
    with pytest.raises(GanDemoError, match=r"no longer finite at step \d+.*last snapshot: step 0"):
        fit(recipe, mnist, tmp_path / "run", length=40, snapshots=2)
    run = Run(tmp_path / "run")
    assert run.steps == [0]
    assert all(np.isfinite(value).all() for value in run.read_snapshot(0).values())


def test_a_last_update_that_ruins_the_weights_is_no_snapshot(mnist, tmp_path, after_each_step):
    """No loss has seen it: the next step would have."""

    def ruin(trainer):
        if trainer.step == 4:
            with torch.no_grad():
                next(trainer.gan.generator.parameters()).view(-1)[0] = float("nan")

    after_each_step(ruin)
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


def test_a_folder_removed_while_it_trains_ends_in_one_line_and_stays_away(train, tmp_path, after_each_step):
    run = tmp_path / "run"
    after_each_step(lambda trainer: run.rename(tmp_path / "elsewhere") if trainer.step == 2 else None)
    done = train(*arguments(run))
    assert done.returncode == 2 and not done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"train.py: {run} is gone: it was removed or renamed while it was trained"), done.stderr
    assert not run.exists()


def test_a_folder_made_anew_while_it_was_trained_is_the_new_trainings_alone(tmp_path):
    run = tmp_path / "run"
    first = start(run, "--steps", "9000")
    wait_until((run / "history.csv").exists)
    first.send_signal(signal.SIGSTOP)
    run.rename(tmp_path / "elsewhere")
    second = start(run, "--steps", "9000", "--seed", "1")
    wait_until((run / "history.csv").exists)
    second.send_signal(signal.SIGSTOP)
    before = (run / "history.csv").read_bytes(), (run / "config.json").read_bytes()
    first.send_signal(signal.SIGCONT)
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 2 and "another training has begun there: this one ends" in output, output
    assert ((run / "history.csv").read_bytes(), (run / "config.json").read_bytes()) == before
    assert f"process {second.pid} on " in (run / "state" / "lock").read_text()
    second.kill()
    second.communicate()


def test_of_two_trainings_into_one_folder_the_second_is_refused_and_the_first_named(train, tmp_path):
    run = tmp_path / "run"
    first = start(run, "--steps", "9000")
    wait_until((run / "state" / "state.pt").exists)
    before = Run(run).config
    for more in ([], ["--resume"]):
        second = train(*arguments(run, *more))
        assert second.returncode == 2 and len(second.stderr.strip().splitlines()) == 1, second.stderr
        assert f"is being trained by process {first.pid} on " in second.stderr
    now = Run(run).config
    assert replace(now, steps=before.steps, seconds=before.seconds) == before  # the first goes on
    first.kill()
    first.communicate()
    assert (run / "state" / "lock").exists()  # and locks nothing any more
    saved = (run / "state" / "state.pt").stat().st_mtime_ns
    third = start(run, "--resume", "--steps", "9000")  # it hears signals once it trains
    wait_until(lambda: (run / "state" / "state.pt").stat().st_mtime_ns > saved)
    assert_stops_at(signal.SIGTERM, third, run)
    assert not (run / "state" / "lock").exists()


def test_the_time_of_all_sessions_is_added_up_and_pauses_are_left_out(mnist, tmp_path, monkeypatch, after_each_step):
    clock = [0.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])
    after_each_step(lambda _: clock.__setitem__(0, clock[0] + 10))

    def wait(follower, stopping):
        clock[0] += 1000
        follower.now = replace(follower.now, paused=False)
        return True

    monkeypatch.setattr(control.Follower, "wait", wait)
    monkeypatch.setenv(control.PARENT, str(os.getppid()))
    recipe = small(recipes.get("mlp-mnist"))
    Control(recipe.learning_rates, 1, paused=True).write(tmp_path / "run")
    fit(recipe, mnist, tmp_path / "run", 3, snapshots=2)
    assert Run(tmp_path / "run").config.seconds == 30
    fit(recipe, mnist, tmp_path / "run", 5, snapshots=2, resume=True)
    assert Run(tmp_path / "run").config.seconds == 50
