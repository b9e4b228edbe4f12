"""A flood of dead letters stops a lane, and all others of its worker."""

import asyncio

import pytest

from stream_app.core.flood import FloodError, FloodGuard
from tests.builders import DEAD, PURCHASES, ARecord, a_chunk, a_record
from tests.lane_world import DEADLINE_S, World, at, eventually, running


def poison(start: int, count: int) -> list[ARecord]:
    return [ARecord(start + i, b"ann", b"{") for i in range(count)]


async def test_a_flooded_lane_stores_and_publishes_what_it_read_and_reads_no_more() -> None:
    world = World(flood=FloodGuard(0.5, window=10))
    lane = world.lane()
    await lane.claim()
    for start in (0, 300, 600):
        await lane.put(a_chunk(*poison(start, 300)), None)

    with pytest.raises(FloodError, match="not-json"):
        await asyncio.wait_for(lane.run(), DEADLINE_S)

    assert at(lane) == 300
    counters = await world.store.counters(0)
    assert counters["dead"] == 300
    assert counters[f"next:{PURCHASES}"] == 300
    assert [message.topic for message in world.published] == [DEAD] * 300
    assert (await world.store.claim(0, "w2")).pending == ()
    assert len(world.halts) == 1


async def test_a_flooded_lane_halts_only_when_its_dead_letters_are_out() -> None:
    world = World(flood=FloodGuard(0.5, window=10))
    world.open.clear()
    lane = world.lane()
    await lane.claim()
    task = asyncio.create_task(lane.run())
    await lane.put(a_chunk(*poison(0, 20)), None)
    await eventually(lambda: world.flood.flooded)
    assert world.halts == []

    world.open.set()

    with pytest.raises(FloodError):
        await asyncio.wait_for(task, DEADLINE_S)
    assert len(world.published) == 20


async def test_the_other_lanes_of_a_flooded_worker_leave_their_records_unread() -> None:
    world = World(flood=FloodGuard(0.0, window=10))
    world.flood.flooded = True
    async with running(world) as lane:
        await lane.put(a_chunk(a_record(0)), None)
        await eventually(lambda: not lane.intake.records)

    assert await world.orders() == 0
    assert at(lane) is None


async def test_a_small_share_of_bad_records_stops_nothing() -> None:
    world = World(flood=FloodGuard(0.5, window=10))
    async with running(world) as lane:
        for start in range(0, 100, 10):
            good = [a_record(start + i) for i in range(5)]
            await lane.put(a_chunk(*good, *poison(start + 5, 5)), None)
        await eventually(lambda: at(lane) == 100)

    assert (await world.store.counters(0))["dead"] == 50
    assert world.halts == []


async def test_a_broker_that_is_away_does_not_keep_a_flooded_lane_from_halting() -> None:
    world = World(flood=FloodGuard(0.0, window=10))
    world.open.clear()
    lane = world.lane()
    await lane.claim()
    await lane.put(a_chunk(*poison(0, 3)), None)

    with pytest.raises(FloodError):
        await asyncio.wait_for(lane.run(), 3 * DEADLINE_S)

    assert len((await world.store.claim(0, "w2")).pending) == 3
    world.open.set()
    await lane._publishing if lane._publishing else None
