"""The query of a picture's URL. A stranger wrote it: every value is checked as it is read."""

import re
from collections.abc import Mapping

from gan_demo.errors import GanDemoError
from gan_demo.latents import MAX_SEED, seeds_from

Stop = tuple[int, int | None]  # a seed, and its class or None for the seed's own
MAX_STOPS = 8


class Query:
    """Values by name; `done` refuses those that nobody read."""

    def __init__(self, given: Mapping[str, str]):
        self._given = dict(given)
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        self._read.add(name)
        return self._given.get(name)

    def whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number from low to high; None where the URL has none."""
        text = self.text(name)
        return None if text is None else _whole(name, text, low, high)

    def number(self, name: str, most: int) -> float | None:
        """A number from 0 to `most`, a digit; None where the URL has none."""
        text = self.text(name)
        if text is not None and (not re.fullmatch(r"[0-9](\.[0-9]{1,6})?", text) or float(text) > most):
            raise GanDemoError(f"{name} {text[:40]!r} will not do: give a number from 0 to {most}")
        return None if text is None else float(text)

    def flag(self, name: str) -> bool:
        """1 is yes; no is left out."""
        text = self.text(name)
        if text not in (None, "1"):
            raise GanDemoError(f"{name} {str(text)[:40]!r} will not do: give 1, or leave it out")
        return text == "1"

    def seeds(self, count: int) -> list[int]:
        """`count` seeds from `seed` on; after the largest comes 0."""
        return seeds_from(self.whole("seed", 0, MAX_SEED) or 0, count)

    def index(self, name: str, classes: list[str] | None) -> int | None:
        """A class's index; None where the URL has none."""
        if classes is None and self.text(name) is not None:
            raise GanDemoError("this run knows no classes: leave the class out")
        return None if classes is None else self.whole(name, 0, len(classes) - 1)

    def stops(self, classes: list[str] | None) -> list[Stop]:
        """`stops=5:3,9`: seeds, each with its class where one is chosen."""
        text = self.text("stops") or ""
        if not re.fullmatch(r"[0-9]{1,16}(:[0-9]{1,4})?(,[0-9]{1,16}(:[0-9]{1,4})?)*", text):
            raise GanDemoError(f"stops {text[:40]!r} will not do: give seeds, or seed:class, with commas between")
        stops: list[Stop] = []
        for part in text.split(","):
            seed, _, chosen = part.partition(":")
            if chosen and classes is None:
                raise GanDemoError("this run knows no classes: leave the class out")
            index = _whole("class", chosen, 0, len(classes or ()) - 1) if chosen else None
            stops.append((_whole("seed", seed, 0, MAX_SEED), index))
        if len(stops) > MAX_STOPS:
            raise GanDemoError(f"{len(stops)} stops are too many: give at most {MAX_STOPS}")
        return stops

    def done(self) -> None:
        """Call when all is read. Raises GanDemoError for a parameter that means nothing here."""
        if unknown := sorted(set(self._given) - self._read):
            raise GanDemoError(f"{unknown[0][:40]!r} is no parameter here: use {', '.join(sorted(self._read))}")


def _whole(name: str, text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[0-9]{1,16}", text) or not low <= int(text) <= high:
        raise GanDemoError(f"{name} {text[:40]!r} will not do: give a whole number from {low} to {high}")
    return int(text)
