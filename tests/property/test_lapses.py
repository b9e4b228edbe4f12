"""The closed form of the next change against brute force: silence in fine steps."""

from math import expm1, log1p

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.contracts import Scaling
from stream_app.core.model import SegmentModel, Spots, due
from stream_app.core.transitions import Judge
from tests.builders import (
    DAY,
    FEATURES,
    a_snapshot,
    a_state,
    an_order,
    day,
    judged,
    lapsed,
    serving,
)
from tests.placing import a_change, a_place, located

STEPS = 400
YEARS_IN_DAYS = 20_000.0
NEAR = 1e-7
AXIS = st.integers(-60, 60).map(lambda n: n / 10)
MARGINS = st.sampled_from([0.0, 0.05, 0.1, 0.3])


@st.composite
def models(draw: st.DrawFn, margin: st.SearchStrategy[float] = MARGINS) -> SegmentModel:
    """Two to six centres anywhere, in three dimensions that count; clips that cut."""
    count = draw(st.integers(2, 6))
    centres = tuple((draw(AXIS), draw(AXIS), *[0.0] * 6, draw(AXIS)) for _ in range(count))
    scaling = Scaling(
        centre=(draw(st.sampled_from([0.0, 2.5])), *[0.0] * 8),
        scale=(draw(st.sampled_from([0.8, 1.0, 1.7])), *[1.0] * 8),
        weight=(draw(st.sampled_from([1.0, 0.6])), *[1.0] * 8),
        clip=draw(st.sampled_from([1.0, 3.0, 5.0])),
    )
    names = tuple(f"S{i}" for i in range(count))
    snapshot = a_snapshot(centres=centres, names=names, scaling=scaling)
    return SegmentModel(snapshot, FEATURES, draw(margin))


VECTORS = st.tuples(
    st.sampled_from([0.0, 0.5, 3.0, 40.0, 300.0]),
    st.integers(0, 100).map(lambda n: n / 3),
    *[st.just(0.0)] * 6,
    st.integers(0, 20).map(float),
)


def silent(model: SegmentModel, vector: tuple[float, ...], days: float) -> Spots:
    return located(model, (days, *vector[1:]))


def brute_force(model: SegmentModel, vector: tuple[float, ...], own: int) -> float | None:
    """First recency (days), in fine steps on the logarithmic axis, at which the place changes."""
    low, high = log1p(vector[0]), log1p(YEARS_IN_DAYS)
    for step in range(STEPS + 1):
        days = expm1(low + (high - low) * step / STEPS)
        if a_place(model, silent(model, vector, days), own).segment != own:
            return days
    return None


def settled(model: SegmentModel, vector: tuple[float, ...]) -> int:
    return a_place(model, located(model, vector), None).segment


@given(models(), VECTORS, st.data())
def test_no_earlier_change_is_found_and_the_change_happens_when_it_is_said(
    model: SegmentModel, vector: tuple[float, ...], data: st.DataObject
) -> None:
    own = data.draw(st.integers(0, len(model.segments) - 1))
    point = located(model, vector)
    if a_place(model, point, own).segment != own:
        own = settled(model, vector)

    change = a_change(model, point, own)
    seen = brute_force(model, vector, own)

    if change is None:
        assert seen is None
        return
    days, winner = change
    assert days >= vector[0] - NEAR
    assert winner != own
    assert seen is None or seen >= days * (1 - NEAR)
    just_before = max(vector[0], days * (1 - NEAR) - NEAR)
    if just_before < days:
        assert a_place(model, silent(model, vector, just_before), own).segment == own


@given(models(), VECTORS)
def test_the_change_has_happened_by_the_due_millisecond(
    model: SegmentModel, vector: tuple[float, ...]
) -> None:
    own = settled(model, vector)
    point = located(model, vector)
    now = day(vector[0])
    change = a_change(model, point, own)
    if change is None:
        return
    moment = due(change[0], day(0), now)

    assert moment > now
    days = (moment - day(0)) / DAY
    assert (days - change[0]) * DAY <= 1.01 or moment == now + 1
    window = [days + k / DAY for k in range(3)]  # rounding may cost a millisecond, never the move
    assert any(a_place(model, silent(model, vector, d), own).segment != own for d in window)


@settings(max_examples=50)
@given(models(), st.integers(1, 40), st.sampled_from([13, 70, 200]))
def test_sweeping_often_or_once_finds_the_same_lapses(
    model: SegmentModel, orders: int, pause: int
) -> None:
    history = [an_order(f"e{i}", i / orders) for i in range(orders)]
    found = []
    for stops in ([3000], [*range(1, 3000, pause), 3000]):
        state = a_state(*history)
        judge = Judge(serving(model.snapshot, margin=0.1), 1, 0, "purchases", 0, replay=True)
        judged(judge, state, state.last)
        moves = [m for stop in stops for m in lapsed(judge, state, day(stop))]
        found.append([(m.occurred_at, m.previous, m.current, m.drivers) for m in moves])

    assert found[0] == found[1]
