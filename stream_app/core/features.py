"""The vector the model sees: unit, transform and weight of each coordinate, in one place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from math import log, log1p
from re import search
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_app.core.folds import DAY_MS, MICROS, SKETCH_BITS, CustomerState

BREADTHS = [
    SKETCH_BITS * log(SKETCH_BITS / max(1, SKETCH_BITS - n)) for n in range(SKETCH_BITS + 1)
]


def recency_days(state: CustomerState, now: int) -> float:
    """Days of silence at ``now``, never negative."""
    return max(0, now - state.last) / DAY_MS


def mean_gap_days(state: CustomerState) -> float:
    """Mean days between purchases; 180 where there was only one."""
    return (state.last - state.first) / DAY_MS / (state.orders - 1) if state.orders > 1 else 180.0


def category_breadth(state: CustomerState) -> float:
    """Distinct categories ever bought, by linear counting (Whang et al. 1990), 64 bits."""
    return BREADTHS[state.sketch.bit_count()]


def _share(part: int, whole: int) -> float:
    return min(1.0, part / whole) if whole else 0.0


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

    ``log`` is log(1 + x / knee): nearly linear below the knee, so that differences much smaller
    than it do not count. A week of knee keeps the days between two visits from being a lapse.
    """

    name: str
    unit: str
    transform: Literal["log", "linear"]
    weight: float
    compute: Callable[[CustomerState, int], float]
    knee: float = 1.0


RECENCY = Feature("recency_days", "days", "log", 1.0, recency_days, knee=7.0)

STANDARD = (
    RECENCY,
    Feature("decayed_orders", "orders", "log", 1.0, lambda s, _: s.decayed_orders),
    Feature("decayed_spend", "money", "log", 1.0, lambda s, _: s.decayed_spend),
    Feature("average_basket", "money", "log", 0.7, lambda s, _: s.spend / MICROS / s.orders),
    Feature("mean_gap_days", "days", "log", 0.5, lambda s, _: mean_gap_days(s)),
    Feature("tenure_days", "days", "log", 0.5, lambda s, _: (s.last - s.first) / DAY_MS),
    Feature(
        "discount_share",
        "share",
        "linear",
        0.4,
        lambda s, _: _share(s.discount, s.spend + s.discount),
    ),
    Feature("refund_share", "share", "linear", 0.4, lambda s, _: _share(s.refunded, s.spend)),
    Feature("category_breadth", "categories", "log", 0.3, lambda s, _: category_breadth(s)),
)

OPTIONAL = {
    "age": (Feature("age", "years", "linear", 0.5, lambda s, _: _age(s)),),
    "gender": (
        Feature("gender_female", "yes", "linear", 0.25, lambda s, _: _has_gender(s, "female")),
        Feature("gender_male", "yes", "linear", 0.25, lambda s, _: _has_gender(s, "male")),
    ),
    "income": (Feature("income", "income", "log", 0.4, lambda s, _: _income(s), knee=10.0),),
    "interests": (Feature("interest_affinity", "share", "linear", 0.4, lambda s, _: _affinity(s)),),
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

    @cached_property
    def knees(self) -> tuple[float, ...]:
        """Knees of the log transforms in vector order; 0 where the axis is linear."""
        return tuple(f.knee if f.transform == "log" else 0.0 for f in self.features)

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in vector order."""
        return tuple(feature.name for feature in self.features)

    def vector(self, state: CustomerState, now: int) -> tuple[float, ...]:
        """Features in natural units at ``now``; only the first, recency, depends on ``now``.

        The state must hold at least one purchase.
        """
        return tuple([feature.compute(state, now) for feature in self.features])

    def transform(self, vector: Sequence[float]) -> tuple[float, ...]:
        """Natural units to the axis on which distances are measured, before scaling."""
        knees = self.knees
        return tuple([log1p(x / k) if k else x for x, k in zip(vector, knees, strict=True)])

    def transform_all(self, natural: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transform a matrix (n customers, d features) in natural units, shape (n, d)."""
        columns = zip(self.features, natural.T, strict=True)
        return np.column_stack(
            [np.log1p(x / f.knee) if f.transform == "log" else x for f, x in columns]
        )
