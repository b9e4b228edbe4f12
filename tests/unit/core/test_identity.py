import numpy as np
import pytest

from stream_app.contracts import SegmentFate
from stream_app.core.clustering import Labels
from stream_app.core.identity import Traced, trace


def labels(*sizes: tuple[int, int]) -> Labels:
    """Labels by runs of (label, customers)."""
    return np.array([label for label, n in sizes for _ in range(n)])


def fate(kind: str, old: tuple[int, ...], new: tuple[int, ...]) -> SegmentFate:
    return SegmentFate.model_validate({"kind": kind, "old": old, "new": new})


def test_the_same_clusters_in_another_order_keep_their_ids() -> None:
    old, new = labels((0, 50), (1, 30), (2, 20)), labels((2, 50), (0, 30), (1, 20))

    traced = trace(old, new, [7, 8, 9], 3, 10)

    assert traced.ids == [8, 9, 7]
    assert traced.next_id == 10
    assert {f.kind for f in traced.fates} == {"kept"}


def test_a_cluster_that_trades_a_few_customers_keeps_its_id() -> None:
    old, new = labels((0, 50), (1, 50)), labels((0, 40), (1, 60))

    assert trace(old, new, [1, 2], 2, 3) == Traced(
        [1, 2], (fate("kept", (1,), (1,)), fate("kept", (2,), (2,))), 3
    )


def test_a_split_keeps_the_id_on_the_larger_part_and_gives_a_new_one_to_the_other() -> None:
    old, new = labels((0, 60), (1, 40)), labels((0, 40), (2, 20), (1, 40))

    traced = trace(old, new, [1, 2], 3, 5)

    assert traced.ids == [1, 2, 5]
    assert traced.next_id == 6
    assert fate("split", (1,), (1, 5)) in traced.fates


def test_a_merger_keeps_the_id_of_the_larger_part() -> None:
    old, new = labels((0, 40), (1, 15), (2, 45)), labels((0, 55), (1, 45))

    traced = trace(old, new, [1, 2, 3], 2, 4)

    assert traced.ids == [1, 3]
    assert traced.next_id == 4
    assert fate("merged", (1, 2), (1,)) in traced.fates


def test_a_segment_scattered_over_others_died_and_one_gathered_from_others_was_born() -> None:
    old = labels((0, 30), (0, 2), (1, 30), (1, 2), (2, 3), (2, 3), (3, 30), (3, 2), (2, 3))
    new = labels((0, 30), (2, 2), (1, 30), (2, 2), (0, 3), (1, 3), (3, 30), (2, 2), (3, 3))

    traced = trace(old, new, [1, 2, 3, 4], 4, 9)

    assert traced.ids == [1, 2, 9, 4]
    assert fate("died", (3,), ()) in traced.fates
    assert fate("born", (), (9,)) in traced.fates


def test_ids_of_the_dead_are_not_given_again() -> None:
    merged = trace(labels((0, 50), (1, 20)), labels((0, 70)), [1, 2], 1, 3)

    again = trace(labels((0, 70)), labels((0, 50), (1, 20)), merged.ids, 2, merged.next_id)

    assert again.ids == [1, 3]


def flows(table: list[list[int]]) -> tuple[Labels, Labels]:
    """Labels by how many customers of each old segment (row) are in each new cluster (column)."""
    cells = [(i, j, n) for i, row in enumerate(table) for j, n in enumerate(row)]
    return labels(*((i, n) for i, _, n in cells)), labels(*((j, n) for _, j, n in cells))


@pytest.mark.parametrize(("shared", "ids"), [(50, [1, 2, 3]), (48, [4, 2, 3])])
def test_a_cluster_keeps_an_id_if_it_shares_half_of_its_and_the_segments_mean_size(
    shared: int, ids: list[int]
) -> None:
    part = (100 - shared) // 2
    old, new = flows([[shared, part, part], [part, 100 - part, 0], [part, 0, 100 - part]])

    assert trace(old, new, [1, 2, 3], 3, 4).ids == ids


