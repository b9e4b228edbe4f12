"""The vector the model sees: unit, transform and weight of each coordinate, in one place.

A row is what is read out of one customer's state (`FeatureSet.row`). Only recency depends on the
time, so a row holds the time of the last purchase in its place; rows become the vectors of n
customers together (`FeatureSet.natural`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from math import log
from operator import attrgetter
from re import search
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_app.core.folds import DAY_MS, MICROS, SKETCH_BITS, CustomerState

Array = NDArray[np.float64]
Row = tuple[float, ...]

BREADTHS = [
    SKETCH_BITS * log(SKETCH_BITS / max(1, SKETCH_BITS - n)) for n in range(SKETCH_BITS + 1)
]
ONE_GAP_DAYS = 180.0


def tenure_days(state: CustomerState) -> float:
    """Days from the first to the last purchase."""
    return (state.last - state.first) / DAY_MS


def mean_gap_days(state: CustomerState) -> float:
    """Mean days between purchases; 180 where there was only one."""
    gaps = state.orders - 1
    return (state.last - state.first) / DAY_MS / gaps if gaps > 0 else ONE_GAP_DAYS


def discount_share(state: CustomerState) -> float:
    """Part of the full price that was a discount."""
    return state.discount / (state.spend + state.discount) if state.discount else 0.0


def refund_share(state: CustomerState) -> float:
    """Part of the spend that was paid back, at most all of it."""
    return min(1.0, state.refunded / state.spend) if state.refunded and state.spend else 0.0


def category_breadth(state: CustomerState) -> float:
    """Distinct categories ever bought, by linear counting (Whang et al. 1990), 64 bits."""
    return BREADTHS[state.sketch.bit_count()]


def _age(state: CustomerState) -> float:
    year = state.profile.birth_year if state.profile else None
    last = datetime.fromtimestamp(state.last / 1000, UTC).year
    return 45.0 if year is None else float(max(0, last - year))


def _has_gender(state: CustomerState, gender: str) -> float:
    return 1.0 if state.profile and state.profile.gender == gender else 0.0


def _income(state: CustomerState) -> float:
    """First number of the income band, in its own unit; half of it after "under"; 60 if unknown."""
    band = state.profile.attributes.get("income", "") if state.profile else ""
    number = search(r"\d+(?:\.\d+)?", band)
    if number is None:
        return 60.0
    return float(number[0]) * (0.5 if band.casefold().startswith(("under", "<", "less")) else 1.0)


def _affinity(state: CustomerState) -> float:
    wanted = {i.casefold() for i in state.profile.interests} if state.profile else set()
    total = sum(state.categories.values())
    bought = sum(v for name, v in state.categories.items() if name.casefold() in wanted)
    return bought / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Feature:
    """One coordinate: its unit for people, its transform and weight for the distance.

    ``read`` takes it from the state of a customer who has bought.
    ``log`` is log(1 + x / knee): nearly linear below the knee, so that differences much smaller
    than it do not count. A week of knee keeps the days between two visits from being a lapse.
    """

    name: str
    unit: str
    transform: Literal["log", "linear"]
    weight: float
    read: Callable[[CustomerState], float]
    knee: float = 1.0


RECENCY = Feature("recency_days", "days", "log", 1.0, attrgetter("last"), 7.0)

STANDARD = (
    RECENCY,
    Feature("decayed_orders", "orders", "log", 1.0, attrgetter("decayed_orders")),
    Feature("decayed_spend", "money", "log", 1.0, attrgetter("decayed_spend")),
    Feature("average_basket", "money", "log", 0.7, lambda s: s.spend / MICROS / s.orders),
    Feature("mean_gap_days", "days", "log", 0.5, mean_gap_days),
    Feature("tenure_days", "days", "log", 0.5, tenure_days),
    Feature("discount_share", "share", "linear", 0.4, discount_share),
    Feature("refund_share", "share", "linear", 0.4, refund_share),
    Feature("category_breadth", "categories", "log", 0.3, category_breadth),
)


OPTIONAL = {
    "age": (Feature("age", "years", "linear", 0.5, _age),),
    "gender": (
        Feature("gender_female", "yes", "linear", 0.25, lambda s: _has_gender(s, "female")),
        Feature("gender_male", "yes", "linear", 0.25, lambda s: _has_gender(s, "male")),
    ),
    "income": (Feature("income", "income", "log", 0.4, _income, 10.0),),
    "interests": (Feature("interest_affinity", "share", "linear", 0.4, _affinity),),
}


@dataclass(frozen=True)
class FeatureSet:
    """The vector's definition: fixed order, and a version that changes whenever it does.

    >>> FeatureSet.build(60.0).version
    'v1-h60'
    >>> FeatureSet.build(60.0, ("age",)).features[-1].name
    'age'
    """

    version: str
    half_life_days: float
    features: tuple[Feature, ...]

    @classmethod
    def build(
        cls,
        half_life_days: float,
        optional: Sequence[str] = (),
        weights: Mapping[str, float] | None = None,
    ) -> "FeatureSet":
        """Assemble the standard features and the optional groups, in declared order.

        ``weights`` replace those of features by name; ValueError for a name that is not in the set.
        """
        groups = [name for name in OPTIONAL if name in optional]
        extra = tuple(feature for name in groups for feature in OPTIONAL[name])
        features, own = STANDARD + extra, dict(weights or {})
        unknown = set(own) - {feature.name for feature in features}
        if unknown:
            known = ", ".join(feature.name for feature in features)
            raise ValueError(f"unknown feature {', '.join(sorted(unknown))}; known: {known}")
        marks = [f"{name}={own[name]:.15g}" for name in sorted(own)]
        version = "+".join([f"v1-h{half_life_days:.15g}", *groups, *marks])
        weighted = (replace(f, weight=own.get(f.name, f.weight)) for f in features)
        return cls(version, half_life_days, tuple(weighted))

    @property
    def half_life_ms(self) -> float:
        """Half-life of the decayed sums in milliseconds."""
        return self.half_life_days * DAY_MS

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in vector order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def _readers(self) -> tuple[Callable[[CustomerState], float], ...]:
        return tuple(f.read for f in self.features)

    @cached_property
    def _knees(self) -> Array:
        return np.array([f.knee for f in self.features])

    @cached_property
    def _is_log(self) -> NDArray[np.bool_]:
        return np.array([f.transform == "log" for f in self.features])

    def row(self, state: CustomerState) -> Row:
        """Read the features, with the last purchase (ms) for recency; the state must hold one."""
        return tuple([read(state) for read in self._readers])

    def natural(self, rows: Sequence[Row], at: Sequence[float]) -> Array:
        """Return the features of n customers in natural units at n times (ms), shape (n, d)."""
        natural = np.array(rows, dtype=np.float64)
        silence = np.array(at, dtype=np.float64) - natural[:, 0]
        natural[:, 0] = np.maximum(silence, 0.0) / DAY_MS
        return natural

    def vector(self, state: CustomerState, now: int) -> tuple[float, ...]:
        """Compute the features of one customer in natural units at ``now`` (ms)."""
        return tuple(self.natural([self.row(state)], [now])[0].tolist())

    def transform_all(self, natural: Array) -> Array:
        """Bring (n, d) natural units to the axes on which distances are measured, unscaled."""
        return np.where(self._is_log, np.log1p(natural / self._knees), natural)

    def transform(self, vector: Sequence[float]) -> tuple[float, ...]:
        """Transform the features of one customer."""
        return tuple(self.transform_all(np.array([vector]))[0].tolist())
