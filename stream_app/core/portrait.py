"""Segments as people see them: share, typical customer, name; and what was renamed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stream_app.contracts import ModelSnapshot, Segment, SegmentRename
from stream_app.core import clustering
from stream_app.core.drift import Centres
from stream_app.core.model import Matrix
from stream_app.core.segments import name_segments


class Sight(NamedTuple):
    """The population in natural units and as scaled points, both (n, d); names of the columns."""

    natural: Matrix
    points: Matrix
    features: Sequence[str]


def portray(
    sight: Sight, model: Centres, last: ModelSnapshot | None, given: Mapping[int, str]
) -> tuple[Segment, ...]:
    """Describe each segment; names go on from ``last``, and ``given`` ones (by id) hold."""
    members = clustering.members(sight.points, model.matrix)
    profiles = [_profile(sight, inside) for inside in members]
    everybody = _profile(sight, np.arange(len(sight.natural)))
    known = {s.id: s.name for s in last.segments} if last else {}
    own = {row: given[i] for row, i in enumerate(model.ids) if i in given}
    names = name_segments(profiles, everybody, [known.get(i) for i in model.ids], own)
    shares = (clustering.sizes(sight.points, model.matrix) / len(sight.points)).tolist()
    rows = zip(model.ids, names, shares, profiles, strict=True)
    return tuple(Segment(id=i, name=n, share=s, profile=p) for i, n, s, p in rows)


def renames(last: ModelSnapshot | None, segments: Sequence[Segment]) -> tuple[SegmentRename, ...]:
    """List the segments that go on under another name."""
    known = {s.id: s.name for s in last.segments} if last else {}
    return tuple(
        SegmentRename(id=s.id, old=known[s.id], new=s.name)
        for s in segments
        if known.get(s.id, s.name) != s.name
    )


def _profile(sight: Sight, rows: clustering.Labels) -> dict[str, float]:
    """Median of each feature over some customers."""
    medians = np.median(sight.natural[rows], axis=0).tolist()
    return dict(zip(sight.features, medians, strict=True))
