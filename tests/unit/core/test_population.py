from dataclasses import replace

import numpy as np
import pytest

from stream_app.core.model import Matrix
from stream_app.core.population import Draws, Present
from tests.builders import FEATURES

N = 1000
RECENCY, ORDERS, SPEND, BASKET, GAP, TENURE = range(6)
PRESENT = Present(FEATURES)


def people(silence: Matrix, gap: float = 10.0, tenure: float = 100.0) -> Matrix:
    """Customers who differ in their silence only."""
    rest = (5.0, 150.0, 30.0, gap, tenure, 0.1, 0.0, 4.0)
    return np.column_stack([silence, np.tile(rest, (len(silence), 1))])


def drawn(natural: Matrix, age: Matrix, population: int = 10**6) -> Draws:
    return Draws(natural, age, age, population)


def sampled(days: float, lapsed: float) -> Draws:
    """Customers sampled evenly in the last days; of ``lapsed`` of them nobody ever returns."""
    rng = np.random.default_rng(1)
    silence = np.where(np.arange(N) % 100 < lapsed * 100, 300.0, rng.exponential(10, N))
    return drawn(people(silence), np.linspace(days, 0, N))


def test_fresh_samples_are_taken_as_they_are() -> None:
    natural = people(np.linspace(0, 50, N))

    assert PRESENT.estimate(drawn(natural, np.zeros(N))) == pytest.approx(natural)


def test_where_nobody_buys_everybody_is_silent_for_longer() -> None:
    age = np.linspace(40, 0, N)
    natural = people(200.0 - age)

    now = PRESENT.estimate(drawn(natural, age))

    assert now[:, RECENCY] == pytest.approx(200.0)
    assert now[:, ORDERS:] == pytest.approx(natural[:, ORDERS:])


@pytest.mark.parametrize("lapsed", [0.0, 0.5, 0.9])
def test_as_many_bought_since_as_the_fresh_samples_tell(lapsed: float) -> None:
    draws = sampled(60, lapsed)

    now = PRESENT.estimate(draws)

    active = np.mean(draws.natural[-300:, RECENCY] < 60)
    assert np.mean(now[:, RECENCY] < 60) == pytest.approx(active, abs=0.06)
    assert np.mean(now[:, RECENCY] > 300) == pytest.approx(lapsed, abs=0.06)


def test_who_bought_since_has_bought_at_their_rhythm_and_stayed_a_customer() -> None:
    draws = sampled(40, 0.0)

    now = PRESENT.estimate(draws)

    again = now[:, TENURE] > 101
    assert again.sum() > N / 3
    assert np.all(now[:, RECENCY] + now[:, TENURE] >= 100)
    assert np.median(now[again, GAP]) == pytest.approx(10, rel=0.25)
    assert np.median(now[again, ORDERS]) > 5
    assert np.all(now[again, BASKET] == 30)
    assert np.isfinite(now).all()


def test_newcomers_have_their_true_share_although_older_samples_could_not_meet_them() -> None:
    """Half of the customers joined 15 days ago: the first half of the samples has none of them."""
    age = np.linspace(30, 0, N)
    is_new = (age < 15) & (np.arange(N) % 2 == 0)
    natural = people(np.maximum(0.5, 15 - age), gap=180.0, tenure=0.0)
    natural[~is_new, RECENCY] = 200 - age[~is_new]

    now = PRESENT.estimate(drawn(natural, age))

    assert np.mean(is_new) < 0.3
    assert np.mean(now[:, RECENCY] < 100) == pytest.approx(0.5, abs=0.05)


def test_in_a_small_shop_that_was_sampled_over_and_over_everybody_counts_once() -> None:
    """All were certainly drawn, however long they had been there to be drawn."""
    age = np.linspace(30, 0, N)
    natural = people(np.full(N, 0.5), tenure=10.0)
    natural[::2, TENURE] = 300.0

    now = PRESENT.estimate(drawn(natural, age, population=10))

    assert np.mean(now[:, TENURE] >= 300) == pytest.approx(0.5, abs=0.02)


def test_the_half_life_is_that_of_the_features() -> None:
    draws = sampled(60, 0.0)

    slow = Present(replace(FEATURES, half_life_days=10**6)).estimate(draws)

    assert slow[:, ORDERS].mean() > PRESENT.estimate(draws)[:, ORDERS].mean()
    assert slow[:, ORDERS].min() >= 5
