"""Which features drove a move."""

from copy import copy

from stream_app.core.folds import fold_order
from stream_app.core.model import Models
from stream_app.core.transitions import Judge
from tests.builders import FEATURES, a_snapshot, a_state, an_order, day, judged, serving


def a_judge(models: Models) -> Judge:
    return Judge(models, 7, day(500), "purchases", 3, replay=False)


def a_spread_snapshot() -> Models:
    """Two centres that differ in four coordinates, most in decayed spend, least in gap."""
    weight = (0.0, 1.0, 1.0, 1.0, 1.0, *[0.0] * 4)
    near, far = (0.0,) * 9, (0.0, 2.0, 4.0, 3.0, 1.0, *[0.0] * 4)
    scaling = a_snapshot().scaling.model_copy(update={"weight": weight})
    return serving(a_snapshot(centres=(near, far), names=("Small", "Big"), scaling=scaling))


def test_drivers_are_the_three_that_spoke_most_for_the_new_segment() -> None:
    judge = a_judge(a_spread_snapshot())
    state = a_state(an_order(total=0.5), an_order("e2", 0, 0.5))
    judged(judge, state, day(0))
    former = copy(state), day(0)
    fold_order(state, an_order("e3", 0, 4000.0), FEATURES.half_life_ms)

    move = judged(judge, state, day(0), former=former)

    assert move is not None
    assert [d.feature for d in move.drivers] == [
        "decayed_spend",
        "average_basket",
        "decayed_orders",
    ]
    spend = move.drivers[0]
    assert (spend.unit, spend.before, spend.after, spend.typical) == ("money", 1.0, 4001.0, 1.0)


def test_a_first_assignment_has_drivers_without_a_before() -> None:
    move = judged(a_judge(serving()), a_state(), day(0))

    assert move is not None
    assert [(d.feature, d.before, d.after) for d in move.drivers] == [("recency_days", None, 0.0)]
