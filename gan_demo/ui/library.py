"""The runs that the app knows: listed without torch, played on demand, their pictures kept."""

import contextlib
import math
import re
import threading
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_demo import film
from gan_demo.errors import GanDemoError
from gan_demo.run import Run
from gan_demo.ui.cache import ByteCache

if TYPE_CHECKING:
    from gan_demo.player import Player

CACHE_BYTES = 256 * 2**20  # some 1,300 films of 48 steps at 28x28
CURVE_POINTS = 400  # more than a curve has pixels to show


class Library:
    """Runs by key, in the order given. A key is safe in a URL; `problems` says what could not be opened, and why."""

    def __init__(self, sources: Iterable[str]):
        """Open every source: a run folder, or a folder of them.

        Raises GanDemoError where a source is neither, or nothing at all could be opened. One damaged run among several
        is an entry of `problems`, (folder's name, its path, the sentence), and stops nothing.
        """
        self.runs: dict[str, Run] = {}
        self.problems: list[tuple[str, Path, str]] = []
        self._players: dict[str, Player] = {}
        self._opening = threading.Lock()
        self._pictures = ByteCache(CACHE_BYTES)
        for folder in [folder for source in sources for folder in _folders(Path(source))]:
            self._add(folder)
        if not self.runs:
            raise GanDemoError(self.problems[0][2])

    def _add(self, folder: Path) -> None:
        try:
            run = Run(folder)
            if not run.snapshots:
                raise GanDemoError(f"{folder} has no snapshot yet: train it for some steps with train.py --resume")
        except GanDemoError as error:
            self.problems.append((folder.name, folder, str(error)))
            return
        base = key = re.sub(r"[^A-Za-z0-9._-]+", "-", run.config.name).strip(".-")[:80] or "run"
        number = 1
        while key in self.runs:
            number += 1
            key = f"{base}-{number}"
        self.runs[key] = run

    def run(self, key: str) -> Run:
        """The run under that key, or GanDemoError naming those there are."""
        if key not in self.runs:
            raise GanDemoError(f"no run is called {key[:60]!r} here: choose one of {', '.join(self.runs)}")
        return self.runs[key]

    def titles(self) -> dict[str, str]:
        """What a person calls each run: its recipe's title, and its own name where two share one."""
        titles = {key: run.config.as_recipe().title for key, run in self.runs.items()}
        shared = {title for title in titles.values() if list(titles.values()).count(title) > 1}
        return {key: f"{title} ({key})" if title in shared else title for key, title in titles.items()}

    def player(self, key: str) -> "Player":
        """The run's player, made when first asked for. The first call waits for torch."""
        run = self.run(key)
        with self._opening:
            if key not in self._players:
                from gan_demo.player import Player

                self._players[key] = Player(run)
            return self._players[key]

    def warm_up(self) -> None:
        """Import torch and open the first run, so that the first visitor does not wait for it."""
        import torch

        torch.set_num_threads(1)  # on two cores shared with the server, a second thread waits more than it works
        with contextlib.suppress(GanDemoError):  # a damaged run is told to the visitor who asks for it
            self.player(next(iter(self.runs))).generate([0])

    def picture(self, key: str, what: Hashable, make: Callable[[], bytes]) -> bytes:
        """A file rendered from a run, made once; `what` names it among the run's files."""
        return self._pictures.get((key, self.run(key).revision, what), make)

    def ready_film(self, key: str, seed: int) -> bytes | None:
        """The film that training stored, if it is of that seed and of what the run holds now."""
        run = self.run(key)
        facts = run.read_json("film.json")
        plan = film.layout(len(run.steps), film.TILES, *run.config.image_shape[:2])
        if not isinstance(facts, dict) or facts != {"seed": seed, "steps": run.steps, **plan, "revision": run.revision}:
            return None
        try:
            return (run.path / "film.webp").read_bytes()
        except OSError:
            return None

    def card(self, key: str) -> dict[str, Any]:
        """Everything that the page needs to know of a run before it asks for pictures; plain JSON."""
        run = self.run(key)
        config = run.config
        return {
            "key": key,
            "name": config.name,
            "title": self.titles()[key],
            "dataset": config.dataset,
            "classes": config.classes,
            "image_shape": config.image_shape,
            "latent_size": config.latent_size,
            "revision": run.revision,
            "snapshots": [
                {"step": one.step, "epoch": one.epoch, "images": one.images, "seconds": one.seconds}
                for one in run.snapshots
            ],
            "history": curves(run.read_history()),
            "quality": quality(run),
            "film": film.layout(len(run.steps), film.TILES, *config.image_shape[:2]),
            "verdict": (run.path / "discriminator.safetensors").exists(),
        }


def curves(history: list[dict[str, float]]) -> dict[str, list[float]]:
    """The logged numbers by column, averaged over as many steps as leave CURVE_POINTS points at most."""
    if not history:
        return {}
    width = math.ceil(len(history) / CURVE_POINTS)
    groups = [history[at : at + width] for at in range(0, len(history), width)]
    columns = [name for name in history[0] if all(name in row for row in history)]
    return {name: [round(sum(row[name] for row in group) / len(group), 5) for group in groups] for name in columns}


def quality(run: Run) -> dict[str, Any] | None:
    """What metrics.json says of the snapshots that are there, or None where it says nothing that can be drawn."""
    metrics = run.read_json("metrics.json")
    if not isinstance(metrics, dict) or not isinstance(metrics.get("snapshots"), list):
        return None
    points = []
    for entry in metrics["snapshots"]:
        numbers = entry if isinstance(entry, dict) else {}
        point = {
            name: numbers[name] for name in ("step", "frechet", "swd", "accuracy") if _is_number(numbers.get(name))
        }
        if point.get("step") in run.steps and len(point) > 1:
            points.append(point)
    if not points:
        return None
    best, floor = metrics.get("best"), metrics.get("floor")
    return {
        "measure": "swd" if metrics.get("measure") == "swd" else "frechet",
        "points": points,
        "best": best if best in run.steps else None,
        "floor": floor if _is_number(floor) else None,
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _folders(source: Path) -> list[Path]:
    """The run folders that a source names: itself, or those right below it."""
    if (source / "config.json").exists():
        return [source]
    if not source.is_dir():
        raise GanDemoError(f"{source} is no folder: give a run folder, or a folder of run folders, with --runs")
    found = sorted(path.parent for path in source.glob("*/config.json"))
    if not found:
        raise GanDemoError(f"{source} holds no run: train one with train.py, or give a run folder with --runs")
    return found
