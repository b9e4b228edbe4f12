import pytest

from stream_app.contracts import Reason, SegmentChanged
from stream_app.core.events import to_ms
from stream_app.core.folds import CustomerState, fold_order
from stream_app.core.model import Models
from stream_app.core.scoring import Case
from stream_app.core.transitions import MAX_LAPSES, Judge, SegmentRef, next_change
from tests.builders import (
    FEATURES,
    a_snapshot,
    a_state,
    an_order,
    axis,
    day,
    lapsed,
    serving,
)
from tests.builders import judged as judge_one

ACTIVE, QUIET, GONE = (
    SegmentRef(id=i + 1, name=n) for i, n in enumerate(("Active", "Quiet", "Gone"))
)
REST = (0.0,) * 8


def a_judge(models: Models | None = None) -> Judge:
    return Judge(models or serving(), 7, day(500), "purchases", 3, replay=False)


def judged(
    judge: Judge, state: CustomerState, at: float, cause: Reason = Reason.PURCHASE
) -> SegmentChanged | None:
    return judge_one(judge, state, day(at), cause)


def moved(
    judge: Judge, state: CustomerState, at: float, cause: Reason = Reason.PURCHASE
) -> SegmentChanged:
    move = judged(judge, state, at, cause)
    assert move is not None
    return move


def settled(judge: Judge, at: float = 0) -> CustomerState:
    """A customer placed on day ``at`` after one purchase on day 0."""
    state = a_state()
    judged(judge, state, at)
    return state


def moved_centres(version: int, *days: float) -> Models:
    """Version 1 as built, then one with the centres of recency elsewhere."""
    centres = tuple((axis(d), *REST) for d in days)
    return serving(a_snapshot(1), a_snapshot(version, centres))


def test_the_first_placement_is_initial_whatever_caused_it() -> None:
    for cause in (Reason.PURCHASE, Reason.MODEL, Reason.PROFILE):
        move = moved(a_judge(), a_state(), 0, cause)

        assert (move.reason, move.previous, move.current) == (Reason.INITIAL, None, ACTIVE)
        assert (move.sequence, move.margin) == (1, 1.0)


def test_staying_is_no_event_and_leaves_the_chain_alone() -> None:
    judge = a_judge()
    assert judged(judge, state := settled(judge), 1) is None
    assert (state.segment, state.sequence, state.entered) == (1, 1, day(0))


@pytest.mark.parametrize("cause", [Reason.PURCHASE, Reason.REFUND, Reason.PROFILE, Reason.LAPSE])
def test_a_customer_who_moved_carries_the_cause(cause: Reason) -> None:
    judge = a_judge()
    move = moved(judge, settled(judge), 40, cause)

    assert (move.reason, move.previous, move.current) == (cause, ACTIVE, QUIET)


def test_the_same_features_under_the_former_model_tell_a_boundary_that_moved() -> None:
    judge = a_judge(models := serving())
    state = settled(judge, at=3)
    state_too = settled(judge, at=3)
    models.add(moved_centres(2, 0.01, 1, 2).current)

    by_boundary = moved(judge, state, 3, Reason.PURCHASE)
    by_customer = moved(judge, state_too, 40, Reason.PURCHASE)

    assert by_boundary.reason is Reason.MODEL
    assert by_customer.reason is Reason.PURCHASE


def test_a_re_score_is_always_the_model() -> None:
    judge = a_judge(models := serving())
    state = settled(judge)
    models.add(moved_centres(2, 900, 40, 500).current)

    move = moved(judge, state, 40, Reason.MODEL)

    assert move.reason is Reason.MODEL


def test_a_model_that_is_not_kept_any_more_counts_as_a_moved_boundary() -> None:
    move = moved(a_judge(serving(a_snapshot(9))), settled(a_judge()), 40)

    assert move.reason is Reason.MODEL


def test_judging_remembers_the_version_so_the_boundary_is_asked_only_once() -> None:
    judge = a_judge(models := serving())
    state = settled(judge)
    models.add(moved_centres(2, 3, 30, 200).current)
    assert judged(judge, state, 1) is None

    move = moved(judge, state, 40)

    assert state.model == 2
    assert (move.reason, move.model_version) == (Reason.PURCHASE, 2)


