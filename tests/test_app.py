"""What a host would lose: the say over who trains on their machine, and the runs that the page is to open with."""

import os
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT
from waiting import wait_until

import app
from gan_demo import install
from gan_demo.errors import GanDemoError, without_path
from gan_demo.ui.library import Library

SHIPPED = ROOT / "checkpoints"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    """Neither a Space nor runs that a person has named."""
    for name in ("SPACE_ID", "GAN_DEMO_RUNS", "GAN_DEMO_ALLOW_HUB"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("arguments", "space", "trains", "private"),
    [
        ([], False, True, True),
        (["--host", "::1"], False, True, True),
        (["--host", "localhost"], False, True, True),
        (["--share"], False, False, False),
        (["--host", "192.168.0.5"], False, False, False),
        (["--host", "0.0.0.0"], False, False, False),
        ([], True, False, False),
        (["--host", "127.0.0.1"], True, False, False),
        (["--allow-training"], False, True, False),
        (["--share", "--allow-training"], False, True, False),
        (["--allow-training"], True, True, False),
        (["--no-allow-training"], False, False, False),
    ],
)
def test_strangers_train_where_the_host_says_so_alone(arguments, space, trains, private, monkeypatch):
    if space:
        monkeypatch.setenv("SPACE_ID", "me/space")
    options = app.parse(arguments)
    assert (options.allow_training, options.private) == (trains, private)


def test_the_page_opens_with_the_shipped_runs_the_faces_first():
    sources = app.default_sources()
    library = Library(sources)
    assert next(iter(library.runs)) == "modern-anime" and not library.problems()
    assert set(library.runs) == {path.parent.name for path in SHIPPED.glob("*/config.json")}


def test_the_environment_names_other_runs(monkeypatch):
    monkeypatch.setenv("GAN_DEMO_RUNS", " a , b,")
    assert app.default_sources() == ["a", "b"]


@pytest.mark.parametrize(
    ("end", "status"), [(None, 0), (KeyboardInterrupt(), 130), (GanDemoError("the port is taken"), 2)]
)
def test_a_training_ends_with_the_page_however_that_ends(end, status, monkeypatch):
    closed = []

    def serve(library: Library, live: app.Live, *_: object) -> None:
        assert not closed and "dcgan-mnist" in library.runs
        monkeypatch.setattr(live, "close", lambda: closed.append(live))
        if end:
            raise end

    monkeypatch.setattr(app, "end_with", lambda _: None)
    monkeypatch.setitem(sys.modules, "gan_demo.ui.page", SimpleNamespace(serve=serve))
    assert app.main(["--runs", str(SHIPPED / "dcgan-mnist")]) == status and len(closed) == 1


