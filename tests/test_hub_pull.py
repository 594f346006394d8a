"""What a person would lose: the run that was pushed, the same on any machine, or the word that says what is missing."""

import os
import re
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hub_double import ROOT, SHIPPED, hasty, pull, push

from gan_demo import hub, naming
from gan_demo.errors import GanDemoError
from gan_demo.player import Player, open_run
from gan_demo.wire import HubError


def test_what_comes_back_makes_the_same_pictures_byte_for_byte(few, double):
    done = push(few, double)
    for source in ("me/digits", f"me/digits@{done.tag}", f"me/digits@{done.commit}"):
        fetched = pull(double, source)
        assert fetched.commit == done.commit and not fetched.trouble
        np.testing.assert_array_equal(Player(fetched.run).film([3, 5]), open_run(few.path).film([3, 5]))


def test_a_cache_that_can_only_be_read_is_enough(few, double, monkeypatch):
    push(few, double)
    pull(double)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(hub, "write_file", refuse)
    assert pull(double).run.steps == few.steps
    [ref] = Path(pull(double).run.path.parent.parent / "refs").iterdir()
    ref.write_text("0" * 40)
    assert not pull(double).trouble


def test_snapshots_come_when_they_are_needed_and_everything_once(run, double):
    done = push(run, double)
    fetched = pull(double)
    here = {path.name for path in (fetched.run.path / "snapshots").iterdir()}
    assert here == {"index.json", f"step-{run.steps[-1]:08d}.safetensors"}
    assert not (fetched.run.path / "README.md").exists() and not (fetched.run.path / "model.safetensors").exists()
    player = Player(fetched.run)
    with double.counting() as seen:
        player.generate([1])
    assert not seen
    player.generate([1], step=run.steps[2])
    assert f"step-{run.steps[2]:08d}.safetensors" in {path.name for path in (fetched.run.path / "snapshots").iterdir()}
    player.film([1])
    with double.counting() as seen:
        Player(pull(double).run).film([1])
        Player(pull(double, f"me/digits@{done.commit}").run).film([1])
    assert [path for _, path, _ in seen] == ["/api/models/me/digits/revision/main"]
    assert sum(path.endswith("resolve/" + done.commit + "/config.json") for verb, path, _ in double.requests
               if verb == "GET") == 1  # fmt: skip


def test_a_snapshot_that_a_power_cut_emptied_is_fetched_again_and_no_other(few, double):
    push(few, double)
    film = Player(pull(double).run).film([1])
    lost = few.snapshots[3]
    (pull(double).run.path / "snapshots" / lost.file).resolve().write_bytes(b"")
    with double.counting() as seen:
        np.testing.assert_array_equal(Player(pull(double).run).film([1]), film)
    assert [path for method, path, _ in seen if method == "GET" and "/cdn/" in path] == [f"/cdn/{lost.sha256}"]


@pytest.mark.parametrize("name", ["config.json", "snapshots/index.json", "discriminator.safetensors", "history.csv"])
def test_any_file_that_a_power_cut_emptied_is_fetched_again(name, few, double):
    commit = push(few, double).commit
    whole = (few.path / name).read_bytes()
    for source in ("me/digits", f"me/digits@{commit}"):
        path = pull(double, source).run.path / name
        path.resolve().write_bytes(b"")
        assert (pull(double, source).run.path / name).read_bytes() == whole


@pytest.mark.parametrize("trouble", ["answer", "stall", "drop", "gone"])
def test_what_was_fetched_opens_without_the_hub_and_says_so(trouble, few, double):
    from huggingface_hub import close_session

    done = push(few, double)
    Player(pull(double).run).film([1])
    {"answer": lambda: double.answer(503), "stall": double.stall, "drop": double.drop,
     "gone": lambda: (double.__exit__(), close_session())}[trouble]()  # fmt: skip
    with hasty():
        fetched = pull(double)
    assert fetched.commit == done.commit and "me/digits is no folder here and cannot be opened: " in fetched.trouble
    np.testing.assert_array_equal(Player(fetched.run).film([1]), open_run(few.path).film([1]))


def test_half_of_a_hub_that_answers_keeps_nothing_away_that_is_here(few, double):
    first = push(few, double)
    pull(double)
    double.add("me/digits", {"notes.txt": b"a commit"})
    double.answer(503, "paths-info")
    fetched = pull(double)
    assert fetched.commit == first.commit and "has trouble (503)" in fetched.trouble
    double.recover()
    assert pull(double).commit != first.commit


def test_a_limit_of_requests_is_told_at_once(few, double, monkeypatch):
    from huggingface_hub.utils import _http

    naps: list[float] = []
    monkeypatch.setattr(_http, "time", SimpleNamespace(**{**vars(time), "sleep": naps.append}))
    push(few, double)
    double.answer(429, "", RateLimit='"api";r=0;t=290')
    with pytest.raises(HubError, match=r"too many requests \(429\): try again in 290 s"):
        pull(double)
    assert not naps


