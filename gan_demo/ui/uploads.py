"""Pictures that a visitor drops on the page to train on: kept in a folder of their own, within limits."""

import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from gan_demo.data import PUBLISHED
from gan_demo.errors import GanDemoError
from gan_demo.pictures import SUFFIXES, is_wanted, parts

MAX_BYTES = 200 * 10**6  # of one collection
MAX_PICTURES = 50_000
MAX_NAME = 100  # bytes of a file's or a class's
MAX_KEPT = 4  # collections; of more, the oldest makes way
GONE = "these pictures are not here any more: drop them again"
IDENTITY = re.compile(r"[0-9a-f]{12}")
MEANT = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]+')  # what means something to a file system, or is no letter


class Uploads:
    """Collections of pictures by identity, each a folder below `root` with class folders where they came in some."""

    def __init__(self, root: Path):
        self.root = root

    def begin(self, used: Path | None = None) -> str:
        """Make an empty collection and return its identity; the folder `used`, of a training, makes way for none."""
        own = (path for path in self.root.glob("pictures-*") if IDENTITY.fullmatch(path.name.removeprefix("pictures-")))
        kept = sorted(set(own) - {used}, key=_written)
        for path in kept[: max(0, len(kept) - MAX_KEPT + 1)]:
            shutil.rmtree(path, ignore_errors=True)
        identity = secrets.token_hex(6)
        try:
            (self.root / f"pictures-{identity}").mkdir(parents=True)
        except OSError as error:
            raise GanDemoError(f"pictures cannot be kept here ({error.strerror}): ask the host for room") from None
        return identity

    def folder(self, identity: str) -> Path:
        """Where a collection lies; GanDemoError where there is none of that identity."""
        path = self.root / f"pictures-{identity}"
        if not IDENTITY.fullmatch(identity) or not path.is_dir():
            raise GanDemoError(GONE)
        return path

    def filled(self, identity: str) -> Path:
        """As `folder`; GanDemoError also where nothing has come into it."""
        path = self.folder(identity)
        if not any(path.iterdir()):
            raise GanDemoError("there are no pictures to train on: drop some")
        return path

    def add(self, identity: str, files: Iterable[tuple[str, bytes]]) -> int:
        """Add files by name, `class/file` or `file`; what is no picture is left out. Returns how many there are now.

        GanDemoError where they are too many or too large together.
        """
        folder = self.folder(identity)
        try:
            there = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        except OSError:  # it has just made way
            raise GanDemoError(GONE) from None
        size, count = sum(there), len(there)
        for name, data in files:
            target = folder / _safe(name)
            if not target.name.lower().endswith(SUFFIXES) or not all(map(is_wanted, parts(name)[-2:])):
                continue
            size, count = size + len(data), count + (not target.exists())
            if size > MAX_BYTES or count > MAX_PICTURES:
                most = f"{MAX_PICTURES:,} pictures and {MAX_BYTES // 10**6} MB"
                raise GanDemoError(f"these are more than {most} together: drop fewer, or train with train.py --data")
            try:
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(data)
                os.utime(folder)  # what comes into a class's folder does not renew it, and the oldest makes way
            except OSError as error:
                raise GanDemoError(f"pictures cannot be kept here ({error.strerror}): ask the host for room") from None
        return count


def _written(folder: Path) -> float:
    """When something came into a collection; the beginning of time where another visitor's has cleared it away."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _safe(name: str) -> Path:
    """`class/file` of such a path, in letters that mean nothing to any file system, and no class like a data set."""
    words = [MEANT.sub("_", unicodedata.normalize("NFC", part)).strip(". ") for part in parts(name)[-2:]]
    kept = [word.encode()[-MAX_NAME:].decode(errors="ignore") for word in words if word]
    if kept and kept[0].lower() in {name.lower() for name in PUBLISHED}:  # some disks know no case
        kept[0] += "_"
    return Path(*kept) if kept else Path("picture")
