"""What a person would lose: the whole way, from train.py to the Hub and back on another machine, with real parts."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
from browser import free_port
from conftest import DATA, ROOT
from growing import IMPATIENT
from hub_double import SHIPPED, TOKEN
from playwright.sync_api import expect
from waiting import wait_until

from gan_demo import hub, naming
from gan_demo.player import Player, open_run
from gan_demo.run import Run

QUICK = ["mlp-mnist", "--data", str(DATA), "--device", "cpu", "--batch-size", "16", "--snapshots", "5"]
FILM = """
import hashlib, sys
from gan_demo import open_run
for source in sys.argv[1:]:
    player = open_run(source)
    print(player.steps[-1], hashlib.sha256(player.film(range(4)).tobytes()).hexdigest())
"""


def environment(url: str, home: Path) -> dict[str, str]:
    """Another machine: a cache and settings of its own, and a Hub at `url`."""
    own = {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    return {**os.environ, **own, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def start(*arguments: str, url: str, home: Path) -> subprocess.Popen:
    command = [sys.executable, "train.py", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment(url, home), **pipes)


@pytest.fixture
def train_here(train, double, monkeypatch):
    """`train`, in this process, with the double as its Hub: where another process would prove no more."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", double.url)
    files = f"{double.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"  # derived from it at the import
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
    return train


def film_here(folder: Path) -> str:
    player = open_run(folder)
    return f"{player.steps[-1]} {hashlib.sha256(player.film(range(4)).tobytes()).hexdigest()}\n"


