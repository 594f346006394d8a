"""Files that are there whole or not at all."""

import os
import time
from pathlib import Path


def write_file(path: Path, data: bytes | str) -> None:
    """Write aside, flush to the disk, rename: `path` holds the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(aside, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        _put(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def is_whole(path: Path, size: int) -> bool:
    """Whether the file is there in that many bytes: of what others write, a power cut may leave an empty one."""
    return path.exists() and path.stat().st_size == size


def _put(aside: Path, path: Path) -> None:
    """Rename; on Windows that has to wait while somebody reads the file that it replaces."""
    for patience in range(20, -1, -1):
        try:
            return os.replace(aside, path)
        except PermissionError:
            if os.name != "nt" or not patience:
                raise
            time.sleep(0.1)
