import numpy as np

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
