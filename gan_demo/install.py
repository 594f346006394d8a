"""Install what a command needs, into a virtual environment where there is none yet. Python's own library alone."""

import hashlib
import os
import signal
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 10)


def python_with(*requirements: str) -> Path:
    """The interpreter that has the packages of these requirements files (paths from the repository's root).

    Inside a virtual environment they go there; else into .venv, which is made on the first call, so that it works where
    pip refuses to touch the system. Leaves with status 2 and one line where that fails.
    """
    if sys.version_info < OLDEST:
        print(
            f"Python {sys.version.split()[0]} is too old: use Python {OLDEST[0]}.{OLDEST[1]} or newer", file=sys.stderr
        )
        sys.exit(2)
    place = Path(sys.prefix) if sys.prefix != sys.base_prefix else ROOT / ".venv"
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    packages = b"".join((ROOT / name).read_bytes() for name in requirements)
    # Of this Python: where the system's is a newer one, .venv's may be too, and looks for its packages elsewhere.
    wanted = hashlib.sha256(repr(sys.version_info[:2]).encode() + packages).hexdigest()[:16]
    stamp = place / f".gan-demo-{wanted}"
    works = _works(python)
    if not (works and stamp.exists()):
        try:
            if not works:
                print(f"making a virtual environment in {place}", file=sys.stderr)
                venv.create(place.resolve(), with_pip=True, clear=True, symlinks=os.name != "nt")
            elif not _has_pip(python):  # broken off between its interpreter and its pip, or a person's own made without
                subprocess.run([python, "-m", "ensurepip"], check=True)
            arguments = [part for name in requirements for part in ("-r", str(ROOT / name))]
            print(f"installing {', '.join(requirements)}: some minutes, the first time", file=sys.stderr)
            _install(python, arguments)
        except ValueError as error:  # venv's, of a path that it cannot use
            print(f"{place} cannot be made ({error}): move this folder to another path", file=sys.stderr)
            sys.exit(2)
        except (OSError, subprocess.CalledProcessError) as error:
            print(
                f"the packages could not be installed into {place} ({error}): check the network and the space on the "
                "disk (on Debian and Ubuntu also: apt install python3-venv), then try again",
                file=sys.stderr,
            )
            sys.exit(2)
        except KeyboardInterrupt:
            print("interrupted: run the same command again to go on", file=sys.stderr)
            sys.exit(130)
        stamp.touch()
    return python


def _works(python: Path) -> bool:
    """Whether it is there and starts: the Python that it was made of may have been removed, or be a newer one."""
    try:
        return python.exists() and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _has_pip(python: Path) -> bool:
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def _install(python: Path, arguments: list[str]) -> None:
    """By uv, which unpacks with all cores: half a minute instead of two and a half; by pip where uv does not do it."""
    name = str(python)
    pip, uv = [name, "-m", "pip", "install"], [name, "-m", "uv", "pip", "install", "--python", name]
    has_uv = subprocess.run([*pip, "--quiet", "uv"], capture_output=True, check=False).returncode == 0
    if not has_uv or subprocess.run([*uv, *arguments], check=False).returncode:
        subprocess.run([*pip, *arguments], check=True)


def run(python: Path, *arguments: str) -> int:
    """Run the interpreter in the repository's root and return its exit status.

    Ctrl-C is left to it, for it has got the same signal; what else would end this process alone is handed on.
    """
    process = subprocess.Popen([python, *arguments], cwd=ROOT)
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    handed = {name: handler for name, handler in before.items() if handler != signal.SIG_IGN}  # nohup wants none
    for name in handed:
        signal.signal(getattr(signal, name), lambda number, _: process.send_signal(number))
    try:
        while True:
            try:
                status = process.wait()
                return status if status >= 0 else 128 - status  # as a shell says it of a signal
            except KeyboardInterrupt:
                continue
    finally:
        for name, handler in handed.items():
            signal.signal(getattr(signal, name), handler)
