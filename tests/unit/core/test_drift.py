from dataclasses import replace

import numpy as np
import pytest

from stream_app.core.drift import Budget, Centres, Elapsed, Limits, Measures, excess, measure

LIMITS = Limits()
CALM = Measures(speed=0.1, moved=0.01, smallest=0.1, largest=0.4, ratio=1.01)


@pytest.mark.parametrize(
    ("name", "inside", "outside", "reason"),
    [
        ("speed", 8.0, 8.1, "centres move too fast"),
        ("moved", 0.6, 0.61, "the model moves too many customers"),
        ("smallest", 0.005, 0.004, "a segment is nearly empty"),
        ("largest", 0.8, 0.81, "a segment holds nearly everybody"),
        ("ratio", 2.0, 2.1, "the model fits badly"),
    ],
)
def test_each_measure_has_a_limit_and_a_name(
    name: str, inside: float, outside: float, reason: str
) -> None:
    assert excess(CALM._replace(**{name: inside}), LIMITS) is None

    found = excess(CALM._replace(**{name: outside}), LIMITS)

    assert found is not None
    assert found == (reason, outside, getattr(LIMITS, name))


def points() -> np.ndarray[tuple[int, int]]:
    return np.repeat([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], [60, 30, 10], axis=0)


OLD = Centres((1, 2, 3), np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]))


def test_speed_is_the_way_of_the_fastest_centre_per_thousand_samples() -> None:
    new = OLD._replace(matrix=OLD.matrix + np.array([[0.0, 1.0], [0.5, 0.0], [0.0, 0.0]]))

    assert measure(points(), OLD, new, Elapsed(2000, 1), 1.0).speed == pytest.approx(0.5)
    assert measure(points(), OLD, new, Elapsed(10, 1), 1.0).speed == pytest.approx(1.0)


def test_segments_are_followed_by_id_not_by_row() -> None:
    new = Centres((3, 1, 9), OLD.matrix[[2, 0, 1]])

    measures = measure(points(), OLD, new, Elapsed(1000, 1), 1.0)

    assert measures.speed == 0
    assert measures.moved == pytest.approx(0.3)


def test_moved_customers_count_per_day_of_event_time() -> None:
    new = OLD._replace(ids=(2, 1, 3))

    assert measure(points(), OLD, new, Elapsed(1000, 3), 1.0).moved == pytest.approx(0.3)
    assert measure(points(), OLD, new, Elapsed(1000, 0.1), 1.0).moved == pytest.approx(0.9)


def test_shares_are_of_the_new_model_and_a_single_segment_is_never_too_large() -> None:
    measures = measure(points(), OLD, OLD, Elapsed(1000, 1), None)
    single = Centres((1,), np.zeros((1, 2)))

    assert (measures.smallest, measures.largest, measures.ratio) == (0.1, 0.6, 1.0)
    assert measure(points(), single, single, Elapsed(1000, 1), 1.3) == (0, 0, 1.0, 0.0, 1.3)


BAD = CALM._replace(largest=0.95)


def test_beyond_a_limit_nothing_passes_until_it_was_calm_for_long_enough() -> None:
    budget = Budget(replace(LIMITS, calm=500))

    assert budget.allows(CALM, 100)
    assert not budget.allows(BAD, 200)
    assert budget.reason is not None
    assert not budget.allows(CALM, 300)
    assert not budget.allows(BAD, 400)
    assert not budget.allows(CALM, 600)
    assert not budget.allows(CALM, 1099)
    assert budget.allows(CALM, 1100)
    assert budget.reason is None


def test_the_reason_told_is_the_one_that_froze() -> None:
    budget = Budget(LIMITS)
    budget.allows(BAD, 1)
    budget.allows(CALM._replace(ratio=9.0), 2)

    assert budget.reason is not None
    assert budget.reason.reason == "a segment holds nearly everybody"


def test_an_operator_lets_one_version_pass_and_no_more() -> None:
    budget = Budget(LIMITS)
    budget.allows(BAD, 1)

    budget.thaw()

    assert budget.allows(BAD, 2)
    assert budget.reason is None
    assert not budget.allows(BAD, 3)


def test_a_thaw_at_the_start_waits_for_the_first_excess() -> None:
    budget = Budget(LIMITS, thaw=True)

    assert budget.allows(CALM, 1)
    assert budget.allows(BAD, 2)
    assert not budget.allows(BAD, 3)
