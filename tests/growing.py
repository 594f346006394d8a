"""A run that grows while the page looks at it, and an app that looks often."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from browser import STEPS, App

from gan_demo import naming
from gan_demo.run import Run

SOON = 30_000  # ms: a page looks at a folder every 3 s, at the Hub every 15
IMPATIENT = (  # app.py, but for asking every second or two, the folders and the Hub
    "-c",
    "import sys, app; from gan_demo.ui import sources; sources.HUB_SECONDS = sources.FIRST_SECONDS = 2;"
    "sources.Folder.pause = lambda *_: 1; sources.Repository.pause = lambda self, _: None if self.pinned else 1;"
    "sys.exit(app.main(sys.argv[1:]))",
)


class Growing:
    """A finished run, and a copy of it that has come to its first `count` snapshots and goes on when told.

    It keeps the name, as a training that is copied does, unless it gets one of its own.
    """

    def __init__(self, whole: Path, path: Path, count: int, name: str | None = None):
        self.whole, self.path = Run(whole), path
        shutil.copytree(whole, path)
        for made in ("film.json", "film.webp", "metrics.json"):
            (path / made).unlink(missing_ok=True)
        run = Run(path)
        run.rewind(STEPS[count - 1])
        run.write_config(dataclasses.replace(run.config, name=name or run.config.name, steps=STEPS[count - 1]))

    def grow(self) -> None:
        run = Run(self.path)
        entry = self.whole.snapshots[len(run.snapshots)]
        run.append_history(next(row for row in self.whole.read_history() if row["step"] >= entry.step))
        stored = self.whole.read_snapshot(entry.step)
        run.add_snapshot(stored, entry.step, entry.epoch, entry.images, entry.seconds)

    def files(self) -> dict[str, bytes]:
        """What a push while training sends."""
        run = Run(self.path)
        return {name: (self.path / name).read_bytes() for name in naming.files_of(run)}


@pytest.fixture
def growing(runs, tmp_path) -> Growing:
    return Growing(runs / "a-plain", tmp_path / "at-work", 3)


@pytest.fixture
def serve(launch, tmp_path):
    """`serve(*arguments, hub=url)` starts app.py on a machine with an empty cache."""

    def start(*arguments: str, hub: str = "http://127.0.0.1:9") -> App:
        own = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
        return launch(arguments[0], program=IMPATIENT, options=arguments[1:], environment=own)

    return start
