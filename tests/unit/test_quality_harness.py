"""The measures of quality are right where the answer is known."""

from datetime import timedelta

import numpy as np
import pytest

from stream_app.contracts import Driver, Facts, Reason, SegmentChanged, SegmentRef, Source
from stream_app.core.folds import CustomerState
from stream_app.core.model import Models
from stream_app.core.transitions import Judge
from tests.benchmarks.quality.lapses import BruteForce, Lapse, agreement
from tests.benchmarks.quality.moves import Flaps, explains
from tests.benchmarks.quality.population import Population, best_of_ten, inertia, scaled, transform
from tests.benchmarks.quality.silence import silent_apart
from tests.builders import (
    FEATURES,
    START,
    a_snapshot,
    a_state,
    an_order,
    day,
    judged,
    lapsed,
    serving,
)

MARGIN = 0.1


def people(*days_of_silence: float) -> Population:
    """One customer for each silence, everything else alike, all in segment 1."""
    states = {
        f"c{i}": replace_segment(a_state(an_order(at=-silence)), 1)
        for i, silence in enumerate(days_of_silence)
    }
    return Population.of(states, FEATURES, day(0))


def replace_segment(state: CustomerState, segment: int) -> CustomerState:
    state.segment = segment
    return state


def a_move(
    to: int, reason: Reason, at: float, since: int | None = None, *drivers: Driver
) -> SegmentChanged:
    """Ann moves from segment ``since`` to ``to`` on day ``at``."""
    return SegmentChanged(
        id=f"m{at}",
        customer_id="ann",
        epoch=1,
        sequence=1,
        previous=None if since is None else SegmentRef(id=since, name=f"S{since}"),
        current=SegmentRef(id=to, name=f"S{to}"),
        reason=reason,
        occurred_at=START + timedelta(days=at),
        emitted_at=START,
        model_version=1,
        margin=0.5,
        drivers=drivers,
        facts=Facts(recency_days=0, orders=1, spend=1, average_basket=1),
        next_change=None,
        source=Source(topic="purchases", partition=0),
        replay=True,
    )


def test_the_ratio_is_one_for_the_batch_optimum_and_greater_for_anything_else() -> None:
    population = people(1, 2, 3, 30, 31, 32, 200, 210, 220)
    snapshot = a_snapshot()
    _, best = population.optimum(snapshot.scaling, 3, seed=1)

    assert population.ratio(best, snapshot.scaling, seed=1) == 1
    assert population.ratio(best + 0.1, snapshot.scaling, seed=1) > 1
    assert population.served_ratio(snapshot, seed=1) > 1


def test_inertia_is_the_sum_of_squared_distances_to_the_nearest_centre() -> None:
    points = np.array([[0.0, 0], [0, 2], [10, 0]])

    assert inertia(points, np.array([[0.0, 1], [10, 0]])) == 2
    assert best_of_ten(points, 2, seed=1)[0] == 2


def test_vectors_are_transformed_and_scaled_as_the_model_does() -> None:
    state = a_state(an_order("e1", -50), an_order("e2", -20, total=80))
    population = Population.of({"ann": state}, FEATURES, day(0))
    model = serving(a_snapshot()).current

    points = scaled(population.transformed, model.snapshot.scaling)

    vector = FEATURES.vector(state, day(0))
    assert transform(population.natural, FEATURES)[0] == pytest.approx(FEATURES.transform(vector))
    assert points[0] == pytest.approx(model.points(np.array([vector]))[0])


def test_a_move_is_undone_only_by_the_next_one_within_a_week_and_without_lapse_or_model() -> None:
    flaps = Flaps()
    chain = [
        a_move(1, Reason.INITIAL, 0),
        a_move(2, Reason.PURCHASE, 1, 1),
        a_move(1, Reason.REFUND, 5, 2),  # undone
        a_move(2, Reason.PURCHASE, 12.5, 1),  # too late
        a_move(1, Reason.LAPSE, 14, 2),  # a lapse
        a_move(2, Reason.PURCHASE, 15, 1),  # after a lapse
        a_move(3, Reason.PURCHASE, 16, 2),  # elsewhere
        a_move(2, Reason.MODEL, 17, 3),  # a new model
        a_move(3, Reason.PURCHASE, 18, 2),  # after a new model
    ]
    for move in chain:
        flaps.add(move)

    assert flaps.undone == 1
    assert flaps.reversed == 3
    assert flaps.total == 8
    assert flaps.own == 6


def test_brute_force_finds_a_planted_lapse_at_the_instant_the_pipeline_gives() -> None:
    models = serving(a_snapshot(), margin=MARGIN)
    state = a_state(an_order(at=0))
    judge = Judge(models, 1, 0, "purchases", 0, replay=True)
    judged(judge, state, day(0))
    brute = BruteForce({"ann": state_of(models)}, models.current, day(0), MARGIN)

    moves = lapsed(judge, state, day(100))
    brute.advance(day(100))

    ours = [
        Lapse("ann", m.previous.id, m.current.id, round(m.occurred_at.timestamp() * 1000))
        for m in moves
        if m.previous
    ]
    assert [(lapse.old, lapse.new) for lapse in brute.found] == [(1, 2), (2, 3)]
    share, seconds = agreement(ours, brute.found)
    assert share == 1
    assert seconds <= 0.002


def state_of(models: Models) -> CustomerState:
    """Ann after her order, in the segment of whoever has just bought."""
    return replace_segment(a_state(an_order(at=0)), models.current.segments[0].id)


def test_an_order_ends_a_silence_for_brute_force() -> None:
    models = serving(a_snapshot(), margin=MARGIN)
    brute = BruteForce({"ann": state_of(models)}, models.current, day(0), MARGIN)

    for at in range(5, 100, 5):
        brute.order(an_order(f"e{at}", at))

    assert brute.found == []
    brute.order(an_order("late", 115))
    assert [(lapse.old, lapse.new) for lapse in brute.found] == [(1, 2)]


def test_agreement_counts_what_is_missing_extra_or_elsewhere() -> None:
    both = Lapse("ann", 1, 2, 1000)

    assert agreement([both], [both._replace(at=3500)]) == (1, 2.5)
    assert agreement([both], [both, Lapse("bob", 1, 2, 0)]) == (0.5, 0)
    assert agreement([both, Lapse("bob", 1, 2, 0)], [both]) == (0.5, 0)
    assert agreement([both], [both._replace(new=3)]) == (0, 0)


def test_the_first_driver_explains_a_move_if_without_it_the_customer_stays() -> None:
    model = serving(a_snapshot(), margin=MARGIN).current
    silent = FEATURES.vector(a_state(an_order(at=-40)), day(0))
    recency = Driver(feature="recency_days", unit="days", before=2, after=40, typical=30)
    spend = Driver(feature="decayed_spend", unit="money", before=1, after=20, typical=20)

    assert explains(a_move(2, Reason.LAPSE, 0, 1, recency), silent, model)
    assert not explains(a_move(2, Reason.LAPSE, 0, 1, spend), silent, model)
    assert not explains(a_move(2, Reason.LAPSE, 0, 1), silent, model)


def test_the_silent_are_apart_where_most_of_their_segment_is_silent() -> None:
    population = people(1, 2, 30, 150, 220, 250)
    snapshot = a_snapshot()

    assert silent_apart(population, snapshot) == 1
    together = a_snapshot(centres=snapshot.centres[:2], names=("Active", "Rest"))
    assert silent_apart(people(1, 25, 30, 31, 120), together) == 0