def test_a_segment_cut_in_thirds_lives_on_in_one_of_them_cut_in_quarters_in_none() -> None:
    thirds = trace(*flows([[30, 30, 30, 0], [0, 0, 0, 90]]), [1, 2], 4, 3)
    quarters = trace(*flows([[30, 30, 30, 30, 0], [0, 0, 0, 0, 90]]), [1, 2], 5, 3)

    assert sorted(thirds.ids) == [1, 2, 3, 4]
    assert fate("split", (1,), tuple(thirds.ids[:3])) in thirds.fates
    assert quarters.ids == [3, 4, 5, 6, 2]
    assert fate("split", (1,), (3, 4, 5, 6)) in quarters.fates


def test_four_like_segments_in_one_cluster_have_merged_into_a_new_one() -> None:
    old, new = flows([[30, 0], [30, 0], [30, 0], [30, 0], [0, 90]])

    assert trace(old, new, [1, 2, 3, 4, 5], 2, 6) == Traced(
        [6, 5], (fate("merged", (1, 2, 3, 4), (6,)), fate("kept", (5,), (5,))), 7
    )


@pytest.mark.parametrize(
    ("there", "expected"), [(11, fate("merged", (1, 2), (2,))), (10, fate("died", (1,), ()))]
)
def test_a_vanished_segment_merged_with_whom_over_half_of_its_customers_joined(
    there: int, expected: SegmentFate
) -> None:
    old, new = flows([[there, 20 - there], [100, 0], [0, 100]])

    assert expected in trace(old, new, [1, 2, 3], 2, 4).fates


@pytest.mark.parametrize(
    ("thence", "expected"), [(11, fate("split", (1,), (4, 1))), (10, fate("born", (), (4,)))]
)
def test_a_new_cluster_split_from_whom_over_half_of_its_customers_left(
    thence: int, expected: SegmentFate
) -> None:
    old, new = flows([[thence, 100, 0], [20 - thence, 0, 100]])

    assert expected in trace(old, new, [1, 2], 3, 4).fates


def test_a_segment_that_faded_left_a_remainder_and_died_wherever_that_went() -> None:
    old, new = flows([[100, 0], [20, 0], [0, 100]])

    assert fate("merged", (1, 2), (1,)) in trace(old, new, [1, 2, 3], 2, 4).fates
    assert fate("merged", (1, 2), (1,)) in trace(old, new, [1, 2, 3], 2, 4, faded=[1, 3]).fates
    assert trace(old, new, [1, 2, 3], 2, 4, faded=[2]).fates == (
        fate("kept", (1,), (1,)),
        fate("died", (2,), ()),
        fate("kept", (3,), (3,)),
    )


def test_where_one_segment_was_swallowed_and_another_came_off_at_once_it_is_a_split() -> None:
    old, new = flows([[80, 20], [5, 0]])

    assert trace(old, new, [1, 2], 2, 3).fates == (fate("split", (1, 2), (1, 3)),)


def test_a_segment_and_a_cluster_without_customers_have_nothing_to_do_with_each_other() -> None:
    assert trace(labels((0, 9)), labels((0, 9)), [1, 2], 2, 3) == Traced(
        [1, 3],
        (fate("kept", (1,), (1,)), fate("died", (2,), ()), fate("born", (), (3,))),
        4,
    )


def test_a_cluster_keeps_its_id_although_most_of_its_customers_come_from_a_larger_segment() -> None:
    old, new = flows([[40, 0], [60, 140]])

    assert trace(old, new, [1, 2], 2, 3) == Traced(
        [1, 2], (fate("kept", (1,), (1,)), fate("kept", (2,), (2,))), 3
    )


def test_who_joined_a_new_cluster_of_many_others_did_not_become_it() -> None:
    """Over half of the first segment is there, but is a small part of it: one died, one is born."""
    old, new = flows([[55, 23, 22], [70, 130, 0], [70, 0, 130]])

    traced = trace(old, new, [1, 2, 3], 3, 4)

    assert traced.ids == [4, 2, 3]
    assert fate("died", (1,), ()) in traced.fates
    assert fate("born", (), (4,)) in traced.fates


def test_a_single_customer_is_a_segment_too() -> None:
    vanished = trace(*flows([[1, 0], [100, 0], [0, 100]]), [1, 2, 3], 2, 4)
    appeared = trace(*flows([[1, 100, 0], [0, 0, 100]]), [1, 2], 3, 4)

    assert fate("merged", (1, 2), (2,)) in vanished.fates
    assert fate("split", (1,), (4, 1)) in appeared.fates
