"""What a person would lose: a run that goes up whole, or the word why it did not."""

import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hub_double import SECRET, SHIPPED, hasty, push

from gan_demo import hub, naming, publish, wire
from gan_demo.errors import GanDemoError
from gan_demo.wire import HubError

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_run_goes_up_in_one_tagged_commit_and_nothing_that_is_not_its_own(run, double):
    done = push(run, double)
    repo = double.repos["me/digits"]
    assert [commit.title for commit in repo.commits] == ["initial commit", "dcgan-mnist: 18750 of 18750 steps"]
    sent = repo.commits[-1].files
    whole = {path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*") if path.is_file()}
    assert set(sent) == {".gitattributes", *whole} and len(whole) > 2 * len(run.snapshots)
    assert not any(SECRET.encode() in data for data in [*sent.values(), *double.objects.values()])
    for name in naming.files_of(run):
        assert sent[name] == (run.path / name).read_bytes()
    assert repo.tags == {done.tag: done.commit} and done.tag.startswith("step-18750-")
    assert done.url == f"{double.url}/me/digits" and done.changed and not repo.private


def test_unchanged_files_make_no_commit_and_are_not_sent_again(run, double):
    first = push(run, double)
    with double.counting() as seen:
        again = push(run, double)
    assert len(double.repos["me/digits"].commits) == 2 and double.repos["me/digits"].tags == {first.tag: first.commit}
    assert not again.changed and again.commit == first.commit
    assert not [path for method, path, _ in seen if method == "PUT" or "/commit/" in path]
    with open(run.path / "history.csv", "a") as history:
        history.write("18751,1,1,1,1,1,1\n")
    assert push(run, double).changed and double.repos["me/digits"].commits[-1].changed == ["history.csv"]


def test_a_private_repository_is_made_private(run, double):
    assert push(run, double, private=True).changed
    assert double.repos["me/digits"].private


def test_a_public_repository_does_not_pass_for_a_private_one(run, double):
    push(run, double)
    with pytest.raises(HubError, match="me/digits is public already: make it private on its page"):
        push(run, double, private=True)


def test_what_a_resumed_run_dropped_goes_from_the_repository_too(run, double):
    push(run, double)
    before = run.steps[-1]
    run.rewind(run.steps[-2])
    (run.path / "metrics.json").unlink()
    push(run, double)
    sent = double.repos["me/digits"].commits[-1].files
    assert "metrics.json" not in sent
    assert f"snapshots/step-{before:08d}.safetensors" not in sent and f"samples/step-{before:08d}.png" not in sent
    assert f"snapshots/step-{run.steps[-1]:08d}.safetensors" in sent and ".gitattributes" in sent


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda file: file.unlink(), "cannot be read"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"?"), "is damaged"),
    ],
)
def test_a_snapshot_that_is_lost_here_keeps_its_good_copy_there(spoil, says, few, double):
    push(few, double)
    file = few.snapshots[3].file
    good = double.repos["me/digits"].commits[-1].files
    spoil(few.path / "snapshots" / file)
    with pytest.raises(GanDemoError, match=f"{file} {says}"):
        push(few, double)
    assert double.repos["me/digits"].commits[-1].files == good


def test_a_hub_that_falls_silent_in_the_middle_of_a_push_is_given_up_and_told(run, double, monkeypatch, capfd):
    monkeypatch.setattr(wire, "GIVE_UP_SECONDS", 0.8)
    monkeypatch.setattr(publish, "SLOW_SECONDS", 0.3)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", double.url)
    publisher = publish.Publisher("me/digits")
    double.stall("/lfs/")
    says = r"the Hub does not answer: try again later; .* push it with --resume"
    with hasty(), pytest.raises(HubError, match=says) as caught:
        publisher.publish(run, None)
    assert caught.value.passing and len(double.repos["me/digits"].commits) == 1
    assert "me/digits: the push is still on its way; it is given up where" in capfd.readouterr().err
    assert double.asked("/lfs/", "PUT") < 30  # huggingface_hub sends each of 20 snapshots six times
    double.recover()
    assert "tagged step-" in publisher.publish(run, None)


@pytest.mark.parametrize("where", ["create", "/commit/"])
@pytest.mark.parametrize(
    ("trouble", "says", "passing", "patience"),
    [
        (lambda double, where: double.answer(401, where), "token (401): `hf auth login`", False, nullcontext),
        (lambda double, where: double.answer(403, where), "may not write there (403)", False, nullcontext),
        (lambda double, at: double.answer(429, at, Retry_After="30"), "(429): try again in 30 s", True, nullcontext),
        (lambda double, where: double.answer(503, where), "has trouble (503)", True, nullcontext),
        (lambda double, where: double.stall(where), "does not answer", True, hasty),
        (lambda double, where: double.drop(where), "cannot be reached (RemoteProtocolError)", True, nullcontext),
    ],
)
def test_a_hub_that_refuses_stalls_or_hangs_up_is_one_line_and_nothing_half_done(
    trouble, says, passing, patience, where, few, double
):
    if where == "/commit/":
        hub.make_repo("me/digits", endpoint=double.url)
    trouble(double, where)
    with patience(), pytest.raises(HubError, match="me/digits cannot be pushed to: ") as caught:
        push(few, double)
    assert says in str(caught.value) and "\n" not in str(caught.value) and caught.value.passing is passing
    assert [len(repo.commits) for repo in double.repos.values()] == [1] * len(double.repos)
    double.recover()
    assert push(few, double).changed


