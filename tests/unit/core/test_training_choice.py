"""How many segments: when that is chosen anew, and what follows from it."""

import numpy as np
import pytest

from stream_app.core.live import LiveModel
from stream_app.core.model import Matrix
from stream_app.core.stability import Choice, judge
from tests.unit.core.test_live import a_model


def told_of_choices(live: LiveModel, points: Matrix, learned: int) -> list[int]:
    """After how many samples of a group's middle a guard chose the number of segments."""
    found = []
    for i in range(1, learned + 1):
        before = live.choice
        live.learn(points[i % len(points)].tolist())
        live.guard(points)
        if live.choice is not before:
            found.append(i)
    return found


CORNERS = [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]


def corners(places: list[list[float]] = CORNERS, each: int = 20) -> Matrix:
    noise = np.random.default_rng(5).normal(0, 0.05, (each * len(places), 2))
    return np.asarray(np.repeat(places, each, axis=0) + noise, dtype=np.float64)


def choosing(places: list[list[float]] = CORNERS) -> LiveModel:
    return a_model(places, k=0, choose_every=5)


def test_the_number_of_segments_is_chosen_anew_after_pauses_that_double() -> None:
    assert told_of_choices(choosing(), corners(), learned=22) == [5, 10, 20]


def test_a_number_that_was_set_is_never_chosen() -> None:
    assert told_of_choices(a_model(CORNERS, choose_every=5), corners(), learned=12) == []


def test_a_number_that_was_chosen_anew_is_taken_up_at_once() -> None:
    live = choosing(CORNERS[:3])
    for _ in range(5):
        live.learn(CORNERS[0])

    assert live.guard(corners()) == "reseed"

    assert len(live.centres) == len(live.ids) == 4
    assert max(live.choice.silhouette.values()) == live.choice.silhouette[4]
    live.mark_published()
    assert live.guard(corners()) is None


def stuck() -> Matrix:
    """Four groups that centres at the corners cannot part: two of them share the first corner."""
    return corners([[-1.1, -1.3], [-0.9, -0.7], [1.0, -1.0], [1.0, 1.0]])


@pytest.mark.parametrize(("since", "chosen"), [(4, False), (5, True)])
def test_a_reseed_chooses_the_number_too_where_enough_was_learned_since(
    since: int, *, chosen: bool
) -> None:
    live = choosing()
    told_of_choices(live, corners(), learned=10)
    before = live.choice
    for _ in range(since):
        live.learn(CORNERS[0])

    assert live.guard(stuck()) == "reseed"

    assert (live.choice is not before) is chosen


LEVEL = dict.fromkeys(range(3, 9), 0.4)
BLURRED = dict.fromkeys(range(3, 9), 0.7)
VAGUE = dict.fromkeys(range(3, 9), 0.3)


@pytest.mark.parametrize(
    ("silhouette", "stability", "present", "best"),
    [
        pytest.param(LEVEL, BLURRED | {4: 0.9}, 0, 4, id="found in nearly every resample"),
        pytest.param(LEVEL, BLURRED | {4: 0.89}, 0, 6, id="not in nearly every one"),
        pytest.param(LEVEL | {3: 0.5}, BLURRED | {3: 0.95}, 0, 3, id="three, well apart"),
        pytest.param(LEVEL | {3: 0.49}, BLURRED | {3: 0.95}, 0, 6, id="three, not well apart"),
        pytest.param(LEVEL, VAGUE | {5: 0.6, 6: 0.59, 7: 0.68}, 0, 5, id="stable"),
        pytest.param(LEVEL, VAGUE | {5: 0.45, 6: 0.44, 8: 0.5}, 0, 5, id="nearly the stablest"),
        pytest.param(LEVEL, VAGUE | {3: 0.8, 4: 0.5, 6: 0.44}, 0, 4, id="stablest of over three"),
        pytest.param(LEVEL | {6: 0.281}, BLURRED, 0, 6, id="fairly apart"),
        pytest.param(LEVEL | {6: 0.279}, BLURRED, 0, 5, id="not fairly apart, the smaller of two"),
        pytest.param(LEVEL | {4: 0.5}, BLURRED | {4: 0.81, 6: 0.9}, 4, 4, id="present, found"),
        pytest.param(LEVEL | {4: 0.5}, BLURRED | {4: 0.79, 6: 0.9}, 4, 6, id="present, not found"),
        pytest.param(LEVEL, BLURRED | {4: 0.51}, 4, 4, id="present, stable enough"),
        pytest.param(LEVEL, BLURRED | {4: 0.49}, 4, 6, id="present, not stable enough"),
        pytest.param(LEVEL | {4: 0.253}, BLURRED, 4, 4, id="present, apart enough"),
        pytest.param(LEVEL | {4: 0.251}, BLURRED, 4, 6, id="present, not apart enough"),
        pytest.param(LEVEL | {6: 0.36}, VAGUE | {4: 1.0, 6: 1.0}, 6, 6, id="present, as clear"),
        pytest.param(LEVEL | {6: 0.34}, VAGUE | {4: 1.0, 6: 1.0}, 6, 4, id="present, less clear"),
        pytest.param(LEVEL, BLURRED, 3, 6, id="three present, but not there"),
        pytest.param({3: 0.5, 4: 0.1}, {3: 0.7, 4: 0.7}, 0, 3, id="nothing but three"),
    ],
)
def test_the_number_chosen_is_the_one_documented(
    silhouette: dict[int, float], stability: dict[int, float], present: int, best: int
) -> None:
    assert Choice(silhouette, stability).best(present) == best


def test_the_latest_six_hundred_customers_are_judged() -> None:
    points = np.random.default_rng(1).normal(0, 1, (700, 2))
    points[:100] *= 100

    assert judge(points, seed=1) == judge(points[-600:], seed=1) != judge(points[-599:], seed=1)
