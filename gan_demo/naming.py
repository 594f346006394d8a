"""Names on the Hub: of repositories and their revisions, and of the files of a repository that are a run's."""

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gan_demo.errors import GanDemoError
from gan_demo.run import SNAPSHOT_NAME, Run

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

MAIN = "main"
REPO_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
COMMIT = re.compile(r"[0-9a-f]{40}")
MB = 10**6
INDEX = "snapshots/index.json"

# What a run folder may hold beside its snapshots, and the size that no honest file exceeds.
SIDE_FILES = {
    "config.json": MB,
    INDEX: MB,
    "history.csv": 16 * MB,
    "metrics.json": 4 * MB,
    "film.webp": 16 * MB,
    "film.json": MB,
    "discriminator.safetensors": 512 * MB,
}
PICTURES = ("README.md", "curves.png", "samples/real.png", "samples/training.webp")
SAMPLE_NAME = re.compile(r"samples/step-\d{8,12}\.png")


def is_hub_id(source: object) -> bool:
    """Whether `source` can only mean `user/name[@revision]`: it has that form, and no such folder is here."""
    if not isinstance(source, str) or not REPO_ID.fullmatch(source.partition("@")[0]):
        return False
    return not os.path.exists(source)  # of which a name that is too long is none


def parse(source: str, revision: str | None = None) -> tuple[str, str]:
    """Repository and revision of `user/name[@revision]`; GanDemoError where it is not of that form."""
    repo_id, _, named = source.partition("@")
    bad = not REPO_ID.fullmatch(repo_id) or len(repo_id) > 96 or any(part in repo_id for part in ("--", ".."))
    bad = bad or any(part.endswith((".", "-")) for part in repo_id.split("/"))
    if bad or repo_id.endswith(".git") or ("@" in source and not named):
        raise GanDemoError(f"{source[:120]!r} names no repository of the Hub: give USER/NAME or USER/NAME@REVISION")
    if named and revision not in (None, named):
        raise GanDemoError(f"{source[:120]!r} and revision {str(revision)[:60]!r} disagree: give one of them")
    revision = named or revision or MAIN
    if not REVISION.fullmatch(revision) or ".." in revision or len(revision) > 200 or revision.endswith(".lock"):
        raise GanDemoError(f"{revision[:60]!r} is no revision: give a branch, a tag or a commit of {repo_id}")
    return repo_id, revision


def parse_target(repo_id: str) -> str:
    """The repository to push to; GanDemoError where `repo_id` is not of the form USER/NAME."""
    name, revision = parse(repo_id)
    if revision != MAIN or "@" in repo_id:
        raise GanDemoError(f"{repo_id[:120]!r} names a revision: a push goes to USER/NAME, and is tagged by itself")
    return name


def files_of(run: Run) -> list[str]:
    """The files of the folder that a push sends, in order: those of the contract that are there, never state/."""
    snapshots = [f"snapshots/{snapshot.file}" for snapshot in run.snapshots]
    samples = [f"samples/step-{step:08d}.png" for step in run.steps]
    names = [*SIDE_FILES, "model.safetensors", *PICTURES, *snapshots, *samples]
    return [name for name in names if (run.path / name).is_file()]


def names_of(info: "ModelInfo") -> set[str]:
    """The files of a repository, as the Hub lists them."""
    return {sibling.rfilename for sibling in info.siblings or []}


def stale(before: "ModelInfo", names: Iterable[str]) -> list[str]:
    """What a repository holds of another run, or of this one's past, and that is none of these files."""
    return sorted(name for name in names_of(before) - set(names) if _is_a_runs(name))


def _is_a_runs(name: str) -> bool:
    """Whether a repository's file is one that a push writes and nobody else."""
    folder, _, file = name.partition("/")
    written = name in SIDE_FILES or name == "model.safetensors" or (name in PICTURES and name != "README.md")
    return (
        written or bool(SAMPLE_NAME.fullmatch(name)) or (folder == "snapshots" and bool(SNAPSHOT_NAME.fullmatch(file)))
    )
