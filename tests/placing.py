"""One customer placed by a model, without arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.model import SegmentModel, Spots


class Place(NamedTuple):
    """One customer's row of `Placements`."""

    segment: int
    margin: float
    held: bool


def a_place(model: SegmentModel, spots: Spots, own: int | None) -> Place:
    """Place one customer, who is in the segment of index ``own``."""
    placed = model.place(spots, np.array([-1 if own is None else own]))
    segment = int(placed.segment[0])
    margin = 0.0 if segment == own else placed.margins([0])[0]
    return Place(segment, margin, bool(placed.held[0]))


def a_change(model: SegmentModel, spots: Spots, own: int) -> tuple[float, int] | None:
    """Recency in days and segment at which silence moves one customer."""
    change = model.next_change(spots, np.array([own]))
    silence = float(change.silence[0])
    return (silence, int(change.winner[0])) if np.isfinite(silence) else None


def located(model: SegmentModel, vector: Sequence[float]) -> Spots:
    """Find one customer, in natural units, among the centres."""
    return model.locate(np.array([vector]))
