"""The population now, from customers who were sampled at different times.

A quiet shop yields few samples, so vectors of weeks ago have to serve. Since then most customers
were silent, some bought, and newcomers could not be drawn before they came. All three are made
up for from the samples themselves, so nothing here is tuned to one shop.

Matrices are (n customers, d features) in natural units; vectors have one value per customer.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from stream_app.core.features import FeatureSet
from stream_app.core.model import Matrix

Vector = NDArray[np.float64]
FRESH = 300
STEEPEST = 64.0
HALVINGS = 26
GOLDEN = 0.6180339887498949
TINY = 1e-12


class Columns(NamedTuple):
    """Places of the features that tell a customer's history."""

    recency: int
    orders: int
    spend: int
    basket: int
    gap: int
    tenure: int

    @classmethod
    def of(cls, features: FeatureSet) -> Self:
        """Find them by name."""
        place = features.names.index
        return cls(
            recency=place("recency_days"),
            orders=place("decayed_orders"),
            spend=place("decayed_spend"),
            basket=place("average_basket"),
            gap=place("mean_gap_days"),
            tenure=place("tenure_days"),
        )


class Draws(NamedTuple):
    """Sampled customers ``natural``, oldest sample first.

    ``age``: days since each was sampled. ``window``: days since each of the last samples, repeated
    customers included, oldest first. ``population``: customers stored.
    """

    natural: Matrix
    age: Vector
    window: Vector
    population: int


class Sighting(NamedTuple):
    """The population as it is now, in natural units and transformed, both (n, d)."""

    natural: Matrix
    transformed: Matrix


class Present:
    """Estimates today's population; made for one feature set."""

    def __init__(self, features: FeatureSet) -> None:
        self._features, self._columns = features, Columns.of(features)
        self._half_life = features.half_life_days

    def sight(self, draws: Draws) -> Sighting:
        """Estimate today's population."""
        natural = self.estimate(draws)
        return Sighting(natural, self._features.transform_all(natural))

    def estimate(self, draws: Draws) -> Matrix:
        """As many customers as were drawn, as they are now: aged, newcomers in their true share."""
        bought, silence = self._silence(draws)
        natural = draws.natural.copy()
        natural[bought] = self._after_purchases(natural[bought], draws.age[bought], silence[bought])
        natural[~bought, self._columns.recency] = silence[~bought]
        return natural[_resampled(self._weights(draws))]

    def _silence(self, draws: Draws) -> tuple[NDArray[np.bool_], Vector]:
        """Tell who bought since they were sampled, and everybody's silence now.

        The chance to be silent for a days more after r days, with a mean gap g and t = r + g + 1,
        is (t / (t + a)) ** (s √((g + 1) / t)): who is silent for long by their own rhythm is likely
        to stay so. The power s is set so that as many bought as the fresh samples tell.
        """
        column, age = self._columns, draws.age
        silence, gap = draws.natural[:, column.recency], draws.natural[:, column.gap]
        length = silence + gap + 1
        log_chance = np.log(length / (length + age)) * np.sqrt((gap + 1) / length)
        wanted = float(self._bought(draws).sum())
        silent = np.exp(_power(log_chance, wanted) * log_chance)
        coin = np.arange(1, len(age) + 1) * GOLDEN % 1.0
        again = np.where(silence < age, silence, (coin - silent) / (1 - silent + TINY) * age)
        return coin >= silent, np.where(coin < silent, silence + age, again)

    def _bought(self, draws: Draws) -> Vector:
        """Chance to have bought since each sample.

        Of those fresh samples who were customers then, the part that bought more recently.
        """
        fresh, column = draws.natural[-FRESH:], self._columns
        silence = np.sort(fresh[:, column.recency])
        member = np.sort(fresh[:, column.recency] + fresh[:, column.tenure])
        newer = np.searchsorted(member, draws.age, side="right")
        active = np.searchsorted(silence, draws.age) - newer
        return np.clip(active / np.maximum(len(fresh) - newer, 1), 0.0, 1.0)

    def _after_purchases(self, natural: Matrix, age: Vector, silence: Vector) -> Matrix:
        """Move customers ``age`` days on, having bought up to ``silence`` days ago.

        How often follows from their own rate, drawn towards that of all; each purchase is of
        their average basket, and purchases come evenly.
        """
        column, new = self._columns, natural.copy()
        tenure, gap = natural[:, column.tenure], natural[:, column.gap]
        orders = 1 + np.where(tenure > 0, tenure / np.maximum(gap, TINY), 0.0)
        member = natural[:, column.recency] + tenure
        span = np.maximum(natural[:, column.recency] + age - silence, 0.0)
        rate = orders / (member + member.sum() / max(1.0, orders.sum()) + TINY)
        count = np.maximum(1.0, np.rint(rate * span))
        keep = 0.5 ** (span / count / self._half_life)
        past = keep**count
        gained = np.where(keep < 1, (1 - past) / np.maximum(1 - keep, TINY), count)
        new[:, column.recency] = silence
        new[:, column.orders] = natural[:, column.orders] * past + gained
        new[:, column.spend] = natural[:, column.spend] * past + gained * natural[:, column.basket]
        new[:, column.tenure] = tenure + span
        new[:, column.gap] = (tenure + span) / (orders - 1 + count)
        return new

    def _weights(self, draws: Draws) -> Vector:
        """One over each customer's chance to be among the draws (Horvitz and Thompson 1952).

        Who came late had fewer samples to be drawn in, but those from a larger population.
        """
        column, natural = self._columns, draws.natural
        member = natural[:, column.recency] + natural[:, column.tenure] + draws.age
        fresh, ages = np.sort(member[-FRESH:]), draws.window[::-1]
        share = 1 - np.searchsorted(fresh, ages) / (len(fresh) + 1)
        expected = np.cumsum(1 / (share * max(1, draws.population)))
        last = np.maximum(np.searchsorted(ages, member, side="right") - 1, 0)
        return np.asarray(1 / -np.expm1(-expected[last]), dtype=np.float64)


def _power(log_chance: Vector, wanted: float) -> float:
    """Find the power of the chances at which as many bought as wanted, by bisection."""
    low, high = 0.0, STEEPEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = float(-np.expm1(middle * log_chance).sum()) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return low


def _resampled(weights: Vector) -> NDArray[np.int64]:
    """Rows in proportion to their weights, as many as there are: systematic, nothing random."""
    edges = np.cumsum(weights)
    marks = (np.arange(len(weights)) + 0.5) * edges[-1] / len(weights)
    rows: NDArray[np.int64] = np.minimum(np.searchsorted(edges, marks), len(weights) - 1)
    return rows
