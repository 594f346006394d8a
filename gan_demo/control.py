"""state/control.json: how whoever shows a training steers it, while it runs.

Where the file is there when a training starts, the trainer reads it then and at every log line. What was turned stands
in each row of that run's history.csv, and as it was last in its config.json. The file itself is never pushed.
"""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gan_demo.errors import GanDemoError
from gan_demo.files import write_file
from gan_demo.recipe import Pair, Recipe

NAME = "state/control.json"
PARENT = "GAN_DEMO_PARENT"  # in the environment: the process that steers this one, a page's
MAX_RATE, MAX_K = 0.1, 100
PAUSE_SECONDS = 600  # after which a pause ends the training, its state saved: nobody may come back to it


@dataclass(frozen=True)
class Control:
    """What can be turned. GanDemoError where a value will not do."""

    learning_rates: Pair  # generator, discriminator
    discriminator_steps: int  # k
    paused: bool = False
    seconds: float = math.inf  # of training, pauses left out, after which it stops as if it were interrupted

    def __post_init__(self) -> None:
        if len(self.learning_rates) != 2 or not all(_number(rate, 0, MAX_RATE) for rate in self.learning_rates):
            raise GanDemoError(f"learning rates {_short(self.learning_rates)} will not do: give 0 to {MAX_RATE:g}")
        if not _number(self.discriminator_steps, 1, MAX_K) or not isinstance(self.discriminator_steps, int):
            k = _short(self.discriminator_steps)
            raise GanDemoError(f"k {k} will not do: give a whole number from 1 to {MAX_K}")
        if not isinstance(self.paused, bool) or not _number(self.seconds, 0, math.inf):
            raise GanDemoError(
                f"paused {_short(self.paused)}, seconds {_short(self.seconds)} will not do: give true or false, from 0"
            )

    def fitted(self, recipe: Recipe) -> Recipe:
        """The recipe with these learning rates and this k."""
        return replace(recipe, learning_rates=self.learning_rates, discriminator_steps=self.discriminator_steps)

    def columns(self, learning_rates: Pair) -> dict[str, float]:
        """What a row of history.csv says of it; a recipe that anneals takes other rates than those turned to."""
        generator, discriminator = learning_rates
        return {"generator_rate": generator, "discriminator_rate": discriminator, "k": self.discriminator_steps}

    def write(self, folder: Path) -> None:
        """Write it into a run's folder; the trainer sees the old one or this, never a part."""
        write_file(folder / NAME, json.dumps(asdict(self)))


def read(folder: Path) -> Control | None:
    """The control of a run's folder; None where there is none, or it cannot be read."""
    try:
        given = json.loads((folder / NAME).read_bytes())
        return Control(**{**given, "learning_rates": tuple(given["learning_rates"])})
    except (OSError, ValueError, KeyError, TypeError):  # GanDemoError is a ValueError
        return None


class Follower:
    """Reads a folder's control again where its file has changed. `now` is the last good one, None where none was.

    Where nobody steers, as when a person resumes what a page has trained, pauses and limits of time count for nothing.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._parent = os.environ.get(PARENT)
        self._seen: object = None
        self.now: Control | None = None
        self.news()

    def news(self) -> bool:
        """Whether there is another control than at the last call."""
        try:
            file = (self._folder / NAME).stat()
        except OSError:
            return False
        seen = file.st_mtime_ns, file.st_ino
        if seen == self._seen:
            return False
        self._seen, before = seen, self.now
        if (found := read(self._folder)) is None:
            return False
        self.now = found if self.steered else replace(found, paused=False, seconds=math.inf)
        return self.now != before

    @property
    def steered(self) -> bool:
        """Whether a page steers this training, and shows it."""
        return self._parent is not None

    @property
    def orphaned(self) -> bool:
        """Whether the process that steers this one is gone, as after a kill; on Windows nothing tells."""
        return self.steered and os.name != "nt" and str(os.getppid()) != self._parent

    @property
    def paused(self) -> bool:
        return bool(self.now and self.now.paused)

    def wait(self, stopping: Callable[[], bool]) -> bool:
        """Sleep while it is paused; False where nobody ended the pause in PAUSE_SECONDS."""
        give_up = time.monotonic() + PAUSE_SECONDS
        while self.paused and not stopping() and time.monotonic() < give_up:
            time.sleep(0.1)
            self.news()
        return time.monotonic() < give_up


def _number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _short(value: object) -> str:
    return repr(value)[:40]
