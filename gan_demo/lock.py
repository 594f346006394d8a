"""One training a folder: a lock that the operating system lets go of when its process ends, however it ends."""

import contextlib
import errno
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gan_demo.errors import GanDemoError

if sys.platform == "win32":
    import msvcrt

    TAKEN = (errno.EACCES, errno.EDEADLK)

    def _take(file: int) -> None:
        os.lseek(file, 2**30, os.SEEK_SET)  # far behind the text, which Windows would else keep others from reading
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)

    def _drop(path: Path, file: int) -> None:
        os.close(file)
        path.unlink()  # Windows removes no file that is open, and so none that the next one holds by now

else:
    import fcntl

    TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN)

    def _take(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _drop(path: Path, file: int) -> None:
        path.unlink(missing_ok=True)  # while it is held, so that no other takes it in between
        os.close(file)


_held: set[Path] = set()  # the locks of this process


def _me() -> str:
    return f"process {os.getpid()} on {platform.node() or 'this machine'}"


def is_lost(folder: Path) -> bool:
    """Whether another process holds the run folder that this one held: it was removed meanwhile, and made anew."""
    path = folder / "state" / "lock"
    with contextlib.suppress(OSError):
        return path in _held and path.read_text(errors="replace") not in ("", _me())
    return False


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the run folder for one training; GanDemoError names the process that holds it already.

    state/lock says who that is. What a killed process leaves of it locks nothing: the next one takes it over.
    """
    path = folder / "state" / "lock"
    try:
        while (file := _open(path, folder)) is None:
            pass  # its holder left between our opening and our taking it
        os.truncate(file, 0)
        os.write(file, _me().encode())
    except OSError as error:
        raise GanDemoError(f"{folder} cannot be written ({error.strerror}): choose another folder with --out") from None
    _held.add(path)
    try:
        yield
    finally:
        lost = is_lost(folder)
        _held.remove(path)
        with contextlib.suppress(OSError):
            if lost:
                os.close(file)
            else:
                _drop(path, file)
                path.parent.rmdir()  # of a training that came to nothing; else they are not empty
                folder.rmdir()


def _open(path: Path, folder: Path) -> int | None:
    """The lock's file, open and ours; None where it is not the one under that path any more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(file)
    except OSError as error:
        if error.errno in TAKEN:
            holder = os.read(file, 200).decode(errors="replace") or "another process"
            os.close(file)
            raise GanDemoError(
                f"{folder} is being trained by {holder}: wait for its end, or choose another folder with --out"
            ) from None
        return file  # a file system without locks: nobody can be told apart there
    if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
        return file
    os.close(file)
    return None