def test_sigterm_ends_what_trains_before_the_page(monkeypatch):
    ends, handlers = [], {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(os, "kill", lambda process, number: ends.append((process, number)))
    app.end_with(SimpleNamespace(close=lambda: ends.append("closed")))
    handlers[signal.SIGTERM](signal.SIGTERM, None)
    assert ends == ["closed", (os.getpid(), signal.SIGTERM)] and handlers[signal.SIGTERM] == signal.SIG_DFL


def test_whoever_ends_the_one_command_ends_what_it_runs(tmp_path):
    """A container's or a service's manager knows the first process alone."""
    mark = tmp_path / "mark"
    inner = f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(60)"
    outer = f"import sys; from gan_demo import install; sys.exit(install.run(sys.executable, '-c', {inner!r}))"
    process = subprocess.Popen([sys.executable, "-c", outer], cwd=ROOT)
    wait_until(mark.exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM  # the child's end, waited for


def test_an_address_of_ipv6_may_stand_in_brackets():
    assert [app.parse(["--host", host]).host for host in ("[::1]", "::1")] == ["::1", "::1"]


def test_a_run_or_data_in_the_folder_at_hand_garbles_no_sentence():
    assert without_path("No. Give 1.5.", Path("."), "") == "No. Give 1.5."
    assert without_path("/a/b/c.png is gone", Path("/a/b"), "mine") == "mine/c.png is gone"


@pytest.fixture
def installing(monkeypatch, tmp_path) -> list[str]:
    """What is done for an empty repository, outside a virtual environment: "venv", or what Python is to run."""
    done: list[str] = []

    def create(place: Path, **_: object) -> None:
        done.append("venv")
        shutil.rmtree(place, ignore_errors=True)
        for name in ("bin/python", "Scripts/python.exe"):
            (place / name).parent.mkdir(parents=True)
            (place / name).touch()

    def run(command: list, **_: object) -> subprocess.CompletedProcess:
        if command[1] == "-c":  # does it start?
            return subprocess.CompletedProcess(command, int(Path(command[0]).read_text() == "broken"))
        done.append(" ".join(command[2:4]))
        return subprocess.CompletedProcess(command, 0)

    (tmp_path / "requirements.txt").write_text("numpy")
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(install.venv, "create", create)
    monkeypatch.setattr(subprocess, "run", run)
    return done


def test_packages_are_installed_once_for_a_python_and_anew_for_another_or_where_it_is_gone(installing, monkeypatch):
    python = install.python_with("requirements.txt")
    assert installing == ["venv", "pip install", "uv pip"] and python.is_relative_to(install.ROOT / ".venv")
    installing.clear()
    assert install.python_with("requirements.txt") == python and not installing
    with monkeypatch.context() as grown:
        grown.setattr(sys, "version_info", (3, 99, 0))
        install.python_with("requirements.txt")
        assert installing == ["pip --version", "pip install", "uv pip"]
    installing.clear()
    python.unlink()
    python.symlink_to("removed")
    install.python_with("requirements.txt")
    assert installing == ["venv", "pip install", "uv pip"] and not python.is_symlink()
    installing.clear()
    python.write_text("broken")  # by an upgrade of the Python that it was made of
    install.python_with("requirements.txt")
    assert installing == ["venv", "pip install", "uv pip"]


def test_where_uv_cannot_install_pip_does(installing, monkeypatch):
    note = subprocess.run

    def run(command: list, **options: object) -> subprocess.CompletedProcess:
        done = note(command, **options)
        return subprocess.CompletedProcess(command, 2) if command[2] == "uv" else done

    monkeypatch.setattr(subprocess, "run", run)
    install.python_with("requirements.txt")
    assert installing == ["venv", "pip install", "uv pip", "pip install"]


def test_the_virtual_environment_is_a_link_to_its_python_and_may_lie_on_another_disk(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / ".venv").symlink_to(tmp_path / "disk")
    (tmp_path / "none.txt").write_text("")
    make = "from gan_demo import install; install.ROOT = install.Path(%r); install.python_with('none.txt')"
    base = Path(sys.base_prefix) / "bin" / "python3"
    offline = {**os.environ, "PIP_NO_INDEX": "1"}
    subprocess.run([base, "-c", make % str(tmp_path)], cwd=ROOT, env=offline, check=True, capture_output=True)
    assert (tmp_path / "disk" / "bin" / "python").is_symlink()


@pytest.mark.parametrize("program", ["app.py", "train.py"])
def test_a_python_without_the_packages_is_told_where_they_are(program):
    done = subprocess.run(
        [sys.executable, "-S", program, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stderr.startswith("the packages are not in this Python: use that of .venv")
    assert done.stderr.count("\n") == 1 and not done.stdout


def test_packages_that_cannot_be_installed_are_one_line_and_tried_again(installing, monkeypatch, capsys):
    python = install.python_with("requirements.txt")
    (install.ROOT / "requirements.txt").write_text("numpy, a newer one")
    capsys.readouterr()

    def fail(command: list, **_: object) -> None:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(install, "_works", lambda _: True)
    monkeypatch.setattr(install, "_has_pip", lambda _: True)
    monkeypatch.setattr(subprocess, "run", fail)
    before = set(python.parent.parent.iterdir())
    with pytest.raises(SystemExit) as left:
        install.python_with("requirements.txt")
    [_, line] = capsys.readouterr().err.splitlines()
    assert left.value.code == 2 and "could not be installed" in line and set(python.parent.parent.iterdir()) == before


def test_one_command_installs_and_runs_the_app_with_its_options(monkeypatch, capfd):
    installed = []
    monkeypatch.setattr(install, "python_with", lambda *names: installed.append(names) or sys.executable)
    monkeypatch.setattr(sys, "argv", ["gan_demo", "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("gan_demo", run_name="__main__")
    assert left.value.code == 0 and installed == [("requirements.txt",)]
    assert capfd.readouterr().out.startswith("usage: app.py")
