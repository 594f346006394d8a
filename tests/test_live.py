"""What a speaker would lose: a training that starts on a button, obeys while it runs, and ends without a loss."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import DATA, fit, small, stop_at
from waiting import wait_until

from gan_demo import control, live, recipes, reproduce, training
from gan_demo.control import Control
from gan_demo.data import is_of_its_own
from gan_demo.errors import GanDemoError
from gan_demo.live import Job, Live, Wish
from gan_demo.run import Run
from gan_demo.ui import uploads
from gan_demo.ui.uploads import Uploads

PERCEPTRON = recipes.get("mlp-mnist")


def test_what_is_turned_while_it_trains_is_done_and_stands_in_the_run(mnist, tmp_path, after_each_step, capsys):
    """From step 6 on k is 3 and the rates are others: in the optimisers, the data taken, history and config."""
    turned = Control((1e-3, 5e-5), 3)

    def turning(trainer):
        if trainer.step == 5:
            turned.write(tmp_path / "run")
        stop_at(9)(trainer)

    Control(PERCEPTRON.learning_rates, 1).write(tmp_path / "run")
    after_each_step(turning)
    trainer = fit(small(PERCEPTRON), mnist, tmp_path / "run", length=20, snapshots=3)
    assert [adam.param_groups[0]["lr"] for adam in (trainer.gan.generator_adam, trainer.gan.discriminator_adam)] == [
        *turned.learning_rates
    ]
    run = Run(tmp_path / "run")
    rows = run.read_history()
    assert [row["k"] for row in rows] == [1] * 5 + [3] * 4
    assert {row["generator_rate"] for row in rows[5:]} == {1e-3} and rows[4]["generator_rate"] == 2e-4
    assert run.snapshots[-1].images == (5 * 1 + 4 * 3) * 16
    assert run.config.as_recipe().discriminator_steps == 3
    after_each_step(stop_at(None))
    Control(turned.learning_rates, 2).write(tmp_path / "run")
    fit(run.config.as_recipe(), mnist, tmp_path / "run", length=20, snapshots=3, resume=True)
    run = Run(tmp_path / "run")
    reproduce.show(run.path)
    assert "were set on the page: no command does that again" in capsys.readouterr().out
    assert [row["k"] for row in run.read_history()] == [1] * 5 + [3] * 4 + [2] * 11
    assert run.snapshots[-1].images == (5 * 1 + 4 * 3 + 11 * 2) * 16


def test_a_damaged_control_changes_nothing(tmp_path):
    good = Control((1e-3, 1e-3), 2)
    good.write(tmp_path)
    follower = control.Follower(tmp_path)
    for text in ("{", "[]", '{"learning_rates": [1e9, 0], "discriminator_steps": 1}', '{"learning_rates": [0, 0]}'):
        (tmp_path / control.NAME).write_text(text)
        assert not follower.news()
        assert follower.now == good


@pytest.mark.parametrize("step", [7, training.schedule(20, 3)[1]])  # one without a snapshot of its own, one with
def test_a_run_that_ends_where_it_was_stopped_keeps_its_last_snapshot(step, mnist, tmp_path, after_each_step):
    """As the page's command to push a stopped run does: resume, with as many steps as it has."""
    after_each_step(stop_at(step))
    fit(small(PERCEPTRON), mnist, tmp_path / "run", length=20, snapshots=3)
    fit(small(PERCEPTRON), mnist, tmp_path / "run", length=step, snapshots=3, resume=True)
    run = Run(tmp_path / "run")
    assert (run.steps[-1], run.config.steps, run.config.length) == (step, step, step)


def test_a_pause_that_nobody_ends_ends_the_training(mnist, tmp_path, monkeypatch):
    Control(PERCEPTRON.learning_rates, 1, paused=True).write(tmp_path / "run")
    monkeypatch.setenv(control.PARENT, str(os.getppid()))
    monkeypatch.setattr(control, "PAUSE_SECONDS", 0.1)
    trainer = fit(small(PERCEPTRON), mnist, tmp_path / "run", length=20, snapshots=3)
    assert (trainer.step, trainer.stopped_by) == (1, "a pause that nobody ended")


# ---------------------------------------------------------------- a process of its own


@pytest.fixture
def stage(tmp_path):
    """A place to train at, whose training ends with the test."""
    made = Live(tmp_path / "runs", DATA)
    yield made
    made.close()


def rows(stage: Live) -> list[dict[str, float]]:
    try:
        return Run(stage.job.path).read_history()
    except GanDemoError:  # not there yet
        return []


def stands_still(stage) -> bool:
    """Whether the time of two rows goes by without one."""
    before = rows(stage)
    [earlier, last] = before[-2:]
    images = (last["step"] - earlier["step"]) * last["k"] * recipes.get("mlp-mnist").batch_size
    time.sleep(2 * images / last["images_per_second"])
    return rows(stage) == before


