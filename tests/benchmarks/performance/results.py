"""What a measurement yields: rows with a bar to clear, merged with those of earlier runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite
from statistics import median
from typing import Any, NamedTuple, Self, cast

from tests.benchmarks.quality.results import Bar

EMBEDDED, KAFKA = "embedded", "kafka"
BROKERS = {EMBEDDED: "embedded broker", KAFKA: "Apache Kafka"}


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value: the median of ``runs`` of them, ``low`` to ``high``.

    The bar is on ``ratio`` where there is one, else on the value. ``note`` says how it was taken,
    where that is not the same every time.
    """

    name: str
    workload: str
    broker: str
    value: float
    unit: str
    ratio: float | None = None
    bar: Bar | None = None
    low: float | None = None
    high: float | None = None
    runs: int = 1
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is cleared; None where there is none."""
        if self.bar is None:
            return None
        return self.bar.met(self.value if self.ratio is None else self.ratio)

    @property
    def key(self) -> tuple[str, str, str]:
        """What a later measurement of the same replaces."""
        return self.name, self.workload, self.broker

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = {
            name: getattr(self, name)
            for name in ("name", "workload", "broker", "value", "unit", "ratio")
        }
        plain |= {"bar": None if self.bar is None else str(self.bar), "met": self.met}
        plain |= {"low": self.low, "high": self.high, "runs": self.runs, "note": self.note}
        return {name: _rounded(value) for name, value in plain.items()}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Read what `as_json` wrote."""
        sign, _, limit = (plain["bar"] or "").partition(" ")
        bar = Bar(cast("Any", sign), float(limit)) if sign else None
        return cls(**{k: v for k, v in plain.items() if k not in {"bar", "met"}}, bar=bar)

    @classmethod
    def of(  # noqa: PLR0913 - a row's parts
        cls,
        name: str,
        workload: str,
        broker: str,
        unit: str,
        values: Sequence[float],
        *,
        ratios: Sequence[float] | None = None,
        bar: Bar | None = None,
        note: str = "",
    ) -> Self:
        """Sum up several runs: median, least and greatest; of ratios the median."""
        ratio = None if ratios is None else median(ratios)
        low, high = (min(values), max(values)) if len(values) > 1 else (None, None)
        middle, runs = median(values), len(values)
        return cls(name, workload, broker, middle, unit, ratio, bar, low, high, runs, note)


class Curve(NamedTuple):
    """Latencies in ms, sorted, to be drawn as a distribution."""

    label: str
    broker: str
    values: Sequence[float]


@dataclass(slots=True)
class Findings:
    """What the experiments found; ``curves`` live only as long as the run that draws them."""

    rows: list[Row] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def __iadd__(self, other: "Findings") -> Self:
        self.rows += other.rows
        self.curves += other.curves
        return self


def merged(old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Let new rows take the place of old ones with the same name, workload and broker.

    >>> row = Row("speed", "uniform", "embedded", 1.0, "events/s")
    >>> [r.value for r in merged([row], [Row("speed", "uniform", "embedded", 2.0, "events/s")])]
    [2.0]
    """
    found = {row.key: row for row in old}
    found |= {row.key: row for row in new}
    return list(found.values())


def percentile(values: Sequence[float], share: float) -> float:
    """Least of the values that at least this share of them does not exceed (nearest rank).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5), percentile([1.0, 2.0], 0.99)
    (2.0, 2.0)
    """
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def _rounded(value: object) -> object:
    """Six digits are enough; what is not finite becomes null."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if isfinite(value) else None
