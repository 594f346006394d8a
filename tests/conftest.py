"""What the tests share: real data, and small real runs made once a session."""

import contextlib
import faulthandler
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from waiting import wait_until

import train as cli
from gan_demo import data, recipes, training
from gan_demo.errors import GanDemoError
from gan_demo.pictures import Images
from gan_demo.recipe import Recipe
from gan_demo.run import Run

pytest_plugins = ["browser", "growing", "hub_double"]  # the page's own fixtures: runs, app, chromium, visit

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("GAN_DEMO_DATA", ROOT / "data"))


def small(recipe: Recipe, **changes) -> Recipe:
    """The recipe with batches of 16, large networks made narrow: the same layers and losses, quick for a test."""
    narrow = {side: (16,) * len(getattr(recipe, side)) for side in ("generator_widths", "discriminator_widths")}
    return replace(recipe, **{"batch_size": 16} | (narrow if recipe.network == "residual" else {}) | changes)


def fit(recipe: Recipe, images: Images, out: Path, length: int, **options) -> training.Trainer:
    """Train on the CPU without a progress bar's noise, and return the trainer."""
    trainer = training.Trainer(recipe, images, training.Options(out=out, length=length, **options))
    trainer.fit()
    return trainer


def weights(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The raw networks and the moving average in full precision, as a resumed run would have them."""
    state = torch.load(folder / "state" / "state.pt", weights_only=True)
    return {name: state[name] for name in ("generator", "discriminator", "average")}


def assert_same_run(a: Path, b: Path) -> None:
    """Weights, snapshots and losses are the same, bit for bit; speeds and times may differ."""
    for name, tensors in weights(a).items():
        for key, value in tensors.items():
            assert torch.equal(value, weights(b)[name][key]), f"{name} {key}"
    digests = [[(snapshot.step, snapshot.sha256) for snapshot in Run(folder).snapshots] for folder in (a, b)]
    assert digests[0] == digests[1]
    histories = [
        [{k: v for k, v in row.items() if k != "images_per_second"} for row in Run(folder).read_history()]
        for folder in (a, b)
    ]
    assert histories[0] == histories[1]


def stop_at(step: int | None) -> Callable[[training.Trainer], None]:
    """For `after_each_step`: end the training after that step, as a signal does; None ends it nowhere."""

    def stop(trainer: training.Trainer) -> None:
        if trainer.step == step:
            trainer.stopped_by = "SIGTERM"

    return stop


@pytest.fixture
def after_each_step(monkeypatch) -> Callable[[Callable[[training.Trainer], None]], None]:
    """`after_each_step(act)`: from now on `act(trainer)` follows every step of every training, and no other act."""
    train_step = training.Trainer.train_step

    def follow(act: Callable[[training.Trainer], None]) -> None:
        def step(trainer: training.Trainer) -> None:
            train_step(trainer)
            act(trainer)

        monkeypatch.setattr(training.Trainer, "train_step", step)

    return follow


@pytest.fixture
def train(capsys) -> Callable[..., subprocess.CompletedProcess]:
    """`train(*arguments)` is train.py in this process: its exit status and what it said."""

    def run(*arguments: str) -> subprocess.CompletedProcess:
        try:
            status = cli.main([*arguments])
        except SystemExit as left:
            status = left.code
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, said.out, said.err)

    return run


@pytest.fixture
def few(run) -> Run:
    """The shipped run with five of its snapshots, where more would only take longer to push."""
    run.drop(run.steps[4:-1])
    return run


def run_as_two(*command: str) -> None:
    """Run a command of Python's in two processes that find each other as torchrun's do.

    Without its launcher, which imports torch before its workers do; test_training.py shows that it starts them.
    """
    from browser import free_port  # a plugin: pytest is to have imported it first

    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    common = {**os.environ, **place, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile("w+") as said, contextlib.ExitStack() as ends:
        both = []
        for rank in "01":
            environment = {**common, "RANK": rank, "LOCAL_RANK": rank}
            options = {"env": environment, "cwd": ROOT, "stdout": said, "stderr": said}
            both.append(process := subprocess.Popen([sys.executable, *command], **options))
            ends.callback(lambda process=process: (process.kill(), process.wait()))  # one may wait for the other
        wait_until(lambda: all(process.poll() == 0 for process in both) or any(process.poll() for process in both), 180)
        said.seek(0)
        assert [process.poll() for process in both] == [0, 0], said.read()


LONGEST = [  # first, so that no process is left alone with one of them
    *(
        "resume",
        "training",
        "page_hub",
        "page_tabs",
        "page_growing",
        "page_replay",
        "page_talk",
        "hub_whole",
        "page_live",
        "hard_page",
    ),
    *("command_line", "end_to_end", "live", "player", "repository", "run", "hub_push", "modern", "copies"),
    *("page_server", "page_back", "judge", "benchmark", "hard_folder"),
]


def pytest_collection_modifyitems(items):
    place = {f"test_{name}.py": at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def _noticed(report):
    """In CI nothing is passed over but what wants other hardware: else a package that is missing would go unseen."""
    if os.environ.get("CI") and report.skipped and isinstance(report.longrepr, tuple):
        why = report.longrepr[2]
        if not any(need in why for need in ("needs a GPU", "needs a processor")):
            report.outcome, report.longrepr = "failed", f"passed over in CI: {why}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return _noticed((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return _noticed((yield))


@pytest.fixture(autouse=True)
def as_long_as_it_takes():
    """Whoever raises the counts waits for longer than .pytest.ini lets a test take."""
    if {"GAN_DEMO_EXAMPLES", "GAN_DEMO_KILLS"} & os.environ.keys():
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The same rounding and the same load in every test."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def digits_at_hand():
    """Of two processes one downloads the digits where data/ lacks them; without a network who needs them fails."""
    DATA.mkdir(parents=True, exist_ok=True)
    with FileLock(DATA / ".tests.lock"), contextlib.suppress(GanDemoError):
        if not (DATA / "MNIST").exists():
            data.load(recipes.get("dcgan-mnist"), DATA)


@pytest.fixture(scope="session")
def mnist() -> Images:
    """All 60,000 real digits."""
    return data.load(recipes.get("dcgan-mnist"), DATA)[0]


@pytest.fixture(scope="session")
def digits_run(mnist, tmp_path_factory) -> Path:
    """A conditional run on real digits, a few steps long: a folder as train.py leaves it.

    xdist's processes, whose folders of this session lie side by side, make it once together.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # else the folder above outlives the session
        folder = folder.parent
    out = folder / "digits"
    with FileLock(folder / "digits.lock"):
        if not out.exists():
            made = tmp_path_factory.mktemp("made") / "digits"
            _make_digits(mnist, made)
            made.rename(out)  # at its end: who finds it finds it whole
    return out


def _make_digits(mnist: Images, out: Path) -> None:
    from gan_demo import card, judge
    from gan_demo.player import open_run

    recipe = small(recipes.get("cdcgan-mnist"), generator_widths=(64, 64, 32), discriminator_widths=(32, 64))
    trainer = fit(recipe, mnist, out, length=60, snapshots=6)
    player = open_run(out)
    metrics = judge.evaluate(trainer.run, player.generate, mnist)
    player.write_ready_film()
    card.write(trainer.run, metrics)
