"""Several events of one customer in a chunk: judged together, with the effect of one by one."""

from collections.abc import Sequence

from stream_app.contracts import ModelSnapshot, Reason
from stream_app.core.folds import CustomerState, Order
from stream_app.core.model import Models
from stream_app.core.turn import RUN_EVENTS, Turn
from tests.builders import (
    FEATURES,
    a_record,
    a_snapshot,
    a_state,
    a_turn,
    an_order,
    axis,
    changes_in,
    serving,
)


def two_segments(version: int, active: float, quiet: float) -> ModelSnapshot:
    """Two segments around so many days of silence."""
    centres = tuple((axis(x), *[0.0] * (len(FEATURES.names) - 1)) for x in (active, quiet))
    return a_snapshot(version, centres, ("Active", "Quiet"))


def in_quiet() -> CustomerState:
    """A customer whom version 1 placed in the second segment."""
    state = a_state(an_order("e0"))
    state.segment, state.segment_name, state.sequence, state.model = 2, "Quiet", 1, 1
    return state


def taken(
    events: Sequence[Order], state: CustomerState, models: Models, clock: float, *, together: bool
) -> Turn:
    turn = a_turn({"ann": state, "bob": None}, models, clock)
    records = [a_record(i) for i in range(len(events))]
    size = len(events) if together else 1
    for i in range(0, len(events), size):
        turn.take(records[i : i + size], events[i : i + size])
    return turn


def test_a_move_after_the_first_event_under_a_new_model_is_the_customers_own() -> None:
    models = serving(two_segments(1, 400, 30), two_segments(2, 0, 90))
    events = [an_order("e1", at=5), an_order("e2", at=99)]
    for together in (False, True):
        turn = taken(events, in_quiet(), models, 100, together=together)

        [move] = changes_in(turn.outbox)
        assert (move.current.name, move.reason) == ("Active", Reason.PURCHASE)


def test_nothing_is_held_back_that_a_move_before_it_has_settled() -> None:
    models = serving(two_segments(1, 0, 90))
    bob = an_order("e2", at=118.2)._replace(customer_id="bob")
    events = [an_order("e1", at=100), bob, an_order("e3", at=100)]
    for together in (False, True):
        turn = taken(events, in_quiet(), models, 100, together=together)

        assert [m.current.name for m in changes_in(turn.outbox)] == ["Active", "Active"]
        assert turn.counts["held"] == 0


def test_a_customer_who_had_no_place_has_no_values_before_the_first_one() -> None:
    events = [an_order("e1", at=1), an_order("e2", at=2)]
    for together in (False, True):
        turn = taken(events, a_state(an_order("e0")), serving(), 0, together=together)

        [move] = changes_in(turn.outbox)
        assert move.reason is Reason.INITIAL
        assert [driver.before for driver in move.drivers] == [None]


def test_more_events_of_one_customer_than_are_judged_at_once_have_the_same_effect() -> None:
    events = [an_order(f"e{n}", at=n * 7) for n in range(1, 3 * RUN_EVENTS)]
    one, all_ = (
        taken(events, in_quiet(), serving(), 0, together=together) for together in (False, True)
    )

    assert list(one.written()) == list(all_.written())
    assert changes_in(one.outbox) == changes_in(all_.outbox)
    assert one.counts == all_.counts
