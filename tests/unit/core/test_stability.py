import numpy as np

from stream_app.core.model import Matrix
from stream_app.core.stability import Choice, agreement, judge
from tests.unit.core.test_clustering import blobs

CORNERS = [[0.0, 0.0], [5.0, 0.0], [0.0, 5.0], [5.0, 5.0]]


def a_cloud() -> Matrix:
    return np.asarray(np.random.default_rng(2).normal(0, 1, (400, 2)), dtype=np.float64)


def test_groups_that_are_there_are_found_in_every_resample() -> None:
    assert agreement(blobs(CORNERS), 4, seed=1) > 0.99


def test_groups_that_are_not_there_are_found_elsewhere_each_time() -> None:
    assert agreement(a_cloud(), 7, seed=1) < 0.75
    assert agreement(blobs(CORNERS), 7, seed=1) < agreement(blobs(CORNERS), 4, seed=1) - 0.05


def test_the_same_seed_gives_the_same_agreement() -> None:
    assert agreement(a_cloud(), 5, seed=7) == agreement(a_cloud(), 5, seed=7)


def test_both_curves_cover_the_same_numbers() -> None:
    choice = judge(blobs(CORNERS), seed=1)

    assert list(choice.silhouette) == list(choice.stability) == [3, 4, 5, 6, 7, 8]
    assert choice.best() == 4


FLAT = {3: 0.33, 4: 0.30, 5: 0.29, 6: 0.28, 7: 0.27}
BLURRED = dict.fromkeys(FLAT, 0.7)


def test_the_number_of_clear_groups_is_found() -> None:
    assert judge(blobs([[0, 0], [5, 0], [0, 5], [5, 5], [10, 0]]), seed=1).best() == 5


def test_of_groups_found_in_nearly_every_resample_the_clearest_number_wins() -> None:
    assert Choice(FLAT, BLURRED | {4: 0.95}).best() == 4
    assert Choice(FLAT, BLURRED | {5: 0.99, 6: 0.91}).best() == 5
    assert Choice(FLAT | {7: 0.2}, BLURRED | {7: 1.0}).best() == 6


def test_three_groups_are_chosen_only_if_they_are_well_apart() -> None:
    assert Choice(FLAT, BLURRED | {3: 1.0}).best() == 6
    assert Choice(FLAT | {3: 0.55, 4: 0.5}, BLURRED | {3: 1.0}).best() == 3


def test_without_clear_groups_the_number_nearest_to_six_that_is_stable_and_fair_wins() -> None:
    assert Choice(FLAT, BLURRED).best() == 6
    assert Choice(FLAT, BLURRED | {6: 0.4, 7: 0.4}).best() == 5
    assert Choice(FLAT | {6: 0.2}, BLURRED).best() == 5


def test_where_nothing_is_stable_the_most_stable_of_more_than_three_remain() -> None:
    assert Choice(FLAT, {3: 0.5, 4: 0.3, 5: 0.2, 6: 0.2, 7: 0.1}).best() == 4


def test_the_present_number_may_be_a_little_less_stable_and_a_little_less_apart() -> None:
    assert Choice(FLAT, BLURRED | {4: 0.55}).best(present=4) == 4
    assert Choice(FLAT, BLURRED | {4: 0.45}).best(present=4) == 6
    assert Choice(FLAT | {4: 0.22}, BLURRED).best(present=4) == 4
    assert Choice(FLAT | {4: 0.2}, BLURRED).best(present=4) == 6


def test_the_present_number_yields_to_one_that_is_clearly_better() -> None:
    found = BLURRED | {4: 0.95, 6: 0.95}

    assert Choice(FLAT, found).best(present=6) == 6
    assert Choice(FLAT | {4: 0.38}, found).best(present=6) == 4


def test_without_curves_there_are_three_segments() -> None:
    assert Choice({}, {}).best() == 3
