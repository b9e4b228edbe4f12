"""The model in training, on points so simple that every ratio is known beforehand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream_app.contracts import Scaling, SegmentFate
from stream_app.core.live import LiveModel
from stream_app.core.model import Matrix
from stream_app.core.online import OnlineKMeans
from stream_app.core.training_config import TrainingConfig

CONFIG = TrainingConfig(k=2, choose_every=10)


def plain(width: int, clip: float = 100.0) -> Scaling:
    """A scaling that changes nothing."""
    return Scaling(centre=(0.0,) * width, scale=(1.0,) * width, weight=(1.0,) * width, clip=clip)


def a_model(centres: list[list[float]], **changes: Any) -> LiveModel:
    """A model with these centres, published as segments 1, 2, ..., on plain axes."""
    config = replace(CONFIG, **{"k": len(centres)} | changes)
    online = OnlineKMeans(np.array(centres), [20.0] * len(centres), config.half_life)
    live = LiveModel(config, plain(len(centres[0])), online, range(1, len(centres) + 1))
    live.mark_published()
    return live


def spots(*places: tuple[float, int], wide: float = 0.1) -> Matrix:
    """Points on a line: half of each group ``wide`` to the left of its place, half to the right."""
    halves = [(x + side, n // 2) for x, n in places for side in (-wide, wide)]
    return np.repeat([[x] for x, _ in halves], [n for _, n in halves], axis=0)


def rectangle(width: float, height: float = 1.0) -> Matrix:
    """As many points on each corner; split left and right inertia is height², else width²."""
    corners = [[x * width / 2, y * height / 2] for x in (-1, 1) for y in (-1, 1)]
    return np.repeat(corners, 25, axis=0)


def below_and_above() -> LiveModel:
    """Centres that split a rectangle into its lower and its upper half."""
    return a_model([[0.0, -0.5], [0.0, 0.5]])


def worse_by(ratio: float) -> Matrix:
    """Points that a split left and right fits better, by this factor, than one below and above."""
    return rectangle(ratio**0.5)


def fitting() -> Matrix:
    return rectangle(0.9)


@pytest.mark.parametrize(
    ("ratio", "told"),
    [
        (1.025, [None, None, None]),
        (1.035, [None, "reseed"]),
        (1.055, [None, "reseed"]),
        (1.065, ["reseed"]),
    ],
)
def test_centres_that_batch_clustering_beats_are_given_up_at_once_or_if_doubted_twice(
    ratio: float, told: list[str | None]
) -> None:
    live, points = below_and_above(), worse_by(ratio)

    assert [live.guard(points) for _ in told] == told

    assert live.ratio == pytest.approx(ratio)
    split_left_and_right = not live.centres[:, 1].any()
    assert split_left_and_right is ("reseed" in told)


def test_two_doubts_with_a_good_result_between_them_are_no_reason() -> None:
    live = below_and_above()

    told = [live.guard(p) for p in (worse_by(1.05), fitting(), worse_by(1.05), worse_by(1.05))]

    assert told == [None, None, None, "reseed"]


def test_after_a_reseed_a_doubt_is_the_first_one_again() -> None:
    live = below_and_above()
    assert live.guard(worse_by(1.5)) == "reseed"

    back = rectangle(1, 1.05**0.5)

    assert [live.guard(back), live.guard(back)] == [None, "reseed"]


def test_the_ratio_told_is_that_of_the_centres_before_they_were_refined() -> None:
    points = spots((-1, 50), (1, 50))
    live = a_model([[-1.05], [1.05]])

    live.guard(points)

    assert live.ratio == pytest.approx(1.25)


def test_where_every_customer_lies_on_a_centre_nothing_fits_worse_than_anything() -> None:
    live = a_model([[-0.5], [0.5]])

    assert live.guard(spots((-0.5, 50), (0.5, 50), wide=0)) is None

    assert live.ratio == 1.0


@pytest.mark.parametrize(("off", "polished"), [(0.004, False), (0.006, True)])
def test_online_centres_are_polished_in_silence_where_refined_ones_fit_better_by_a_half_percent(
    off: float, *, polished: bool
) -> None:
    points, beside = spots((-1, 50), (1, 50)), 1 + 0.1 * off**0.5
    live = a_model([[-beside], [beside]])

    assert live.follow(points) is None

    assert live.centres[1, 0] == pytest.approx(1.0 if polished else beside, abs=1e-9)
    assert live.published.matrix[1, 0] == beside


@pytest.mark.parametrize(
    ("customers", "off", "told"),
    [
        (100, 0.048, None),
        (100, 0.052, "drift"),
        (1000, 0.013, None),
        (1000, 0.015, "drift"),
    ],
)
def test_a_version_is_due_when_the_published_one_fits_worse_by_a_percent_and_what_chance_does(
    customers: int, off: float, told: str | None
) -> None:
    points, beside = spots((-1, customers // 2), (1, customers // 2)), 1 + 0.1 * off**0.5

    assert a_model([[-beside], [beside]]).follow(points) == told


def test_what_is_due_depends_on_what_was_published_not_on_how_well_the_centres_follow() -> None:
    live, points = a_model([[-1.0], [1.0]]), spots((-1.2, 500), (1.2, 500))
    for x in [-1.2, 1.2] * 300:
        live.learn([x])

    assert live.centres[:, 0] == pytest.approx([-1.2, 1.2], abs=0.002)
    assert live.follow(points) == "drift"
    live.mark_published()
    assert live.follow(points) is None


def test_a_version_in_which_segments_came_or_went_is_a_reseed_however_it_came_about() -> None:
    live = a_model([[0.0], [10.0]])
    for x in np.linspace(10, 4, 200).tolist():
        live.learn([x])

    assert live.follow(spots((0, 50), (4, 50))) == "reseed"

    assert live.fates == (
        SegmentFate(kind="split", old=(1,), new=(1, 3)),
        SegmentFate(kind="died", old=(2,), new=()),
    )
    assert (live.ids, live.next_id) == ([1, 3], 4)


def crowd_and(*few: tuple[float, int]) -> Matrix:
    """Most customers around 0, some groups beside them, 100 in all; the axis fits."""
    rest = 100 - sum(n for _, n in few)
    return np.vstack([spots((0, rest), wide=0.5), spots(*few)])


@pytest.mark.parametrize(
    ("off", "near", "told"),
    [(12, 8, "reseed"), (10, 10, "drift"), (2, 8, "reseed"), (2, 6, "drift")],
)
def test_a_segment_left_with_less_than_a_fifth_of_the_mean_is_revived_if_batch_finds_it_larger(
    off: int, near: int, told: str
) -> None:
    """The second centre is so far right that only those at 3.5 are near, not those at 2.5."""
    live = a_model([[0.0], [6.0]])

    assert live.guard(crowd_and((2.5, off), (3.5, near))) == told
