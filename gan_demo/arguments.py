"""What the command lines share: every wrong input is one line that says what would work, and exit status 2."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An ArgumentParser without the usage in front of its complaint."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def given(text: str) -> str:
    """A name or path; ArgumentTypeError for an empty one, as of a variable that is not set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("'' will not do: give a name or path, or leave the option out")
    return text


def path(text: str) -> Path:
    """As `given`, a path; "~" is the person's home, also in --out=~/run, where a shell leaves it alone."""
    return Path(os.path.expanduser(given(text)))


def positive(text: str) -> int:
    """A whole number from 1; raises ArgumentTypeError, as the others here."""
    if not _is_whole(text, 1, 2**40 - 1):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} will not do: give a whole number from 1")
    return int(text)


def between(least: int, most: int) -> Callable[[str], int]:
    """A whole number within these bounds."""

    def number(text: str) -> int:
        if not _is_whole(text, least, most):
            raise argparse.ArgumentTypeError(
                f"{text[:40]!r} will not do: give a whole number from {least:,} to {most:,}"
            )
        return int(text)

    return number


def _is_whole(text: str, least: int, most: int) -> bool:
    return text.isdecimal() and len(text) < 20 and least <= int(text) <= most  # int() refuses thousands of digits


def fraction(text: str) -> float:
    """A number from 0 to below 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} will not do: give a number from 0 to below 1, such as 0.999")
    return value


def minutes(text: str) -> float:
    """Minutes, more than none and at most a day."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 24 * 60:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} will not do: give minutes from above 0 to 1,440, such as 2.5")
    return value
