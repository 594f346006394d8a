"""Figures with their spread, and the table that shows them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Options(NamedTuple):
    """What a section measures with."""

    runs: str  # a run folder, or a folder of them
    visitors: int = 5
    minutes: float = 0.5


class Row(Protocol):
    """A line of the table."""

    @property
    def name(self) -> str: ...

    def cells(self) -> tuple[str, str, str]:
        """What was measured, its spread, and the budget, in words."""

    def facts(self) -> dict[str, Any]:
        """The same as plain JSON."""


@dataclass(frozen=True)
class Figure:
    """One thing, measured several times; without values it was not measured, and `note` says why."""

    name: str
    values: Sequence[float]
    unit: str
    budget: str = ""
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def cells(self) -> tuple[str, str, str]:
        if not self.values:
            return "not measured", self.note, self.budget
        spread = f"{number(min(self.values))} to {number(max(self.values))}, {len(self.values)} times"
        told = [text for text in (spread if len(self.values) > 1 else "", self.note) if text]
        return f"{number(self.median)} {self.unit}", "; ".join(told), self.budget

    def facts(self) -> dict[str, Any]:
        told: dict[str, Any] = {"unit": self.unit, "budget": self.budget, "note": self.note}
        if not self.values:
            return {"median": None, **told}
        low, _, high = statistics.quantiles(self.values, n=4) if len(self.values) > 1 else [self.median] * 3
        return {
            "median": self.median,
            "quartiles": [low, high],
            "range": [min(self.values), max(self.values)],
            "count": len(self.values),
            **told,
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the others do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]


def number(value: float) -> str:
    """Three digits that count: 0.0123, 1.23, 12.3, 123, 12,345."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows as a Markdown table, its columns in line."""
    lines: list[tuple[str, ...]] = [("what", "measured", "spread", "budget")]
    lines += [(row.name, *row.cells()) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    lines.insert(1, tuple("-" * width for width in widths))
    for line in lines:
        print("| " + " | ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)) + " |", flush=True)
