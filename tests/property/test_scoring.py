"""Customers scored together are scored as each of them alone, to the last bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.contracts import Scaling
from stream_app.core.features import Row
from stream_app.core.model import SegmentModel
from tests.builders import FEATURES, a_snapshot, day

WIDTH = len(FEATURES.names)
AMOUNTS = st.floats(0, 1e6)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """What is known of a customer: the last purchase, then features."""
    shares = draw(st.floats(0, 1)), draw(st.floats(0, 1))
    amounts = [draw(AMOUNTS) for _ in range(5)]
    return (float(day(draw(st.integers(-400, 400)))), *amounts, *shares, draw(st.floats(0, 300)))


@st.composite
def models(draw: st.DrawFn) -> SegmentModel:
    """One to eight centres in all dimensions."""
    number = st.floats(-3, 3)
    width = st.tuples(*[number] * WIDTH)
    centres = tuple(draw(st.lists(width, min_size=1, max_size=8, unique=True)))
    scaling = Scaling(
        centre=draw(st.tuples(*[st.floats(0, 5)] * WIDTH)),
        scale=draw(st.tuples(*[st.floats(0.3, 3)] * WIDTH)),
        weight=tuple(feature.weight for feature in FEATURES.features),
        clip=5.0,
    )
    names = tuple(f"S{i}" for i in range(len(centres)))
    snapshot = a_snapshot(centres=centres, names=names, scaling=scaling)
    return SegmentModel(snapshot, FEATURES, draw(st.sampled_from([0.0, 0.1])))


def scored(model: SegmentModel, found: list[Row], at: list[int], own: list[int]) -> list[bytes]:
    """All that comes of scoring, a customer each, as bytes."""
    spots = model.locate(FEATURES.natural(found, at))
    placed = model.place(spots, np.array(own))
    changes = model.next_change(spots, placed.segment)
    columns = (*spots, *placed, *changes)
    return [b"|".join(column[i].tobytes() for column in columns) for i in range(len(found))]


@settings(max_examples=200)
@given(models(), st.lists(rows(), min_size=1, max_size=40), st.data())
def test_a_customer_is_scored_the_same_alone_and_among_others(
    model: SegmentModel, found: list[Row], data: st.DataObject
) -> None:
    at = [day(data.draw(st.integers(0, 800))) for _ in found]
    own = [data.draw(st.integers(-1, len(model.segments) - 1)) for _ in found]

    together = scored(model, found, at, own)

    alone = [scored(model, [f], [a], [o])[0] for f, a, o in zip(found, at, own, strict=True)]
    assert together == alone
