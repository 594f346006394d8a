"""The run folder: what training writes, the Hub holds, `checkpoints/` ships and the app opens. No torch here.

Its layout is a public contract (README, "The run folder"); every file is written aside, flushed and renamed, so that a
process killed at any moment leaves a folder that opens.
"""

import csv
import dataclasses
import errno
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from gan_demo import film
from gan_demo.config import FORMAT, Config, check_format, is_newer, is_number, load_json, read_config, read_fields
from gan_demo.errors import GanDemoError
from gan_demo.files import is_whole, write_file
from gan_demo.illustrations import TITLES
from gan_demo.lock import is_lost
from gan_demo.weights import Weights, halve, load_weights, save_weights

SNAPSHOT_NAME = re.compile(r"step-(\d{8,12})\.safetensors")
MAX_SNAPSHOTS = 1000
MAX_ROWS, MAX_COLUMNS = 100_000, 100  # of history.csv; ten million steps log as many
MAX_CELLS = 1_000_000  # of rows and columns together
MAX_COLUMN = 64  # characters of a column's name
MAX_TOLD = 300  # characters of a path in a message, where a person may have given any


@dataclass(frozen=True)
class Snapshot:
    """One entry of snapshots/index.json; `seconds` is training time, `sha256` that of the file."""

    step: int
    epoch: float
    images: int
    seconds: float
    file: str
    bytes: int
    sha256: str


# ---------------------------------------------------------------- files


def _cells(row: Mapping[str, float]) -> dict[str, str | int]:
    """A row of history.csv as it is written."""
    return {key: f"{value:.6g}" if key != "step" else int(value) for key, value in row.items()}


def _json(data: Any) -> str:
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    return text.encode(errors="replace").decode()  # a folder's name need not be text, a class's and a run's has to be


@contextmanager
def disk_explained(path: Path) -> Iterator[None]:
    """Turn what the disk refuses while a run trains into one line: GanDemoError says what is left, and what next."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise GanDemoError(
                f"the disk is full: {path} is intact up to its last save; free some space, go on with --resume"
            ) from None
        if not (path / "config.json").exists():
            raise GanDemoError(
                f"{path} is gone: it was removed or renamed while it was trained; put it back and go on with --resume"
            ) from None
        raise GanDemoError(
            f"{path} cannot be written ({error.strerror}): it is intact up to its last save; go on with --resume"
        ) from None


def check_free(path: Path) -> None:
    """Raise GanDemoError where a run is there already, or anything else that a run's files would lie among."""
    if (path / "config.json").exists():
        raise GanDemoError(
            f"{path} holds a run already: go on with --resume, choose another folder with --out, or remove it"
        )
    others: list[str] = []
    with suppress(OSError):  # none is there, or one that cannot be read: writing says so
        others = sorted(name for name in os.listdir(path) if name != "state" and not name.startswith("."))
    if others:
        raise GanDemoError(
            f"{path} holds {', '.join(others[:3])[:MAX_TOLD]} and no run: give a run a folder of its own with --out, "
            f"such as {path / 'mine'}"
        )