def test_a_hub_that_cannot_be_asked_and_no_cache_is_one_line(double):
    for trouble, says, patience in (
        (double.stall, "does not answer", hasty),
        (lambda: double.answer(503), "trouble", nullcontext),
        (double.drop, "", nullcontext),
    ):
        trouble()
        opened = f"me/digits is no folder here and cannot be opened: .*{says}"
        with patience(), pytest.raises(HubError, match=opened) as caught:
            pull(double)
        assert caught.value.passing and "\n" not in str(caught.value)
    assert len(double.requests) <= 4  # one each (and the client's own question once): nothing is tried five times


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("me/nothing", "no such repository, or it is private"),
        ("me/digits@v9", "no such revision"),
        ("me/digits@" + "0" * 40, "no such revision"),
        ("me/digits@../../x", "is no revision"),
        ("me/digits@main/..", "is no revision"),
        ("me/digits@", "names no repository"),
        ("../me/digits", "names no repository"),
        ("me-/digits@" + "0" * 40, "names no repository"),
        ("me/dig its", "names no repository"),
    ],
)
def test_a_wrong_name_or_revision_says_which(source, says, run, double):
    double.add("me/digits", {"config.json": (run.path / "config.json").read_bytes()})
    with pytest.raises(GanDemoError, match=says) as caught:
        pull(double, source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SSL_CERT_FILE", "/gone/ca.pem", "the certificates of SSL_CERT_FILE .*No such file"),
        ("SSL_CERT_FILE", __file__, "the certificates of SSL_CERT_FILE "),
        ("HTTPS_PROXY", "http://proxy.example:port", "the proxy of HTTPS_PROXY .*port"),
        ("HF_ENDPOINT", "http://[::1", "HF_"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "soon", "huggingface_hub cannot be used .*soon.* HF_"),
    ],
)
def test_a_wrong_word_in_the_environment_is_one_line(variable, value, says):
    fetch = "from gan_demo import hub\ntry: hub.fetch('me/digits')\nexcept hub.HubError as error: print(error)"
    machine = {**os.environ, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": "http://127.0.0.1:9"} | {variable: value}
    done = subprocess.run([sys.executable, "-c", fetch], env=machine, capture_output=True, text=True, check=False)
    assert re.fullmatch(f".*{says}.*\n", done.stdout) and not done.stderr, done


def test_no_file_is_fetched_any_more_once_the_program_ends(few, double):
    """The interpreter waits for all that its threads have queued: for a large run, minutes after Ctrl-C."""
    push(few, double)
    fetched = pull(double)
    hub.ENDING.set()
    try:
        with double.counting() as seen, pytest.raises(HubError, match="the program is ending"):
            Player(fetched.run).film([1])
    finally:
        hub.ENDING.clear()
    assert not [path for _, path, _ in seen if path.endswith(".safetensors")]
    assert Player(fetched.run).film([1]).shape[0] == len(few.steps)


def test_only_a_name_that_is_no_folder_here_means_the_hub(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert naming.is_hub_id("me/digits") and naming.is_hub_id("me/digits@v1")
    for source in ("checkpoints/dcgan-mnist", "digits", "a/b/c", "/me/digits", "../me", "", None, Path("me/digits")):
        assert not naming.is_hub_id(source)


def test_open_run_takes_a_hub_id_and_its_revision(few, double, monkeypatch):
    done = push(few, double)
    monkeypatch.setattr(hub, "fetch", partial(hub.fetch, endpoint=double.url))
    for arguments in (("me/digits",), (f"me/digits@{done.tag}",), ("me/digits", done.commit)):
        np.testing.assert_array_equal(open_run(*arguments).generate([7]), open_run(few.path).generate([7]))
    with pytest.raises(GanDemoError, match="a folder has no revisions"):
        open_run(SHIPPED, "main")


def test_a_push_is_noticed_by_who_watches(few, double):
    first = push(few, double).commit
    assert hub.newer("me/digits", first, endpoint=double.url) is None
    later = double.add("me/digits", {"notes.md": b"x"}).id
    assert hub.newer("me/digits", first, endpoint=double.url) == later
    double.stall()
    with hasty(), pytest.raises(HubError, match="me/digits cannot be watched: the Hub does not answer"):
        hub.newer("me/digits", first, endpoint=double.url)


def test_of_another_commit_nothing_is_left_in_a_cache_that_keeps_contents_once(tmp_path):
    """As huggingface_hub 2 lays it out: a file is a link to a blob, and that to a content."""
    repository = tmp_path / "models--me--digits"
    for commit, name in (("a" * 40, "old"), ("b" * 40, "new")):
        folder = repository / "snapshots" / commit
        content = tmp_path / "blobs" / "xx" / f"content-of-{name}"
        blob = repository / "blobs" / f"etag-of-{name}"
        for path in (folder, content.parent, blob.parent):
            path.mkdir(parents=True, exist_ok=True)
        content.write_text(name)
        blob.symlink_to(content)
        (folder / "model.safetensors").symlink_to(Path("../../blobs") / blob.name)
    hub.forget_other_commits(SimpleNamespace(path=folder))
    assert (folder / "model.safetensors").read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*") if not path.is_dir()) == [
        "content-of-new",
        "etag-of-new",
        "model.safetensors",
    ]
