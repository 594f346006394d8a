"""What a person would lose while a training runs and its snapshots go up: the training's pace, or one of them."""

import threading
import time

import pytest
from hub_double import SHIPPED, HubDouble, hasty, push
from huggingface_hub import HfApi
from waiting import wait_until

from gan_demo.publish import SnapshotPusher
from gan_demo.run import Run
from gan_demo.wire import HubError

pytestmark = pytest.mark.usefixtures("own_cache")


def grow(run: Run, to: int) -> None:
    """Let the folder's index show the first `to` snapshots, as training would have written it by then."""
    full = Run(SHIPPED).snapshots
    run.snapshots = full[:to]
    run._write_index()


def watched(double: HubDouble) -> list[list[str]]:
    return [commit.changed for commit in double.repos["me/digits"].commits[1:]] if double.repos else []


def test_snapshots_go_up_in_order_each_with_the_index_that_names_it(run, double):
    pusher = SnapshotPusher("me/digits", endpoint=double.url)
    for count in (1, 2, 3):
        grow(run, count)
        pusher(run)
        wait_until(lambda count=count: len(watched(double)) == count)
        files = double.repos["me/digits"].commits[-1].files
        assert {name for name in files if name.startswith("snapshots/step")} == {
            f"snapshots/step-{step:08d}.safetensors" for step in run.steps
        }
        assert files["snapshots/index.json"] == (run.path / "snapshots/index.json").read_bytes()
        assert "config.json" in files and "model.safetensors" not in files and "state/state.pt" not in files
    pusher(run)  # with nothing new
    wait_until(lambda: not pusher._news.is_set())
    pusher.close()
    assert [commit.title for commit in double.repos["me/digits"].commits[1:]] == ["step 0", "step 74", "step 129"]
    assert double.asked("/commit/") == double.asked("preupload") == 3


@pytest.mark.parametrize("where", ["create", "/commit/"])
def test_a_failing_network_is_told_once_and_made_good_later(where, run, double, capfd):
    double.drop(where)
    pusher = SnapshotPusher("me/digits", endpoint=double.url, pauses=(0.05, 0.1))
    for count in (1, 2):
        grow(run, count)
        pusher(run)  # returns at once: the training goes on
    wait_until(lambda: double.asked(where) >= 3)
    double.recover()
    wait_until(lambda: len(watched(double)) and f"snapshots/step-{run.steps[-1]:08d}.safetensors" in
               double.repos["me/digits"].commits[-1].files)  # fmt: skip
    pusher.close()
    [trouble, made_good] = capfd.readouterr().err.strip().splitlines()
    assert "training goes on, trying again later" in trouble and made_good == "me/digits has all snapshots again"


def test_a_refused_token_is_told_once_and_not_tried_again_while_training(run, double, capfd):
    double.answer(403, "create")
    pusher = SnapshotPusher("me/digits", endpoint=double.url, pauses=(0.01, 0.01))
    grow(run, 1)
    pusher(run)
    wait_until(lambda: not pusher._thread.is_alive())
    grow(run, 2)
    pusher(run)
    pusher.close()
    [line] = capfd.readouterr().err.strip().splitlines()
    assert "(403)" in line and "training goes on, trying again at the end" in line
    assert double.asked("create") == 1


def test_a_silent_hub_does_not_hold_the_training_up(run, double):
    double.stall()
    grow(run, 1)
    pusher = SnapshotPusher("me/digits", endpoint=double.url, pauses=(60, 60))
    began = time.monotonic()
    pusher(run)
    assert time.monotonic() - began < 1  # of the five seconds of patience
    wait_until(lambda: double.asked("create") == 1)
    pusher(run)  # while the first is still waiting for an answer
    pusher.close(seconds=0.01)
    assert pusher._thread.is_alive()  # nobody waited for it
    with hasty(), pytest.raises(HubError, match="does not answer"):
        push(run, double)


def test_a_snapshot_that_is_late_does_not_follow_the_push_of_the_whole_run(run, double, monkeypatch):
    held, upload = threading.Event(), HfApi.preupload_lfs_files

    def wait_for_it(*arguments, **options):
        if threading.current_thread().name == "snapshot-pusher":
            assert held.wait(60)
        return upload(*arguments, **options)

    monkeypatch.setattr(HfApi, "preupload_lfs_files", wait_for_it)
    pusher = SnapshotPusher("me/digits", endpoint=double.url)
    grow(run, 2)
    pusher(run)
    wait_until(lambda: not pusher._news.is_set() and double.repos)
    pusher.close(0.05)
    grow(run, len(Run(SHIPPED).snapshots))
    done = push(run, double)
    held.set()
    pusher._thread.join(60)
    last = double.repos["me/digits"].commits[-1]
    assert not pusher._thread.is_alive() and last.id == done.commit
    assert last.files["snapshots/index.json"] == (SHIPPED / "snapshots/index.json").read_bytes()


def test_a_snapshot_that_is_lost_here_stays_there(run, double):
    push(run, double)
    (run.path / "snapshots" / run.snapshots[3].file).unlink()
    (run.path / "history.csv").write_text("step\n")
    pusher = SnapshotPusher("me/digits", endpoint=double.url)
    pusher(run)
    wait_until(lambda: len(double.repos["me/digits"].commits) == 3)
    pusher.close()
    assert double.repos["me/digits"].commits[-1].changed == ["history.csv"]


def test_a_stopped_training_that_goes_on_keeps_what_its_push_brought(run, double):
    push(run, double)  # its last snapshot is that of the stop
    before = set(double.repos["me/digits"].commits[-1].files)
    run.drop(run.steps[-1:])
    pusher = SnapshotPusher("me/digits", endpoint=double.url)
    pusher(run)
    wait_until(lambda: len(double.repos["me/digits"].commits) == 3)
    pusher.close()
    gone = before - set(double.repos["me/digits"].commits[-1].files)
    assert gone == {"snapshots/step-00018750.safetensors", "samples/step-00018750.png"}


def test_a_new_trainings_snapshots_stand_beside_nothing_of_an_older_run(run, double):
    push(run, double)
    (run.path / "metrics.json").unlink()  # its discriminator and model are there, as of every training
    grow(run, 2)
    pusher = SnapshotPusher("me/digits", endpoint=double.url)
    pusher(run)
    wait_until(lambda: len(double.repos["me/digits"].commits) == 3)
    pusher.close()
    there = double.repos["me/digits"].commits[-1].files
    assert not {"metrics.json", "discriminator.safetensors", "snapshots/step-00018750.safetensors"} & set(there)
    assert "model.safetensors" not in there
    assert len([name for name in there if name.startswith("snapshots/step")]) == 2 and "README.md" in there
