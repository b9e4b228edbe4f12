import asyncio
import threading
from collections.abc import Iterable

import pytest

from stream_app.watchdog import PATIENCE, Place, Stall, Watchdog
from stream_app.whereabouts import doing, running

LIMIT = 60.0
WAITING = Place("purchases/3", 7, 9)


def watched(dog: Watchdog, until: float, places: Iterable[Place], begin: float = 0) -> object:
    """Look every ten seconds, both ends included; what was found last."""
    found: object = None
    moment = begin
    while moment <= until:
        found = dog.look(moment, places)
        moment += 10
    return found


def test_work_that_waits_without_movement_for_the_limit_is_a_stall() -> None:
    dog = Watchdog(LIMIT)

    assert watched(dog, 50, [WAITING]) is None
    assert dog.look(60, [WAITING]) == Stall(WAITING, 60)


def test_a_stall_is_told_with_place_position_and_what_waits() -> None:
    assert str(Stall(Place("purchases/3", 7, 1_007), 60.4)) == (
        "purchases/3 stands at 7, records waiting: 1,000, and nothing has moved for 60 s"
    )
    assert "purchases/3 is assigned to this process, and is not read yet" in str(
        Stall(Place("purchases/3", None, 0), 60)
    )


def test_any_movement_begins_the_wait_anew() -> None:
    dog = Watchdog(LIMIT)
    watched(dog, 50, [WAITING])

    assert watched(dog, 110, [Place("purchases/3", 8, 9)], 55) is None
    assert watched(dog, 115, [Place("purchases/3", 8, 9)], 115)


def test_a_place_without_work_never_stalls_and_waits_only_from_its_first_work_on() -> None:
    dog = Watchdog(LIMIT)

    assert watched(dog, 1_000, [Place("purchases/3", 7, 7)]) is None
    assert watched(dog, 1_059, [WAITING], 1_001) is None
    assert watched(dog, 1_061, [WAITING], 1_061)


def test_a_partition_that_is_assigned_and_never_taken_up_is_a_stall() -> None:
    assert watched(Watchdog(LIMIT), 60, [Place("purchases/3", None, 0)])


def test_a_partition_that_was_away_begins_anew() -> None:
    dog = Watchdog(LIMIT)
    watched(dog, 50, [WAITING])
    dog.look(55, [])

    assert watched(dog, 110, [WAITING], 60) is None


def test_of_several_places_the_one_that_stood_longest_is_told() -> None:
    dog = Watchdog(LIMIT)
    moving = Place("purchases/0", 1, 9)
    watched(dog, 20, [WAITING])

    found = watched(dog, 60, [moving, WAITING], 30)

    assert found == Stall(WAITING, 60)


def test_an_outage_excuses_everything_until_patience_ends() -> None:
    dog = Watchdog(LIMIT)
    for moment in range(0, round(LIMIT * PATIENCE), 10):
        assert dog.look(moment, [WAITING], {"the store": float(moment)}) is None

    found = dog.look(600, [WAITING], {"the store": 600.0})

    assert found == "the store has not answered for 600 s"


def test_after_an_outage_the_whole_limit_counts_again() -> None:
    dog = Watchdog(LIMIT)
    dog.look(0, [WAITING])
    for moment in range(10, 60, 10):
        dog.look(moment, [WAITING], {"the store": 5.0})

    assert watched(dog, 105, [WAITING], 60) is None
    assert watched(dog, 110, [WAITING], 110)


def test_time_for_which_the_whole_process_was_stopped_is_forgiven() -> None:
    dog = Watchdog(LIMIT)
    watched(dog, 30, [WAITING])

    assert watched(dog, 1_020, [WAITING], 1_000) is None
    assert watched(dog, 1_030, [WAITING], 1_030)


@pytest.mark.parametrize("named", [True, False])
async def test_a_waiting_task_is_described_by_its_calls(*, named: bool) -> None:
    from stream_app.lane import Lane  # noqa: PLC0415
    from tests.lane_world import World, eventually  # noqa: PLC0415

    world = World()
    lane: Lane = world.lane()
    await lane.claim()
    task = asyncio.create_task(lane.run(), name="lane-0")
    loop = asyncio.get_running_loop()
    name = "lane-0" if named else "of another name"
    await eventually(lambda: "Lane.run > Intake.next" in doing(loop, name))
    lane.release()
    await task


def test_a_blocked_thread_is_described_by_its_lines() -> None:
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait)
    thread.start()
    try:
        assert "wait" in running(thread.ident or 0)
    finally:
        gate.set()
        thread.join()