def test_a_segment_that_died_sends_its_customers_on_with_its_last_name() -> None:
    judge = a_judge(models := serving())
    state = settled(judge)
    born = a_snapshot(2)
    segments = tuple(s.model_copy(update={"id": s.id + 10}) for s in born.segments)
    models.add(serving(born.model_copy(update={"segments": segments})).current)

    move = moved(judge, state, 0, Reason.MODEL)

    assert (move.previous, move.current.id, move.reason) == (ACTIVE, 11, Reason.MODEL)
    assert move.drivers


def test_a_renamed_segment_is_no_move_and_the_chain_keeps_the_name_that_was_told() -> None:
    judge = a_judge(models := serving())
    state = settled(judge)
    models.add(serving(a_snapshot(2, names=("Fans", "Quiet", "Gone"))).current)
    assert judged(judge, state, 0) is None

    move = moved(judge, state, 40)

    assert move.previous == ACTIVE


def test_moves_form_a_chain_without_holes() -> None:
    judge = a_judge()
    state = settled(judge)
    moves = lapsed(judge, state, day(1000))
    fold_order(state, an_order("e2", 1000), FEATURES.half_life_ms)
    back = moved(judge, state, 1000)

    chain = [*moves, back]
    assert [m.sequence for m in chain] == [2, 3, 4]
    assert [m.previous for m in chain] == [ACTIVE, QUIET, GONE]
    assert [m.current for m in chain] == [QUIET, GONE, ACTIVE]
    assert [m.id for m in chain] == ["3-7-2", "3-7-3", "3-7-4"]
    assert (state.sequence, state.segment, state.segment_name) == (4, 1, "Active")


def test_every_lapse_happens_at_its_own_due_instant() -> None:
    judge = a_judge()
    state = settled(judge)
    dues = []
    for _ in range(2):
        dues.append(state.due)
        assert lapsed(judge, state, state.due - 1) == []
        (move,) = lapsed(judge, state, state.due)
        assert to_ms(move.occurred_at) == dues[-1] == state.entered
        assert (move.reason, move.source.offset) == (Reason.LAPSE, None)

    once = settled(judge)
    assert [to_ms(m.occurred_at) for m in lapsed(judge, once, day(9999))] == dues
    assert once.due == state.due == 0


def test_a_lapse_is_driven_by_silence_alone() -> None:
    """Although the number of orders has always spoken for the segment that is entered."""
    scaling = a_snapshot().scaling.model_copy(update={"weight": (1.0, 1.0, *[0.0] * 7)})
    centres = ((axis(3), 0.0, *[0.0] * 7), (axis(300), 0.5, *[0.0] * 7))
    judge = a_judge(serving(a_snapshot(scaling=scaling, centres=centres, names=("A", "B"))))

    (driver,) = lapsed(judge, settled(judge), day(900))[0].drivers

    assert (driver.feature, driver.unit, driver.before) == ("recency_days", "days", 0.0)
    assert 3 < driver.after < 300
    assert driver.typical == 1.0


def test_next_change_says_what_the_due_time_does() -> None:
    judge = a_judge()
    first = moved(judge, state := a_state(), 0)
    assert first.next_change is not None

    (second,) = lapsed(judge, state, to_ms(first.next_change.at))
    assert (second.occurred_at, second.current) == (first.next_change.at, first.next_change.segment)
    (third,) = lapsed(judge, state, day(9999))
    assert third.next_change is None
    vector = FEATURES.vector(state, day(9999))
    assert next_change(state, serving().current, vector) is None


def test_after_a_bounded_number_of_lapses_the_event_has_its_turn() -> None:
    judge = a_judge()
    state = settled(judge)
    case = Case("ann", state, day(400), Reason.PURCHASE)
    assert judge.lapse(case) is not None
    assert case.lapses == 1

    case.lapses = MAX_LAPSES

    assert judge.lapse(case) is None


def test_a_model_of_one_segment_places_everybody_in_it() -> None:
    everyone = serving(a_snapshot(centres=((0.0,) * 9,), names=("Everyone",)))

    move = moved(a_judge(everyone), a_state(), 0)

    assert move.current.name == "Everyone"


def test_a_change_too_far_off_for_the_calendar_does_not_stop_a_purchase() -> None:
    update = {"centre": (2.0, *REST), "scale": (2.5, *[1.0] * 8), "clip": 5.0}
    centres = ((-1.0, *REST), (2.0, 5.0, *REST[1:]))
    scaling = a_snapshot().scaling.model_copy(update=update)
    models = serving(
        a_snapshot(scaling=scaling, centres=centres, names=("Here", "Afar")), margin=0.0
    )

    move = moved(a_judge(models), a_state(), 0)

    assert move.current.name == "Here"
