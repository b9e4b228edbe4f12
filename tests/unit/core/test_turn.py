from dataclasses import replace

import msgspec

from stream_app.contracts import Reason, RejectReason, SegmentChanged
from stream_app.core.events import Erasure, ProfileUpdate, Rejected, to_datetime
from stream_app.core.folds import ProfileState
from stream_app.core.messages import Outgoing, dead_letter_of
from stream_app.core.model import Models
from stream_app.core.transitions import facts
from stream_app.core.turn import Turn
from tests.builders import (
    CHANGES,
    DEAD,
    FAR,
    START,
    a_record,
    a_snapshot,
    a_state,
    a_turn,
    an_order,
    axis,
    changes_in,
    day,
    serving,
)

RECORD = replace(a_record(41), timestamp=day(0) + 5)


def changes(turn: Turn) -> list[SegmentChanged]:
    return changes_in(turn.outbox)


def test_a_purchase_is_counted_judged_and_written() -> None:
    turn = a_turn()
    turn.take([RECORD], [an_order()])

    [(customer, state)] = turn.written()
    assert state is not None
    assert (customer, state.orders, state.segment) == ("ann", 1, 1)
    assert turn.counts == {"applied": 1, "held": 0, "segment:1": 1}
    assert turn.moves == {Reason.INITIAL: 1}


def test_a_duplicate_changes_neither_the_state_nor_the_clock() -> None:
    turn = a_turn({"ann": (state := a_state(an_order("e1")))}, models=Models())
    before = repr(state)
    turn.take([RECORD], [an_order("e1", at=50)])

    assert repr(state) == before
    assert turn.clock == day(0)
    assert turn.counts == {"duplicate": 1}
    assert turn.outbox == []


def test_by_the_event_clock_now_is_the_highest_event_time() -> None:
    turn = a_turn(clock=5)
    assert turn.now == day(5)
    turn.take([RECORD], [an_order("e1", at=9)])
    turn.take([RECORD], [an_order("e2", at=7)])

    assert turn.now == turn.clock == day(9)


def test_by_the_wall_clock_now_is_the_present() -> None:
    turn = a_turn(event_clock=False)
    turn.take([RECORD], [an_order()])

    assert turn.now == FAR
    assert turn.clock == day(0)
    assert changes(turn)[0].current.name == "Gone"


def test_a_returning_customer_first_lapses_and_then_moves_back() -> None:
    turn = a_turn()
    for n, at in enumerate((0, 1000)):
        turn.take([RECORD], [an_order(f"e{n}", at)])

    moves = changes(turn)
    assert [(m.reason, m.current.name) for m in moves] == [
        (Reason.INITIAL, "Active"),
        (Reason.LAPSE, "Quiet"),
        (Reason.LAPSE, "Gone"),
        (Reason.PURCHASE, "Active"),
    ]
    assert [m.occurred_at for m in moves] == sorted(m.occurred_at for m in moves)
    assert moves[-1].occurred_at == to_datetime(day(1000))
    assert moves[-1].drivers[0].before == 1000.0
    assert {k: v for k, v in turn.counts.items() if v} == {"applied": 2, "segment:1": 1}


def test_a_customer_who_only_ever_refunded_is_never_scored() -> None:
    turn = a_turn()
    turn.take([RECORD], [an_order("r1", refund=True)])
    turn.lapse(["ann"])
    turn.rescore(["ann"])

    [(_, state)] = turn.written()
    assert state is not None
    assert (state.refunds, state.segment, state.due) == (1, 0, 0)
    assert turn.outbox == []


def test_a_profile_alone_is_kept_but_not_scored() -> None:
    turn = a_turn()
    turn.take([RECORD], [ProfileUpdate("ann", ProfileState(1, birth_year=1980))])

    assert turn.counts["applied"] == 1
    assert turn.outbox == []


def test_an_older_profile_is_a_duplicate() -> None:
    turn = a_turn()
    for updated in (2, 1):
        turn.take([RECORD], [ProfileUpdate("ann", ProfileState(updated))])

    assert (turn.counts["applied"], turn.counts["duplicate"]) == (1, 1)


