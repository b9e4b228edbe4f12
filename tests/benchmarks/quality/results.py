"""What a measurement yields: rows with a bar to clear, and series to plot."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import isfinite
from statistics import median
from typing import Any, Literal, NamedTuple, Self


class Bar(NamedTuple):
    """What a value has to clear."""

    sign: Literal["<=", "<", ">=", "=="]
    limit: float

    def met(self, value: float) -> bool:
        """Tell whether the value clears the bar."""
        match self.sign:
            case "<=":
                return value <= self.limit
            case "<":
                return value < self.limit
            case ">=":
                return value >= self.limit
            case "==":
                return value == self.limit

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value. ``seed``: of one run, or ``median`` or ``worst`` of all.

    ``row`` is the family a row is asked for by; a row without a bar is shown for comparison.
    """

    row: str
    name: str
    data: str
    seed: int | str
    value: float
    bar: Bar | None = None

    @property
    def met(self) -> bool | None:
        """Whether the bar is cleared; None where there is none."""
        return None if self.bar is None else self.bar.met(self.value)

    def as_json(self) -> dict[str, Any]:
        """Plain values: row, name, data, seed, value (null: infinite), bar, met."""
        return {
            "row": self.row,
            "name": self.name,
            "data": self.data,
            "seed": self.seed,
            "value": round(self.value, 6) if isfinite(self.value) else None,
            "bar": None if self.bar is None else str(self.bar),
            "met": self.met,
        }


@dataclass(frozen=True, slots=True)
class Series:
    """A line to plot: what it is of, and (x, y) points; x in ms or samples."""

    plot: str
    data: str
    seed: int
    label: str
    points: Sequence[tuple[float, float]]


@dataclass(slots=True)
class Findings:
    """What one run, or many, found."""

    rows: list[Row] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)

    def __iadd__(self, other: "Findings") -> Self:
        self.rows += other.rows
        self.series += other.series
        return self


def summaries(rows: Iterable[Row]) -> list[Row]:
    """Median and worst over the seeds, for each name and data set; the bar is on both.

    Where a bar holds for some seeds only, those are summed up.
    """
    made: list[Row] = []
    ordered = sorted(rows, key=_of)
    for _, group in groupby(ordered, key=_of):
        same = list(group)
        same = [row for row in same if row.bar] or same
        values = [row.value for row in same]
        first = same[0]
        picks: list[tuple[str, Callable[[list[float]], float]]] = [("median", median)]
        if first.bar:
            picks.append(("worst", min if first.bar.sign == ">=" else max))
        made += [
            Row(first.row, first.name, first.data, seed, pick(values), first.bar)
            for seed, pick in picks
        ]
    return made


def _of(row: Row) -> tuple[str, str, str]:
    return row.row, row.name, row.data