def rests(stage: Live) -> bool:
    """Whether its process sleeps for a second: one that trains, and only waits for a core, is ready to run."""
    stat = Path(f"/proc/{stage.job.process.pid}/stat")
    for _ in range(20 if stat.exists() else 0):
        if stat.read_text().rpartition(")")[2].split()[0] != "S":
            return False
        time.sleep(0.05)
    return True


def has_saved(stage: Live) -> bool:
    """Whether it has written its state since it was last told something."""
    saved, told = (stage.job.path / name for name in ("state/state.pt", control.NAME))
    return saved.stat().st_mtime_ns > told.stat().st_mtime_ns


def test_a_second_training_has_a_folder_of_its_own_and_each_comes_to_its_end(stage, capsys, monkeypatch):
    monkeypatch.setattr(live, "SNAPSHOTS", 3)  # which take longer than the toy's steps
    for name, rates in (("live-toy-ring", None), ("live-toy-ring-2", (2e-3, 1e-3))):
        job = stage.start(Wish("toy-ring", 300, learning_rates=rates))
        assert job.path.name == name
        wait_until(lambda: not stage.running, 300)
        assert job.ended == ("done", "Trained 300 steps.") and Run(job.path).config.steps == 300
        reproduce.show(job.path)
        told = capsys.readouterr().out
        assert "has changed since" not in told
        assert ("were set on the page: no command does that again" in told) == bool(rates)


def test_a_live_training_is_paused_turned_stopped_resumed_and_killed(stage, monkeypatch):
    stage.start(Wish("mlp-mnist", 30_000))
    wait_until(lambda: rows(stage), 300)
    nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + live.NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, stage.job.process.pid) == nice
    group = Path(f"/proc/{stage.job.process.pid}/autogroup")
    if group.exists():  # a session that Linux weighs as a whole: the process's own niceness counts for nothing there
        assert group.read_text().split()[-2:] == ["nice", str(nice)]
    with pytest.raises(GanDemoError, match="at work here already"):
        stage.start(Wish("mlp-mnist"))
    stage.turn((1e-4, 3e-4), 2)
    wait_until(lambda: rows(stage)[-1]["k"] == 2)
    stage.pause()
    wait_until(lambda: has_saved(stage) and rests(stage) and stands_still(stage))
    before, seconds = rows(stage), stage.seconds()
    assert stands_still(stage) and (rows(stage), stage.seconds()) == (before, seconds)
    stage.go_on()
    wait_until(lambda: len(rows(stage)) > len(before))
    stage.stop()
    wait_until(lambda: not stage.running)
    kind, sentence = stage.job.ended
    stopped = Run(stage.job.path)
    assert kind == "stopped"
    assert sentence == f"Stopped at step {stopped.config.steps:,} of 30,000; everything is saved."
    assert stopped.read_json("film.json")["steps"] == stopped.steps
    assert f"--resume --steps {stopped.config.steps} --push-to-hub USER/mlp-mnist" in stage.push_command()
    by_hand = control.Follower(stage.job.path).now  # whoever resumes it is not ended by the page's limit
    assert (by_hand.seconds, by_hand.discriminator_steps) == (math.inf, 2) and stage.job.control.seconds < math.inf
    stage.go_on()
    wait_until(lambda: rows(stage)[-1]["step"] > stopped.config.steps)
    assert rows(stage)[-1]["k"] == 2
    os.kill(stage.job.process.pid, signal.SIGKILL)
    wait_until(lambda: not stage.running)
    assert stage.job.ended[0] == "failed"
    assert "was killed (SIGKILL)" in stage.job.ended[1]
    before = stage.job.ended, stage.job.control
    monkeypatch.setattr(live, "FREE_BYTES", 2**62)
    with pytest.raises(GanDemoError, match="the disk has no room"):
        stage.go_on()
    assert (stage.job.ended, stage.job.control) == before and not stage.running
    stage.job.path.rename(stage.job.path.with_name("elsewhere"))
    assert stage.push_command() is None