def test_while_there_is_no_model_purchases_are_counted_and_nobody_is_placed() -> None:
    turn = a_turn(models=Models())
    turn.take([RECORD], [an_order()])
    turn.lapse(["ann"])

    [(_, state)] = turn.written()
    assert state is not None
    assert (state.orders, state.model, state.sequence) == (1, 0, 0)
    assert turn.outbox == []


def test_the_first_model_places_everybody_who_bought_before_it() -> None:
    state = a_state()
    turn = a_turn({"ann": state})
    turn.rescore(["ann"])

    (move,) = changes(turn)
    assert (move.reason, move.source.offset) == (Reason.INITIAL, None)
    assert turn.counts["segment:1"] == 1


def test_moves_held_back_by_hysteresis_are_counted() -> None:
    centres = ((0.0,) * 9, (1.9 * axis(5), *[0.0] * 8))
    models = serving(a_snapshot(centres=centres, names=("Near", "Far")), margin=0.3)
    turn = a_turn({"ann": None}, models)
    turn.take([RECORD], [an_order("e1", at=0)])
    turn.take([RECORD], [an_order("bobs", at=5)._replace(customer_id="bob")])
    turn.take([RECORD], [an_order("r1", at=5, refund=True)])

    assert turn.counts["held"] == 1
    assert turn.moves[Reason.REFUND] == 0


def test_a_lapse_before_its_time_changes_nothing() -> None:
    turn = a_turn()
    turn.take([RECORD], [an_order()])
    before = len(turn.outbox)
    turn.lapse(["ann"])

    assert len(turn.outbox) == before


def test_a_refused_record_becomes_a_dead_letter_and_touches_nobody() -> None:
    turn = a_turn()
    turn.take([RECORD], [Rejected(RejectReason.INVALID, "total: no")])

    (letter,) = turn.outbox
    assert (letter.topic, letter.key, letter.value) == (DEAD, RECORD.key, RECORD.value)
    origin = dead_letter_of(letter.headers)
    assert (origin.topic, origin.partition, origin.offset) == ("purchases", 3, 41)
    assert list(turn.written()) == []
    assert turn.counts == {"dead": 1}


def test_an_erasure_leaves_a_tombstone_and_a_new_beginning() -> None:
    turn = a_turn()
    turn.take([RECORD], [an_order("e1")])
    turn.take([RECORD], [Erasure("ann")])
    assert list(turn.written()) == [("ann", None)]
    assert turn.counts["segment:1"] == 0

    turn.take([RECORD], [an_order("e1")])

    [(_, state)] = turn.written()
    assert state is not None
    assert (state.orders, state.sequence) == (1, 1)
    assert [m.value is None for m in turn.outbox] == [False, True, False]
    assert changes(turn)[1].previous is None


def test_an_erased_customer_who_returns_gets_event_ids_that_were_never_used() -> None:
    turn = a_turn()
    for event in (an_order("e1"), Erasure("ann"), an_order("e2")):
        turn.take([RECORD], [event])

    first, again = changes(turn)
    assert first.id != again.id


def test_erasing_a_stranger_says_nothing() -> None:
    turn = a_turn()
    turn.take([RECORD], [Erasure("ann")])

    assert list(turn.written()) == [("ann", None)]
    assert turn.outbox == []


def test_a_change_says_where_it_comes_from_and_when_it_was_decided() -> None:
    turn = a_turn()
    turn.take([RECORD], [an_order()])

    (move,) = changes(turn)
    assert move.source.model_dump() == {
        "topic": "purchases", "partition": 3, "offset": 41, "published_at": to_datetime(day(0) + 5),
    }  # fmt: skip
    assert (move.occurred_at, move.emitted_at) == (START, to_datetime(FAR))
    assert (move.epoch, move.replay) == (7, True)
    message: Outgoing = turn.outbox[0]
    assert (message.topic, message.key) == (CHANGES, b"ann")


def test_facts_are_what_a_campaign_needs() -> None:
    spent = tuple((f"c{i}", i * 1_000_000) for i in range(5))
    state = a_state(an_order(total=10, categories=spent), an_order("e2", 2, 5.5))

    assert msgspec.to_builtins(facts(state, day(4.5))) == {
        "recency_days": 2.5, "orders": 2, "spend": 15.5, "average_basket": 7.75,
        "top_categories": ("c4", "c3", "c2"),
    }  # fmt: skip