def test_another_model_is_not_replaced(few, double, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", double.url)
    double.add("me/digits", {"config.json": b'{"architectures": ["Bert"]}', "model.safetensors": b"weights"})
    for call in (lambda: publish.Publisher("me/digits"), lambda: push(few, double)):
        with pytest.raises(HubError, match="me/digits holds another model, which a push would replace: choose another"):
            call()
    assert len(double.repos["me/digits"].commits) == 1


def test_a_later_verdict_gets_a_tag_of_its_own(few, double):
    (few.path / "metrics.json").rename(few.path / "aside.json")
    first = push(few, double)
    (few.path / "aside.json").rename(few.path / "metrics.json")
    second = push(few, double)
    assert double.repos["me/digits"].tags == {first.tag: first.commit, second.tag: second.commit}
    assert "metrics.json" in double.repos["me/digits"].at(second.tag).files and first.tag != second.tag


def test_a_push_that_can_never_come_is_told_before_the_training(monkeypatch, double):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set: unset it, or push later with --resume"):
        publish.Publisher("me/digits")


def test_no_hub_at_all_is_one_line(run):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(HubError, match=r"cannot be reached \(ConnectError\): check the network") as caught:
            hub.push(run, "me/digits", endpoint=url)
    assert caught.value.passing


@pytest.mark.parametrize(
    "name",
    [
        *("", "digits", "me/", "/digits", "a/b/c", "me/dig its", "me/dig?its", "../x", "me/..", "me/a--b", "me/x.git"),
        *("me/x.", "-me/x", "me/x@v1", "me/x@", "m" * 60 + "/" + "x" * 60),
    ],
)
def test_a_name_that_is_none_is_refused_before_anything_is_asked(name, run, double):
    with pytest.raises(GanDemoError, match="USER/NAME"):
        hub.push(run, name, endpoint=double.url)
    assert not double.requests


@pytest.mark.parametrize(
    ("library", "says"), [(None, "here is none"), (SimpleNamespace(__version__="0.36.2"), "here is 0.36.2")]
)
def test_a_library_that_is_missing_or_too_old_is_one_line_that_names_the_one_wanted(library, says, run, monkeypatch):
    wanted = (SHIPPED.parent.parent / "requirements.txt").read_text().splitlines()
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    for call in (lambda: hub.push(run, "me/digits"), lambda: hub.fetch("me/digits@" + "0" * 40)):
        with pytest.raises(HubError, match=says) as caught:
            call()
        assert f"pip install '{wire.WANTED}'" in str(caught.value) and wire.WANTED in wanted


@pytest.mark.parametrize(("given", "off"), [(None, True), ("0", False), ("1", True)])
def test_files_go_by_http_whose_waits_are_bounded_unless_a_person_wants_xet(given, off, monkeypatch):
    from huggingface_hub import constants
    from huggingface_hub.utils._runtime import is_xet_available

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", given == "1")
    monkeypatch.delenv("HF_HUB_DISABLE_XET")
    if given is not None:
        monkeypatch.setenv("HF_HUB_DISABLE_XET", given)
    wire.connect()
    assert is_xet_available() is not off


def test_the_client_is_made_once_however_many_repositories_are_asked_for_at_once(monkeypatch):
    made = []
    monkeypatch.setattr("huggingface_hub.set_client_factory", made.append)  # it cuts what is on its way
    wire._bound_waiting.cache_clear()
    together = threading.Barrier(6)

    def ask(_: int) -> None:
        together.wait()
        wire.connect()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(ask, range(6)))
    monkeypatch.undo()
    wire._bound_waiting.cache_clear()
    wire.connect()  # as it was
    assert len(made) == 1


def test_a_tag_that_fails_is_told_apart_from_a_push_that_fails(few, double):
    double.answer(503, "/tag/")
    with pytest.raises(HubError, match=r"has the whole run, but its tag step-18750-\w+ cannot be set: .* later"):
        push(few, double)
    double.recover()
    done = push(few, double)
    assert not done.changed and double.repos["me/digits"].tags == {done.tag: done.commit}


def test_a_run_that_is_not_finished_gets_no_tag(few, double):
    few.write_config(replace(few.config, length=few.config.length + 1))
    assert push(few, double).tag is None and not double.repos["me/digits"].tags