def test_what_keeps_a_training_from_starting_is_one_sentence(tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers there: no network
    (tmp_path / "empty").mkdir()
    nowhere = Live(tmp_path / "runs", tmp_path / "empty")
    nowhere.start(Wish("mlp-mnist"))
    wait_until(lambda: not nowhere.running)
    kind, sentence = nowhere.job.ended
    assert kind == "failed"
    assert sentence.startswith("MNIST is not in empty and could not be downloaded (")
    assert str(tmp_path) not in sentence
    assert not nowhere.job.path.exists()
    with pytest.raises(GanDemoError, match="Anime faces is not here and cannot be downloaded"):
        nowhere.start(Wish("dcgan-anime"))
    monkeypatch.setattr(live, "FREE_BYTES", 2**62)
    with pytest.raises(GanDemoError, match="the disk has no room"):
        nowhere.start(Wish("mlp-mnist"))
    with pytest.raises(GanDemoError, match="k 101 will not do"):
        nowhere.start(Wish("mlp-mnist", discriminator_steps=101))
    assert not list((tmp_path / "runs").iterdir())


def test_of_few_pictures_a_batch_takes_half_so_that_some_may_be_unreadable(tmp_path):
    stage, batch = Live(tmp_path / "runs"), recipes.get("dcgan-mnist").batch_size
    for count, size in ((1, 2), (39, 19), (2 * batch - 1, batch - 1), (2 * batch, None)):
        pictures = tmp_path / str(count)
        for index in range(count):
            (pictures / f"class-{index % 2}").mkdir(parents=True, exist_ok=True)
            (pictures / f"class-{index % 2}" / f"{index}.png").touch()
        job = Job(Wish("dcgan-mnist", pictures=pictures), tmp_path / "run", Control((0, 0), 1))
        said = stage.command(job)
        assert (int(said[said.index("--batch-size") + 1]) if "--batch-size" in said else None) == size


def test_two_hands_on_the_knobs_undo_nothing_of_each_other(tmp_path):
    stage = Live(tmp_path)
    stage.job = Job(Wish("mlp-mnist"), tmp_path / "run", Control((0.1, 0.1), 1), since=time.monotonic())
    with stage._lock:  # somebody pauses it; another's turn has begun and waits
        turning = threading.Thread(target=stage.turn, args=((0.01, 0.01), 2))
        turning.start()
        time.sleep(0.1)
        stage.pause()
    turning.join()
    assert stage.job.control == control.read(tmp_path / "run") == Control((0.01, 0.01), 2, paused=True)


def test_a_process_that_does_not_hear_its_stop_is_ended(tmp_path, monkeypatch):
    deaf = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf', flush=True); time.sleep(99)"
    )
    (tmp_path / "deaf.py").write_text(deaf)
    monkeypatch.setattr(live, "PROGRAM", tmp_path / "deaf.py")
    monkeypatch.setattr(live, "LOST_SECONDS", 0.5)
    stage = Live(tmp_path / "runs", DATA)
    job = stage.start(Wish("toy-ring"))
    wait_until((job.path / "state" / "train.log").read_text)
    stage.pause()  # which stops the clock of the training, and not that of the stop
    stage.stop()
    wait_until(lambda: not stage.running)
    assert (
        job.ended[0] == "failed" and job.ended[1] == "The training was killed (SIGKILL), for it did not end by itself."
    )


def test_of_a_run_that_was_stopped_at_its_start_there_is_nothing_to_push(digits_run, tmp_path):
    stage, run = Live(tmp_path), Run(digits_run)
    stage.job = Job(Wish("cdcgan-mnist"), digits_run, Control((0, 0), 1))
    assert f"--steps {run.config.steps} " in stage.push_command()
    stage.job.path = tmp_path / "run"
    Run.create(stage.job.path, replace(run.config, steps=0))
    assert stage.push_command() is None


def trained_on(stage: Live) -> None:
    """Go on, and wait for a step more than there was."""
    before = rows(stage)[-1]["step"]
    stage.go_on()
    wait_until(lambda: rows(stage)[-1]["step"] > before)


def ended(stage: Live) -> str:
    wait_until(lambda: not stage.running)
    kind, sentence = stage.job.ended
    assert kind == "stopped"
    return sentence


def refused(act: Callable[[], None]) -> None:
    with pytest.raises(GanDemoError, match="has had its hour here"):
        act()


def test_what_ended_a_training_is_told_as_such_and_a_visitor_holds_the_stage_for_an_hour_at_most(stage, monkeypatch):
    """Three endings of one training: each costs a process's start."""
    stage.limit = 0.5
    stage.start(Wish("mlp-mnist", 30_000))
    assert "Stopped at its limit of time at step" in ended(stage)
    stage.limit = live.LIMIT_SECONDS
    trained_on(stage)
    stage.job.process.terminate()  # from elsewhere: not the limit, of which the log still tells
    assert ended(stage).startswith("Stopped at step")
    stage.private = False  # one of many visitors
    with monkeypatch.context() as later:
        later.setattr(live, "SLOT_SECONDS", 0)
        refused(stage.go_on)
    trained_on(stage)
    stage.pause()
    monkeypatch.setattr(live, "SLOT_SECONDS", 0)
    stage.go_on()  # to end a pause is in nobody's way
    refused(stage.pause)
    stage.private = True  # whose stage it is holds it for as long as it likes
    stage.pause()
    stage.job.process.send_signal(signal.SIGINT)  # as the trainer ends it by itself, after ten minutes
    assert "Stopped after a pause that nobody ended at step" in ended(stage)


