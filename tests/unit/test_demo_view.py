import math
from dataclasses import replace

import msgspec
import pytest
from rich.console import Console

from stream_app.adapters.queries import Overview
from stream_app.contracts import Reason, SegmentChanged, SegmentRef
from stream_app.core.events import to_datetime
from stream_app.core.transitions import Judge
from stream_app.demo.report import Run, report
from stream_app.demo.verify import Verification
from stream_app.demo.view import Progress, render
from stream_app.demo.watch import Seen
from tests.builders import (
    a_record,
    a_snapshot,
    a_state,
    day,
    judged,
    lapsed,
    serving,
)

RUN = Run("complete-journey", 1_000, 4.0, Verification(42, 60, ()))


def moves(customer: str = "ann", epoch: int = 1) -> list[SegmentChanged]:
    """A first assignment and two lapses."""
    judge = Judge(serving(), epoch, day(1), "purchases", 0, replay=True)
    state = a_state()
    first = judged(judge, state, day(0), customer=customer, record=a_record(7))
    assert first is not None
    made = [first, *lapsed(judge, state, day(1000), customer)]
    return [SegmentChanged.model_validate_json(msgspec.json.encode(move)) for move in made]


def a_run_seen() -> Seen:
    """Two segments in use, a hundred days of history, three moves."""
    seen = Seen()
    seen.model = a_snapshot(3)
    seen.models[3] = seen.model
    for i in range(11):
        seen.history.append((day(10 * i), {1: 100 - 5 * i, 2: 5 * i}))
    counts = {"applied": 900, "duplicate": 60, "dead": 40, "held": 7}
    seen.overview = Overview(counts, {1: 50, 2: 150}, day(100))
    for change in moves():
        seen.take(change, day(0) + 250)
    return seen


def drawn(seen: Seen, progress: Progress, height: int = 40) -> str:
    console = Console(
        width=150, height=height, record=True, file=None, quiet=False, color_system=None
    )
    with console.capture() as captured:
        console.print(render(seen, progress, height))
    return captured.get()


def test_a_change_seen_twice_counts_once() -> None:
    seen = Seen()
    for change in [*moves(), *moves()]:
        seen.take(change, 0)

    assert (seen.moves(), seen.repeated) == (3, 3)
    assert seen.reasons == {Reason.INITIAL: 1, Reason.LAPSE: 2}


def test_a_move_decided_anew_after_a_rollback_replaces_the_former() -> None:
    seen = Seen()
    for change in [*moves(epoch=2), *moves(epoch=9), *moves(epoch=4)]:
        seen.take(change, 0)

    assert {link.epoch for link in seen.chains["ann"].values()} == {9}
    assert seen.moves() == 3


def test_an_erased_customer_begins_a_new_chain() -> None:
    seen = Seen()
    for change in moves():
        seen.take(change, 0)
    seen.forget("ann")
    seen.forget("nobody")
    assert seen.moves() == 0

    seen.take(moves()[0], 0)

    assert list(seen.chains["ann"]) == [1]


def test_latency_is_from_the_publication_of_the_record_to_the_arrival_of_its_change() -> None:
    seen = Seen()
    assert math.isnan(seen.latency(0.5))
    published = a_record().timestamp
    for late in (10, 20, 30, 1000):
        seen.take(moves()[0].model_copy(update={"sequence": late}), published + late)
    seen.take(moves()[1], published + 99_999)

    assert seen.latencies == pytest.approx([0.01, 0.02, 0.03, 1.0])
    assert seen.latency(0.5) == pytest.approx(0.03)
    assert seen.latency(0.99) == pytest.approx(1.0)
    assert seen.latency(0.5, last=1) == pytest.approx(1.0)


def test_the_report_reconciles_every_event() -> None:
    found = report(RUN, a_run_seen())

    assert found["events"] == {
        "in": 1_000, "applied": 900, "duplicate": 60, "dead_lettered": 40, "reconcile": True,
    }  # fmt: skip
    assert found["events_per_second"] == 250.0
    assert found["flaps_avoided"] == 7
    assert found["moves"] == {
        "initial": 1, "lapse": 2, "purchase": 0, "refund": 0, "profile": 0, "model": 0,
    }  # fmt: skip
    assert found["latency_seconds"] == {"p50": 0.25, "p99": 0.25}
    assert (found["model_versions"], found["customers"], found["verified"]) == (3, 42, True)


def test_a_lost_event_does_not_reconcile_and_a_problem_is_told() -> None:
    run = replace(RUN, events=1_001, verification=Verification(42, 60, ("ann: not in the store",)))

    found = report(run, a_run_seen())

    assert not found["events"]["reconcile"]
    assert not found["verified"]
    assert found["problems"] == ["ann: not in the store"]


def test_segments_are_listed_largest_first_with_empty_ones_at_the_end() -> None:
    rows = report(RUN, a_run_seen())["segments"]

    assert [(r["id"], r["name"], r["customers"], r["share"]) for r in rows] == [
        (2, "Quiet", 150, 0.75),
        (1, "Active", 50, 0.25),
        (3, "Gone", 0, 0.0),
    ]


def test_a_run_without_a_model_has_a_report_too() -> None:
    found = report(replace(RUN, seconds=0.0), Seen())

    assert found["segments"] == []
    assert found["model_versions"] == 0
    assert found["latency_seconds"] == {"p50": None, "p99": None}


def test_the_view_shows_clock_progress_segments_and_the_last_moves() -> None:
    seen = a_run_seen()

    screen = drawn(seen, Progress("complete-journey", 2_000, 1_100, 512.4, "replaying"))

    for said in (
        "complete-journey · replaying", f"{to_datetime(day(100)):%a %d %b %Y}", "1,000 of 2,000",
        "512", "100", "250 ms / 250 ms", "version 3", "Active", "25%", "Quiet", "75%", "1 day ago",
        "ann moved Active → Quiet", "ann begins as Active", "2 lapse · 1 initial",
    ):  # fmt: skip
        assert said in screen


def test_the_trend_is_the_change_of_the_last_thirty_days() -> None:
    screen = drawn(a_run_seen(), Progress("x", 1))

    active = next(line for line in screen.splitlines() if "Active" in line and "25%" in line)
    assert "-15" in active  # 65 thirty days ago, 50 now
    assert "█" in active


def test_before_the_first_model_the_view_says_what_it_waits_for() -> None:
    screen = drawn(Seen(), Progress("x", 10))

    assert "warming up" in screen
    assert "no segments before enough customers" in screen
    assert "0 of 10" in screen


def test_as_many_moves_are_shown_as_there_is_room_for_the_newest_first() -> None:
    seen = a_run_seen()
    for i in range(50):
        ref = SegmentRef(id=1, name=f"Segment{i}")
        seen.take(moves()[0].model_copy(update={"sequence": i + 9, "current": ref}), 0)

    lines = [line for line in drawn(seen, Progress("x", 1), 30).splitlines() if "Segment" in line]

    assert "Segment49" in lines[0]
    assert 3 <= len(lines) <= 20
