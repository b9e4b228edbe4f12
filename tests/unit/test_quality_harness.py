"""The instruments of ``make quality`` measure what they say."""

import json
from dataclasses import replace
from datetime import timedelta
from math import inf
from pathlib import Path

import numpy as np
import pytest

from producers.simulate import ShopConfig, Simulation
from stream_app.config import Settings
from stream_app.contracts import Driver, Facts, Reason, SegmentChanged, SegmentRef, Source
from stream_app.core.folds import CustomerState
from stream_app.core.model import Models
from stream_app.core.transitions import Judge
from tests.benchmarks.quality.inertia import Inertia
from tests.benchmarks.quality.lapses import BruteForce, Lapse, agreement
from tests.benchmarks.quality.moves import Drivers, Flaps, explains
from tests.benchmarks.quality.population import Population, best_of_ten, inertia, scaled, transform
from tests.benchmarks.quality.replay import Replay
from tests.benchmarks.quality.report import markdown, write
from tests.benchmarks.quality.results import Bar, Findings, Row, summaries
from tests.benchmarks.quality.shops import Erasing
from tests.benchmarks.quality.silence import silent_apart
from tests.builders import FEATURES, START, a_snapshot, a_state, an_order, day, serving

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
    assert points[0] == pytest.approx(model.coordinates(vector))


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
    judge.judge("ann", state, day(0), Reason.PURCHASE)
    brute = BruteForce({"ann": state_of(models)}, models.current, day(0), MARGIN)

    moves = judge.catch_up("ann", state, day(100))
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


def test_a_row_that_misses_its_bar_is_not_met() -> None:
    row = Row("inertia", "ratio", "cdnow", 1, 1.06, Bar("<=", 1.05))

    assert row.met is False
    assert row.as_json()["met"] is False
    assert replace(row, value=1.05).met is True
    assert replace(row, bar=None).met is None
    assert replace(row, value=inf).as_json()["value"] is None


def test_the_worst_seed_is_the_least_where_more_is_better() -> None:
    rows = [
        Row("a", "more", "x", seed, value, Bar(">=", 1)) for seed, value in enumerate((1, 3, 2))
    ]
    rows += [
        Row("a", "less", "x", seed, value, Bar("<=", 1)) for seed, value in enumerate((1, 3, 2))
    ]

    found = {(row.name, row.seed): row.value for row in summaries(rows)}

    assert found == {
        ("more", "median"): 2,
        ("more", "worst"): 1,
        ("less", "median"): 2,
        ("less", "worst"): 3,
    }


def test_a_bar_that_holds_for_some_seeds_is_judged_on_those() -> None:
    rows = [
        Row("a", "agreement", "x", 1, 0.95, Bar(">=", 0.9)),
        Row("a", "agreement", "x", 2, 0.5),
    ]

    worst = next(row for row in summaries(rows) if row.seed == "worst")

    assert (worst.value, worst.met) == (0.95, True)


def test_the_report_says_what_was_missed(tmp_path: Path) -> None:
    found = Findings([Row("cost", "trainer", "cdnow", 1, 250.0, Bar("<", 200))])

    write(found, [1], tmp_path)

    page = (tmp_path / "quality.md").read_text("utf-8")
    assert "0 are met by every seed" in page
    assert "| trainer | cdnow | 250 | 250 | < 200 | **no** |" in page
    rows = json.loads((tmp_path / "quality.json").read_text("utf-8"))
    assert [(row["seed"], row["met"]) for row in rows] == [
        (1, False),
        ("median", False),
        ("worst", False),
    ]
    assert "1 are met by every seed" in markdown(
        summaries([replace(found.rows[0], value=150.0)]), [1], []
    )


async def test_a_replay_is_the_whole_path_and_gives_the_same_twice() -> None:
    shop = Simulation(ShopConfig(seed=3, customers=150, days=70, join_days=20))
    settings = Settings(seed=3, k=3, warmup_customers=60)
    found = []
    for _ in range(2):
        replay = Replay(settings, [Inertia(), Drivers()], "a small shop")
        found.append((await replay.run(shop), replay.snapshot, len(replay.states())))

    assert found[0] == found[1]
    findings, snapshot, customers = found[0]
    assert snapshot is not None
    assert customers == 150
    assert all(row.value >= 0.99 for row in findings.rows if row.row == "inertia")


async def test_erased_customers_leave_the_population() -> None:
    shop = Simulation(ShopConfig(seed=3, customers=50, days=40, join_days=5))
    replay = Replay(Settings(seed=3))

    await replay.run(Erasing(shop, {"c000001": 20.0, "c000002": 30.0}))

    assert len(replay.states()) == 48
    assert "c000001" not in replay.states()