def film_elsewhere(*sources: str, url: str, home: Path) -> str:
    command, machine = [sys.executable, "-c", FILM, *sources], environment(url, home)
    done = subprocess.run(command, env=machine, capture_output=True, text=True, check=False, cwd=home.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def own_lines(stderr: str) -> list[str]:
    """What is said beside where it goes and the progress bars."""
    told = re.compile(r"training into |step/s|s/step|B/s")
    return [line for line in stderr.splitlines() if line.strip() and not told.search(line)]


# ---------------------------------------------------------------- train.py and back


def test_train_push_meanwhile_pull_elsewhere_the_same_pictures_byte_for_byte(
    own_cache, double, tmp_path, launch, visit
):
    out = tmp_path / "digits"
    arguments = [*QUICK, "--steps", "300", "--out", str(out), "--no-evaluate"]
    pushing = ["--push-to-hub", "me/digits", "--push-every-snapshot", "--private"]
    process = start(*arguments, *pushing, url=double.url, home=tmp_path / "home")
    wait_until(lambda: "me/digits" in double.repos and len(double.repos["me/digits"].commits) > 1, 60)
    process.send_signal(signal.SIGSTOP)  # until the page is there, however long that takes
    early = hub.fetch("me/digits", endpoint=double.url, token=TOKEN)  # someone watches while it trains
    assert early.run.steps[0] == 0 and early.run.config.length == 300
    machine = environment(double.url, tmp_path / "watching")
    try:
        visitor = visit(launch("me/digits", program=IMPATIENT, environment=machine)).open()
        arrived = int(visitor.page.locator("#film .scrub").get_attribute("max"))
        process.send_signal(signal.SIGCONT)
        said, complaints = process.communicate(timeout=300)
        steps = len(Run(out).steps)
        assert arrived < steps - 1
        expect(visitor.page.locator("#film .scrub")).to_have_attribute("max", str(steps - 1), timeout=60_000)
        visitor.sees(open_run(out).film(range(16))[-1])
    finally:
        process.kill()
    assert process.returncode == 0, complaints
    repo, run = double.repos["me/digits"], Run(out)
    last = repo.commits[-1]
    assert repo.private and "pushed to " in said and last.id[:10] in said and not own_lines(complaints), complaints
    assert [commit.title.split()[0] for commit in repo.commits[1:-1]] == ["step"] * (len(repo.commits) - 2)
    assert early.commit != last.id and hub.newer("me/digits", early.commit, endpoint=double.url) == last.id
    assert {name: data for name, data in last.files.items() if name != ".gitattributes"} == {
        name: (out / name).read_bytes() for name in naming.files_of(run)
    }
    here, machine = film_here(out), {"url": double.url, "home": tmp_path / "elsewhere"}
    assert film_elsewhere("me/digits", **machine) == here
    double.stall()  # that machine is started again, and the Hub has gone silent
    assert film_elsewhere("me/digits", f"me/digits@{last.id}", **machine) == 2 * here


def test_without_a_network_it_trains_and_the_push_is_made_good_without_the_data(train_here, double, tmp_path):
    out = tmp_path / "digits"
    push = ["--push-to-hub", "me/digits", "--push-every-snapshot"]
    dead = f"http://127.0.0.1:{free_port()}"
    process = start(*QUICK, "--steps", "3", "--out", str(out), *push, "--no-evaluate", url=dead, home=tmp_path / "home")
    said, complaints = process.communicate(timeout=120)
    lines = own_lines(complaints)
    assert process.returncode == 2 and "3 of 3 steps" in said, complaints
    assert "training starts, and the push comes at its end" in lines[0]
    assert lines[-1].startswith("train.py: me/digits cannot be pushed to: the Hub cannot be reached (ConnectError)")
    assert f"{out} is complete, push it with --resume" in lines[-1] and len(lines) <= 3, lines
    again = ["mlp-mnist", "--out", str(out), "--resume", "--no-evaluate", "--data", str(tmp_path / "no-data"), *push]
    for expected in ("tagged step-3-", "nothing new since commit"):
        done = train_here(*again)
        assert done.returncode == 0 and expected in done.stdout and not done.stderr, done.stderr
    assert (
        len(double.repos["me/digits"].commits) == 2
        and "state/state.pt" not in double.repos["me/digits"].commits[-1].files
    )


@pytest.mark.parametrize(
    ("arguments", "token", "says"),
    [
        (["--push-to-hub", "me/digits"], "hf_wrong", "does not accept the token (401)"),
        (["--push-to-hub", "digits"], TOKEN, "give USER/NAME"),
        (["--push-to-hub", "me/a b"], TOKEN, "give USER/NAME"),
        (["--push-to-hub", "me/digits@v1"], TOKEN, "a push goes to USER/NAME"),
        (["--private"], TOKEN, "need --push-to-hub USER/NAME"),
        (["--push-every-snapshot"], TOKEN, "need --push-to-hub USER/NAME"),
    ],
)
def test_a_push_that_cannot_work_is_told_before_the_training(
    arguments, token, says, train_here, double, tmp_path, monkeypatch
):
    out = tmp_path / "run"
    monkeypatch.setenv("HF_TOKEN", token)
    done = train_here(*QUICK, "--steps", "2", "--out", str(out), *arguments)
    [line] = done.stderr.strip().splitlines()
    assert done.returncode == 2 and not done.stdout and line.startswith("train.py: ") and says in line
    assert not out.exists() and not double.repos


def test_pictures_that_will_not_do_make_no_repository(train_here, double, tmp_path):
    push = ["--push-to-hub", "me/digits"]
    none = train_here("mlp-mnist", *push, "--data", str(tmp_path / "none.zip"), "--out", str(tmp_path / "run"))
    assert none.returncode == 2 and "none.zip does not exist" in none.stderr
    shutil.copytree(SHIPPED, tmp_path / "shipped")  # a run without state/
    again = ["--resume", "--out", str(tmp_path / "shipped"), "--steps", "9000000", "--data", str(DATA)]
    done = train_here(*again, *push)
    assert done.returncode == 2 and "cannot be resumed" in done.stderr, done.stderr
    assert not double.repos


def test_a_reader_that_left_costs_no_push_and_a_kill_no_film(train_here, double, tmp_path):
    out = tmp_path / "digits"
    push = [*QUICK, "--steps", "3", "--out", str(out), "--push-to-hub", "me/digits", "--no-evaluate"]
    process = start(*push, url=double.url, home=tmp_path / "home")
    process.stdout.close()
    process.stdout = None
    _, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints
    assert {"film.webp", "film.json"} <= set(double.repos["me/digits"].commits[-1].files)
    for name in ("film.webp", "film.json"):
        (out / name).unlink()  # as after a kill between the last snapshot and the film
    done = train_here(*push, "--resume")
    assert done.returncode == 0 and "pushed to" in done.stdout, done.stderr
    assert (out / "film.webp").exists() and "film.webp" in double.repos["me/digits"].commits[-1].files


# ---------------------------------------------------------------- a server that nobody here wrote


@pytest.fixture(scope="module")
def git_repo(tmp_path_factory) -> Path:
    """The shipped run as a plain git repository, with a tag, where olah looks for models."""
    folder = tmp_path_factory.mktemp("mirror") / "models" / "me" / "digits"
    run = Run(SHIPPED)
    for name in naming.files_of(run):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((SHIPPED / name).read_bytes())
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "a run")
    git(folder, "tag", "v1")
    (folder / "notes.md").write_text("later\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "notes")
    return folder


def git(folder: Path, *arguments: str) -> str:
    person = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *person, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def olah(git_repo, tmp_path) -> Iterator[tuple[str, subprocess.Popen]]:
    """olah, offline, serving the repository through the Hub's protocol: its URL and its process."""
    port = free_port()
    settings = tmp_path / "olah.toml"
    settings.write_text(
        f'[basic]\nhost = "127.0.0.1"\nport = {port}\nrepos-path = "{tmp_path / "olah"}"\n'
        f'mirror-netloc = "127.0.0.1:{port}"\nmirrors-path = ["{git_repo.parents[2]}"]\n'
        "[accessibility]\noffline = true\n"
    )
    command = [
        Path(sys.executable).parent / "olah-cli",
        "--config",
        str(settings),
        "--log-path",
        str(tmp_path / "logs"),
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, "olah ended"
        try:
            with urlopen(f"{url}/api/models/me/digits/revision/main", timeout=5):
                return True
        except (URLError, ConnectionError, TimeoutError):
            return False

    wait_until(answers, 60)
    yield url, process
    process.terminate()
    process.wait(20)


def test_a_real_server_gives_back_the_same_run(olah, git_repo, own_cache, monkeypatch):
    from gan_demo import wire

    monkeypatch.setattr(wire, "READ_SECONDS", 10)  # it reads git as it answers
    url, process = olah
    tagged = git(git_repo, "rev-parse", "v1")
    fetched = hub.fetch("me/digits@v1", endpoint=url, token=False)
    assert fetched.commit == tagged and {path.name for path in (fetched.run.path / "snapshots").iterdir()} == {
        "index.json",
        f"step-{fetched.run.steps[-1]:08d}.safetensors",
    }
    wanted = open_run(SHIPPED).film([2, 11])
    np.testing.assert_array_equal(Player(fetched.run).film([2, 11]), wanted)
    for name in ("config.json", "history.csv", "metrics.json", "film.webp"):
        assert (fetched.run.path / name).read_bytes() == (SHIPPED / name).read_bytes()
    head = git(git_repo, "rev-parse", "main")
    assert hub.newer("me/digits", tagged, endpoint=url) == head and hub.newer("me/digits", head, endpoint=url) is None
    with pytest.raises(hub.HubError, match="there is no such"):
        hub.fetch("me/digits@v2", endpoint=url)
    process.terminate()
    process.wait(20)
    for source in ("me/digits@v1", f"me/digits@{tagged}"):
        again = hub.fetch(source, endpoint=url)
        assert again.commit == tagged and bool(again.trouble) == source.endswith("v1")
        np.testing.assert_array_equal(Player(again.run).film([2, 11]), wanted)