def folders(source: str | Path, or_else: str = "") -> list[Path]:
    """The run folders that a source names: itself, or those right below it, sorted.

    Raises GanDemoError where there are none, or it cannot be read; `or_else` is what else may be given.
    """
    name, others = str(source)[:MAX_TOLD], f"{or_else}, or a folder of them, such as checkpoints"
    try:
        inside = sorted(Path(source).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        raise GanDemoError(f"{name} is no folder: give a run folder{others}") from None
    except OSError as error:
        raise GanDemoError(f"{name} cannot be read ({error.strerror}): give a run folder{others}") from None
    if Path(source) / "config.json" in inside:
        return [Path(source)]
    found = [path for path in inside if os.path.exists(path / "config.json")]  # False, too, where one cannot be read
    if not found:
        raise GanDemoError(f"{name} holds no run folder: train one with train.py, or give a run folder{others}")
    return found


class Run:
    """A run folder on the disk. Reading is lazy: `Run(path)` reads config.json and the index of snapshots alone."""

    label: str  # what messages call it: its path, where nothing else is said
    fetch: Callable[[Sequence[str]], None] | None = None  # brings missing files, named from the folder, or raises

    def __init__(self, path: str | Path):
        """Open the folder; GanDemoError where it is none, is damaged, or is of a newer format."""
        self.path, self.label = Path(path), str(path)
        self.config = read_config(load_json(self.path / "config.json"), str(self.path / "config.json"))
        self.snapshots = self._read_index()

    @classmethod
    def create(cls, path: str | Path, config: Config) -> "Run":
        """Make a new run folder; GanDemoError where one is there already or the place cannot be written."""
        path = Path(path)
        check_free(path)
        read_config(json.loads(_json(dataclasses.asdict(config))), f"{path} would not open again")
        run = cls.__new__(cls)
        run.path, run.label, run.snapshots = path, str(path), []
        try:
            run.write_config(config)
            run._write_index()
        except OSError as error:
            raise GanDemoError(
                f"{path} cannot be written ({error.strerror}): choose another folder with --out"
            ) from None
        return run

    # -- config and index

    def check_there(self) -> None:
        """Raise FileNotFoundError where the folder was removed meanwhile: writing would make an empty one anew.

        GanDemoError where another training has begun there since, whose folder it is now.
        """
        if is_lost(self.path):
            raise GanDemoError(
                f"{self.path} was removed while it was trained, and another training has begun there: this one ends; "
                "choose another --out for it"
            )
        (self.path / "config.json").stat()

    def write_config(self, config: Config) -> None:
        self.config = config
        write_file(self.path / "config.json", _json(dataclasses.asdict(config)))

    def _read_index(self) -> list[Snapshot]:
        path = self.path / "snapshots" / "index.json"
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError:
            pass  # load_json says why
        data = load_json(path)
        check_format(data, str(path))
        entries = data.get("snapshots") if isinstance(data, dict) else None
        if not isinstance(entries, list):
            raise GanDemoError(f"{path} lists no snapshots: fetch or train the run again")
        found = [Snapshot(**read_fields(Snapshot, entry, str(path))) for entry in entries]
        for snapshot in found:
            match = SNAPSHOT_NAME.fullmatch(snapshot.file)
            if not match or int(match[1]) != snapshot.step:
                raise GanDemoError(
                    f"{path}: {snapshot.file[:60]!r} is no snapshot's name for step {snapshot.step}: "
                    "fetch or train the run again"
                )
        if any(min(one.step, one.images, one.bytes) < 0 for one in found):
            raise GanDemoError(f"{path} counts below nought: fetch or train the run again")
        if any(before.step >= after.step for before, after in pairwise(found)):
            raise GanDemoError(f"{path}: the steps are not in order: fetch or train the run again")
        return found

    def _write_index(self) -> None:
        entries = [dataclasses.asdict(snapshot) for snapshot in self.snapshots]
        write_file(self.path / "snapshots" / "index.json", _json({"format": FORMAT, "snapshots": entries}))

    @property
    def steps(self) -> list[int]:
        """The steps of the snapshots, ascending."""
        return [snapshot.step for snapshot in self.snapshots]

    @property
    def revision(self) -> str:
        """A short name for what the folder holds now: changes with any snapshot's content, and with the guidance."""
        parts = [self.config.name, *(snapshot.sha256 for snapshot in self.snapshots)]
        if (guidance := self.config.as_recipe().guidance) != 1:
            parts.append(f"guidance {guidance:g}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @property
    def film_plan(self) -> dict[str, int]:
        """How the film of film.TILES seeds through all snapshots lies on its sheet: film.layout."""
        return film.layout(len(self.steps), film.TILES, *self.config.image_shape[:2])

    def film_facts(self, seed: int = 0) -> dict[str, Any]:
        """What film.json says of the film of that seed, but for its sha256."""
        return {"seed": seed, "steps": self.steps, **self.film_plan, "revision": self.revision}

    def ready_film(self, seed: int = 0) -> bytes | None:
        """The film that training stored, if it is of that seed and of what the run holds now."""
        facts = self.read_json("film.json")
        signature = facts.pop("sha256", None) if isinstance(facts, dict) else None
        if facts != self.film_facts(seed):
            return None
        try:
            data = (self.path / "film.webp").read_bytes()
        except OSError:
            return None
        whole = film.size(data) == film.sheet_size(self.film_plan)
        return data if whole and signature in (None, hashlib.sha256(data).hexdigest()) else None

    # -- weights

    def add_snapshot(self, stored: Weights, step: int, epoch: float, images: int, seconds: float) -> None:
        """Write a snapshot, then the index that names it. A snapshot of the same or a later step is replaced."""
        data = save_weights(stored, self._metadata(step))
        file = f"step-{step:08d}.safetensors"
        write_file(self.path / "snapshots" / file, data)
        digest = hashlib.sha256(data).hexdigest()
        self.snapshots = [kept for kept in self.snapshots if kept.step < step]
        self.snapshots.append(Snapshot(step, round(epoch, 4), images, round(seconds, 2), file, len(data), digest))
        self._write_index()

    def read_bytes(self, name: str) -> bytes:
        """A file of the folder. Raises GanDemoError where it cannot be read."""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise GanDemoError(
                f"{self.label}/{name} cannot be read ({error.strerror}): fetch or train the run again"
            ) from None

    def read_snapshot(self, step: int) -> Weights:
        """The stored weights of the snapshot at exactly that step, checked against the index.

        Raises GanDemoError where it is not there or damaged.
        """
        self.need([step])
        snapshot = next((entry for entry in self.snapshots if entry.step == step), None)
        if snapshot is None:
            raise GanDemoError(f"{self.label} has no snapshot of step {step}: choose one of its steps")
        name = f"snapshots/{snapshot.file}"
        where, data = f"{self.label}/{name}", self.read_bytes(name)
        if hashlib.sha256(data).hexdigest() != snapshot.sha256:
            raise GanDemoError(f"{where} is damaged (its sha256 is not the index's): fetch or train the run again")
        return load_weights(data, where)

    @property
    def complete(self) -> bool:
        """Whether nothing of it is still to be fetched."""
        folder = self.path / "snapshots"
        return not self.fetch or all(is_whole(folder / one.file, one.bytes) for one in self.snapshots)

    def need(self, steps: Iterable[int]) -> None:
        """Have the snapshots of these steps on the disk: a run from the Hub fetches the missing ones together."""
        if self.fetch:
            wanted = set(steps)
            listed = {f"snapshots/{one.file}": one.bytes for one in self.snapshots if one.step in wanted}
            if missing := [name for name, size in listed.items() if not is_whole(self.path / name, size)]:
                self.fetch(missing)

    def write_model(self, generator: Weights, discriminator: Weights, step: int) -> None:
        """Write the weights of both networks at the last step, in half precision."""
        for name, weights in (("model", generator), ("discriminator", discriminator)):
            write_file(
                self.path / f"{name}.safetensors", save_weights(halve(weights), self._metadata(step), signed=True)
            )

    def _metadata(self, step: int) -> dict[str, str]:
        return {"format": "pt", "recipe": self.config.recipe, "step": str(step)}

    @property
    def can_judge(self) -> bool:
        """Whether it holds a discriminator that says of one image alone how real it is."""
        return self.config.as_recipe().judges_alone and (self.path / "discriminator.safetensors").exists()

    # -- history, metrics, pictures

    def append_history(self, row: Mapping[str, float]) -> None:
        """Add a logged step to history.csv. A torn last line, left by a kill, is passed over when read."""
        path = self.path / "history.csv"
        new = not path.exists()
        with open(path, "a", newline="") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(_cells(row))

    def read_history(self, whole: bool = False) -> list[dict[str, float]]:
        """The logged steps in the file's order: a dict of numbers each, empty where nothing was logged yet.

        MAX_ROWS of them at most, fewer of over ten columns, unless the `whole` of our own; none of more columns,
        or longer names, than ours.
        """
        try:
            with open(self.path / "history.csv", encoding="utf-8", errors="replace") as file:
                lines = list(islice(file, None if whole else MAX_ROWS + 1))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise GanDemoError(
                f"{self.label}/history.csv cannot be read ({error.strerror}): fetch or train the run again"
            ) from None
        names, *rest = [line.strip().split(",") for line in lines if line.endswith("\n")] or [[]]
        if len(names) > MAX_COLUMNS or max(map(len, names), default=0) > MAX_COLUMN:
            return []
        rows: list[dict[str, float]] = []
        for values in rest if whole else rest[: MAX_CELLS // max(1, len(names))]:
            try:
                row = {name: float(value) for name, value in zip(names, values, strict=True)}
            except ValueError:  # a torn line
                continue
            if all(map(is_number, row.values())) and "step" in row:
                rows.append(row)
        return rows

    def rewind(self, step: int) -> None:
        """Forget what was written after `step`, which a resumed run writes again."""
        rows = [row for row in self.read_history(whole=True) if row["step"] <= step]
        if rows:
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(map(_cells, rows))
            write_file(self.path / "history.csv", text.getvalue())
        else:
            (self.path / "history.csv").unlink(missing_ok=True)
        self.drop([later for later in self.steps if later > step])

    def drop(self, steps: Collection[int]) -> None:
        """Remove the snapshots of these steps; of those that are not there nothing is said."""
        dropped = [snapshot for snapshot in self.snapshots if snapshot.step in steps]
        if dropped:
            self.snapshots = [snapshot for snapshot in self.snapshots if snapshot not in dropped]
            self._write_index()
        for snapshot in dropped:  # after the index, which never names a file that is not there
            (self.path / "snapshots" / snapshot.file).unlink(missing_ok=True)
            (self.path / f"samples/step-{snapshot.step:08d}.png").unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a killed training left half written. Only for who holds the folder's lock."""
        for pattern in (".*.part", "snapshots/.*.part", "samples/.*.part", "state/.state.pt.*.part"):
            for aside in self.path.glob(pattern):  # in state/ a page may be writing control.json at this moment
                aside.unlink(missing_ok=True)

    def read_json(self, name: str) -> Any:
        """A JSON file of the folder, such as film.json; None where there is none or it is damaged."""
        try:
            return load_json(self.path / name)
        except GanDemoError:
            return None

    def read_metrics(self) -> dict[str, Any] | None:
        """What metrics.json holds; None where there is none, it is damaged, or of a newer format."""
        metrics = self.read_json("metrics.json")
        return metrics if isinstance(metrics, dict) and not is_newer(metrics) else None

    def read_verdict(self) -> dict[str, Any] | None:
        """What metrics.json holds, where it judges every snapshot there is; None too where a part of it will not do."""
        metrics = self.read_metrics() or {}
        rows: Any = metrics.get("snapshots")
        measure = metrics.get("measure")
        numbers = all(is_number(metrics.get(name)) for name in ("images", "floor", "best"))
        known = isinstance(metrics.get("judge"), str) and measure in list(TITLES)
        if not (numbers and known and _is_table(rows) and _is_table(metrics.get("guidance", []))):
            return None
        whole = [row.get("step") for row in rows] == self.steps and all(measure in row for row in rows)
        return metrics if whole and metrics["best"] in self.steps else None

    def write(self, name: str, data: bytes | str | dict[str, Any]) -> None:
        """Write any other file of the folder (pictures, the film, metrics, the card)."""
        write_file(self.path / name, _json(data) if isinstance(data, dict) else data)


def _is_table(rows: Any) -> bool:
    """Whether it is a list of dicts of numbers, all under the same names."""
    return isinstance(rows, list) and all(
        isinstance(row, dict) and row.keys() == rows[0].keys() and all(map(is_number, row.values())) for row in rows
    )
