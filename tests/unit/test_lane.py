"""A lane applies chunks, closes gaps, and publishes what it owes."""

import asyncio

from stream_app.core.messages import Outgoing
from stream_app.ports import Batch, Pending
from tests.builders import (
    CHANGES,
    PURCHASES,
    a_chunk,
    a_record,
    changes_in,
)
from tests.lane_world import DEADLINE_S, World, at, eventually, running

LEFTOVER = Outgoing(CHANGES, b"bob", None)


async def test_chunks_are_applied_and_their_changes_published_and_trimmed() -> None:
    world = World()
    async with running(world) as lane:
        await lane.put(a_chunk(a_record(0), a_record(1, "bob")), 2)
        await eventually(lambda: len(world.published) == 2)

    assert [m.customer_id for m in changes_in(world.published)] == ["ann", "bob"]
    assert (await world.store.claim(0, "w2")).pending == ()


async def test_a_gap_asks_once_for_the_missing_records_and_applies_nothing_meanwhile() -> None:
    world = World()
    async with running(world) as lane:
        await lane.put(a_chunk(a_record(0)), None)
        await eventually(lambda: at(lane) == 1)
        for offset in (3, 5, 7):
            await lane.put(a_chunk(a_record(offset)), None)
        await lane.put(a_chunk(a_record(0)), None)  # already applied: all before it is done with
        await eventually(lambda: not lane.intake.records and world.rewinds)
        assert at(lane) == 1

        await lane.put(a_chunk(*[a_record(i) for i in range(1, 8)]), None)
        await eventually(lambda: at(lane) == 8)

    assert world.rewinds == [(PURCHASES, 0, 1)]
    assert world.claims == 1
    assert await world.orders() == 8


async def test_what_overlaps_is_trimmed_and_what_was_applied_is_skipped() -> None:
    world = World()
    records = [a_record(i) for i in range(6)]
    async with running(world) as lane:
        for part in (records[:4], records[1:3], records[2:6]):
            await lane.put(a_chunk(*part), None)
        await eventually(lambda: at(lane) == 6)

    counters = await world.store.counters(0)
    assert (await world.orders(), counters["applied"]) == (6, 6)
    assert "duplicate" not in counters
    assert world.rewinds == []


async def test_a_lane_that_lost_its_partition_to_nobody_takes_it_again_and_reads_on() -> None:
    world = World()
    async with running(world) as lane:
        await lane.put(a_chunk(a_record(0)), None)
        await eventually(lambda: at(lane) == 1)
        await world.store.claim(0, "somebody who went away")
        await lane.put(a_chunk(a_record(1)), None)
        await eventually(lambda: world.claims == 2 and world.rewinds)
        assert await world.orders() == 1

        await lane.put(a_chunk(a_record(1)), None)
        await eventually(lambda: at(lane) == 2)

    assert world.rewinds == [(PURCHASES, 0, 1)]
    assert await world.orders() == 2


async def test_records_of_a_refused_first_chunk_are_read_again_too() -> None:
    world = World()
    async with running(world) as lane:
        await world.store.claim(0, "somebody who went away")
        await lane.put(a_chunk(a_record(0), a_record(1)), None)
        await eventually(lambda: world.claims == 2)
        await lane.put(a_chunk(a_record(2)), None)
        await eventually(lambda: not lane.intake.records and (world.rewinds or at(lane)))

    assert world.rewinds == [(PURCHASES, 0, 0)]


async def test_what_an_earlier_owner_could_not_publish_goes_out_first() -> None:
    world = World()
    claim = await world.store.claim(0, "the earlier owner")
    leftover = Pending(f"{claim.epoch}-1", LEFTOVER)
    batch = Batch("b", PURCHASES, 0, 1, 0, outbox=(leftover,))
    await world.store.apply(0, claim.epoch, batch)

    async with running(world) as lane:
        await lane.put(a_chunk(a_record(1)), None)
        await eventually(lambda: len(world.published) == 2)

    assert world.published[0] == LEFTOVER
    assert world.published[1].key == b"ann"
    assert (await world.store.claim(0, "w2")).pending == ()


async def test_a_released_lane_finishes_its_publishing_first() -> None:
    world = World()
    lane = world.lane()
    await lane.claim()
    task = asyncio.create_task(lane.run())
    world.open.clear()
    await lane.put(a_chunk(a_record(0)), None)
    await eventually(lambda: at(lane) == 1)
    lane.release()
    world.open.set()

    await asyncio.wait_for(task, DEADLINE_S)
    assert len(world.published) == 1