def test_a_training_stops_when_the_process_that_steers_it_is_gone(mnist, tmp_path, monkeypatch):
    Control(PERCEPTRON.learning_rates, 1).write(tmp_path / "run")
    monkeypatch.setenv(control.PARENT, "-1")
    trainer = fit(small(PERCEPTRON), mnist, tmp_path / "run", length=20, snapshots=3)
    assert (trainer.step, trainer.stopped_by) == (1, "the end of the page that began it")
    assert Run(tmp_path / "run").steps == [0, 1]


def test_a_steered_training_shows_something_new_at_least_so_often(mnist, tmp_path, monkeypatch, after_each_step):
    after_each_step(stop_at(6))
    monkeypatch.setattr(training, "LOOK_SECONDS", 0)
    monkeypatch.setattr(training, "PICTURE_SECONDS", 0)
    for name in ("steered", "alone"):
        Control(PERCEPTRON.learning_rates, 1).write(tmp_path / name)
        monkeypatch.setenv(control.PARENT, str(os.getppid()))
        if name == "alone":
            monkeypatch.delenv(control.PARENT)
        fit(small(PERCEPTRON), mnist, tmp_path / name, length=3000, snapshots=2)
    steered, alone = (Run(tmp_path / name) for name in ("steered", "alone"))
    assert [row["step"] for row in steered.read_history()] == steered.steps[1:] == [1, 2, 3, 4, 5, 6]
    assert ([row["step"] for row in alone.read_history()], alone.steps) == ([3, 6], [0, 6])


def test_no_name_of_a_picture_leads_out_of_its_folder_and_no_crowd_gets_in(tmp_path, monkeypatch):
    kept = Uploads(tmp_path / "live")
    identity = kept.begin()
    names = [
        "../../evil.png",
        "/etc/a.png",
        "C:\\x\\b.PNG",
        "cats/c.png",
        f"cats/{'x' * 120}.png",
        f"cats/{'é' * 120}.png",
        ".ipynb_checkpoints/c.png",
        "cats/._c.png",
        "deep/down/dogs/d.jpg",
        "..",
        "run.sh",
        "\0/e.png",
    ]
    assert kept.add(identity, [(name, b"pixels") for name in names]) == 8
    inside = {path.relative_to(kept.folder(identity)).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    long = {f"cats/{'x' * 96}.png", f"cats/{'é' * 48}.png"}
    assert inside == {"evil.png", "etc/a.png", "x/b.PNG", "cats/c.png", "dogs/d.jpg", "_/e.png", *long}
    assert kept.add(identity, [("cats/c.png", b"others")]) == 8  # in its place
    classes = {
        "C++": "C++",
        "C#": "C#",
        "कि": "कि",
        "की": "की",
        "Ha\u0308nde": "Hände",
        "anime": "anime_",
        "mnist": "mnist_",
        "a:b": "a_b",
    }
    apart = kept.begin()
    assert kept.add(apart, [(f"{name}/a.png", b"pixels") for name in classes]) == len(classes)
    assert {path.name for path in kept.filled(apart).iterdir()} == set(classes.values())
    assert is_of_its_own(kept.folder(apart))
    os.utime(kept.folder(apart), (0, 0))
    kept.add(apart, [("C#/b.png", b"pixels")])
    assert kept.folder(apart).stat().st_mtime > 0  # so that it does not make way as the oldest
    with pytest.raises(GanDemoError, match="no pictures to train on: drop some"):
        kept.filled(kept.begin())
    for wrong in ("", "..", "0" * 12, "../" + identity):
        with pytest.raises(GanDemoError, match="not here any more"):
            kept.folder(wrong)
    monkeypatch.setattr(uploads, "MAX_BYTES", 40)
    with pytest.raises(GanDemoError, match="these are more than"):
        kept.add(identity, [("f.png", b"pixels")])
    used = kept.folder(identity)
    for _ in range(uploads.MAX_KEPT + 1):
        kept.begin(used)
    assert kept.folder(identity) == used  # a training may go on with it
    (kept.root / "pictures-of-my-cat").mkdir()  # a person's own run, or anything
    os.utime(kept.root / "pictures-of-my-cat", (0, 0))
    for _ in range(uploads.MAX_KEPT + 1):
        kept.begin()
    assert (kept.root / "pictures-of-my-cat").exists()
    kept.begin()
    with pytest.raises(GanDemoError, match="not here any more"):
        kept.folder(identity)
    assert uploads._written(tmp_path / "cleared-away-meanwhile") == 0
