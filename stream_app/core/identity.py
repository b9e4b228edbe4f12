"""Identity: which new cluster continues which old segment, after a reseed.

Clusters are compared by the customers they share, after the MONIC framework (Spiliopoulou et al.
2006): centres may move a long way while the people in a segment stay the same.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from stream_app.contracts import SegmentFate
from stream_app.core.clustering import Labels
from stream_app.core.model import Matrix

SAME = 0.5
MAJORITY = 0.5


class Traced(NamedTuple):
    """Segment ids of the new clusters in order, what became of all ids, the next free id."""

    ids: list[int]
    fates: tuple[SegmentFate, ...]
    next_id: int


def trace(
    old: Labels,
    new: Labels,
    ids: Sequence[int],
    clusters: int,
    next_id: int,
    faded: Collection[int] = (),
) -> Traced:
    """Follow segments from old to new clusters of the same customers.

    ``old`` and ``new`` are labels of shape (n,); ``old`` indexes ``ids``, ``new`` runs below
    ``clusters``. A new cluster keeps the id of the old segment it is matched with one to one if
    they share at least half of their mean size (Dice ≥ 0.5); others get ids from ``next_id`` on.
    The fates name every old and every new id exactly once: ``merged`` if over half of the
    customers of a vanished segment went to one cluster (one that ``faded`` before only left a
    remainder, so it died), ``split`` if over half of the customers
    of a born cluster come from one segment, else ``kept``, ``died`` or ``born``.
    """
    overlap = np.zeros((len(ids), clusters))
    np.add.at(overlap, (old, new), 1.0)
    matched = _match(overlap)
    born = [j for j in range(clusters) if j not in matched]
    fresh = dict(zip(born, range(next_id, next_id + len(born)), strict=True))
    new_ids = [fresh[j] if j in fresh else ids[matched[j]] for j in range(clusters)]
    merging = [i for i, segment in enumerate(ids) if segment not in faded]
    links = [(i, j) for j, i in matched.items()] + _successions(overlap, matched, merging)
    return Traced(new_ids, _fates(links, ids, new_ids), next_id + len(born))


def all_kept(ids: Sequence[int]) -> tuple[SegmentFate, ...]:
    """Nothing but drift: every segment continues."""
    return tuple(SegmentFate(kind="kept", old=(i,), new=(i,)) for i in ids)


def replaced(old: Sequence[int], new: Sequence[int]) -> tuple[SegmentFate, ...]:
    """Nothing continues: all old segments died, all new ones were born."""
    died = [SegmentFate(kind="died", old=(i,), new=()) for i in old]
    return (*died, *(SegmentFate(kind="born", old=(), new=(i,)) for i in new))


def _match(overlap: Matrix) -> dict[int, int]:
    """Pair new with old clusters one to one by the greatest total Dice coefficient."""
    sizes = overlap.sum(axis=1, keepdims=True) + overlap.sum(axis=0, keepdims=True)
    dice = 2 * overlap / np.maximum(sizes, 1)
    pairs = zip(*linear_sum_assignment(dice, maximize=True), strict=True)
    return {int(j): int(i) for i, j in pairs if dice[i, j] >= SAME}


def _successions(
    overlap: Matrix, matched: dict[int, int], merging: Collection[int]
) -> list[tuple[int, int]]:
    """Links old to new where most customers of an unmatched cluster are found on the other side."""
    gone = set(merging) - set(matched.values())
    of_old = overlap / np.maximum(overlap.sum(axis=1, keepdims=True), 1)
    of_new = overlap / np.maximum(overlap.sum(axis=0, keepdims=True), 1)
    went = [(i, j) for i, j in np.argwhere(of_old > MAJORITY).tolist() if i in gone]
    come = [(i, j) for i, j in np.argwhere(of_new > MAJORITY).tolist() if j not in matched]
    return went + come


def _fates(
    links: Sequence[tuple[int, int]], ids: Sequence[int], new_ids: Sequence[int]
) -> tuple[SegmentFate, ...]:
    """One fate for each connected group of old and new clusters."""
    size = len(ids) + len(new_ids)
    rows, columns = [i for i, _ in links], [len(ids) + j for _, j in links]
    graph = csr_matrix((np.ones(len(links)), (rows, columns)), shape=(size, size))
    count, group = connected_components(graph, directed=False)
    members: list[tuple[list[int], list[int]]] = [([], []) for _ in range(count)]
    for node, of in enumerate(group.tolist()):
        side, label = (0, ids[node]) if node < len(ids) else (1, new_ids[node - len(ids)])
        members[of][side].append(label)
    return tuple(fate for old, new in members for fate in _fate(tuple(old), tuple(new)))


def _fate(old: tuple[int, ...], new: tuple[int, ...]) -> tuple[SegmentFate, ...]:
    if len(old) == len(new) == 1:
        return all_kept(old) if old == new else replaced(old, new)
    if not old or not new:
        return replaced(old, new)
    return (SegmentFate(kind="split" if len(new) >= len(old) else "merged", old=old, new=new),)
