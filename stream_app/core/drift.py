"""The drift budget: how far a model may move by itself before a person should look.

A flood of odd events, a unit that changed or a broken feed moves the model, and with it everybody.
Beyond the limits learning freezes: the last good version serves on, until the measures stay
inside for long enough or an operator thaws. Pure; samples and days are arguments.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stream_app.core import clustering
from stream_app.core.model import Matrix

DAY_S = 86_400
SPEED_SAMPLES = 1000.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What is tolerated between two versions.

    Attributes
    ----------
    speed
        Greatest way of a centre, in scaled units per 1,000 samples.
    moved
        Greatest part of the customers that a new model moves, per day of event time.
    smallest, largest
        Least and greatest share of a segment.
    ratio
        Greatest online inertia ÷ batch inertia at a guard.
    calm
        Samples that all measures must stay inside before learning thaws.

    """

    speed: float = 8.0
    moved: float = 0.6
    smallest: float = 0.005
    largest: float = 0.8
    ratio: float = 2.0
    calm: float = 2000


class Centres(NamedTuple):
    """Segment ids, and their centres in the same order, shape (k, d)."""

    ids: tuple[int, ...]
    matrix: Matrix


class Measures(NamedTuple):
    """What was measured; named as the limits are."""

    speed: float
    moved: float
    smallest: float
    largest: float
    ratio: float


class Excess(NamedTuple):
    """A measure beyond its limit."""

    reason: str
    value: float
    limit: float


class Elapsed(NamedTuple):
    """Samples and days of event time since the last published version."""

    samples: int
    days: float


def measure(
    points: Matrix, old: Centres, new: Centres, elapsed: Elapsed, ratio: float | None
) -> Measures:
    """Compare two models on (n, d) scaled points; less than 1,000 samples or a day count as that.

    Of a single segment no share is too large.
    """
    before, after = (np.array(c.ids)[clustering.nearest(points, c.matrix)] for c in (old, new))
    shares = clustering.sizes(points, new.matrix) / len(points)
    return Measures(
        _way(old, new) / max(1.0, elapsed.samples / SPEED_SAMPLES),
        float(np.mean(before != after)) / max(1.0, elapsed.days),
        float(shares.min()),
        float(shares.max()) if len(shares) > 1 else 0.0,
        ratio or 1.0,
    )


def _way(old: Centres, new: Centres) -> float:
    """Greatest distance of a segment's centre from where it was; 0 where none survived."""
    was = dict(zip(old.ids, old.matrix, strict=True))
    pairs = [(c, was[i]) for i, c in zip(new.ids, new.matrix, strict=True) if i in was]
    return max((float(np.linalg.norm(a - b)) for a, b in pairs), default=0.0)


def excess(measures: Measures, limits: Limits) -> Excess | None:
    """Find the first measure beyond its limit."""
    checks = (
        ("centres move too fast", measures.speed, limits.speed, 1),
        ("the model moves too many customers", measures.moved, limits.moved, 1),
        ("a segment is nearly empty", measures.smallest, limits.smallest, -1),
        ("a segment holds nearly everybody", measures.largest, limits.largest, 1),
        ("the model fits badly", measures.ratio, limits.ratio, 1),
    )
    found = (Excess(why, value, limit) for why, value, limit, s in checks if s * value > s * limit)
    return next(found, None)


class Budget:
    """Decides whether a version may be published.

    ``reason`` is the excess that froze learning, None while it is not frozen.
    """

    def __init__(self, limits: Limits, *, thaw: bool = False) -> None:
        self._limits = limits
        self._pardon = thaw
        self._calm_since: int | None = None
        self.reason: Excess | None = None

    def thaw(self) -> None:
        """Accept the next version, whatever it is: an operator has looked."""
        self._pardon = True

    def allows(self, measures: Measures, samples: int) -> bool:
        """Judge a version that ``samples`` led to; freeze or thaw."""
        found = excess(measures, self._limits)
        if self._pardon and (found or self.reason):
            self._pardon, self.reason = False, None
            return True
        if found:
            self.reason, self._calm_since = self.reason or found, None
            return False
        if self.reason is None:
            return True
        self._calm_since = samples if self._calm_since is None else self._calm_since
        if samples - self._calm_since < self._limits.calm:
            return False
        self.reason, self._calm_since = None, None
        return True
