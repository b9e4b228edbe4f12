import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from stream_app.adapters.memory_store import MemoryStore
from stream_app.adapters.metrics import Metrics
from stream_app.contracts import PopulationSample
from stream_app.core.flood import FloodError, FloodGuard
from stream_app.core.messages import Outgoing
from stream_app.core.model import Models
from stream_app.lane import Lane, LaneServices
from stream_app.pace import DAY_MS, LaneSettings
from stream_app.pipeline import Session
from stream_app.ports import Batch, Pending
from tests.builders import (
    CHANGES,
    FAR,
    PURCHASES,
    a_chunk,
    a_pipeline,
    a_record,
    a_snapshot,
    changes_in,
    serving,
)

DEADLINE_S = 5.0
LEFTOVER = Outgoing(CHANGES, b"bob", None)


@dataclass
class World:
    """The services around one lane: a store, and a broker that is two lists."""

    store: MemoryStore = field(default_factory=MemoryStore)
    models: Models = field(default_factory=serving)
    settings: LaneSettings = field(default_factory=lambda: LaneSettings(0, 0, 0, 1e6))
    published: list[Outgoing] = field(default_factory=list)
    samples: list[PopulationSample] = field(default_factory=list)
    rewinds: list[tuple[str, int, int]] = field(default_factory=list)
    flood: FloodGuard = field(default_factory=lambda: FloodGuard(1))
    halts: list[FloodError] = field(default_factory=list)
    claims: int = 0
    wall: int = FAR
    tick: int = 50
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def claim(self, partition: int) -> tuple[Session, tuple[Pending, ...]]:
        self.claims += 1
        claim = await self.store.claim(partition, "w1")
        return Session.of(partition, claim), claim.pending

    async def rewind(self, topic: str, partition: int, offset: int) -> None:
        self.rewinds.append((topic, partition, offset))

    async def publish(self, messages: list[Outgoing]) -> None:
        await self.open.wait()
        self.published += messages

    async def publish_sample(self, sample: PopulationSample) -> None:
        self.samples.append(sample)

    async def halt(self, error: FloodError) -> None:
        self.halts.append(error)

    def now(self) -> int:
        self.wall += self.tick
        return self.wall

    def lane(self, partition: int = 0) -> Lane:
        services = LaneServices(
            pipeline=a_pipeline(self.store, self.models),
            metrics=Metrics(),
            claim=self.claim,
            rewind=self.rewind,
            publish=self.publish,
            publish_sample=self.publish_sample,
            wall=self.now,
            flood=self.flood,
            halt=self.halt,
        )
        return Lane(partition, services, self.settings)

    async def orders(self, customer: str = "ann") -> int:
        (state,) = await self.store.load(0, [customer])
        return state.orders if state else 0


@asynccontextmanager
async def running(world: World) -> AsyncIterator[Lane]:
    """A lane that owns its partition and works until the block ends."""
    lane = world.lane()
    await lane.claim()
    task = asyncio.create_task(lane.run())
    try:
        yield lane
    finally:
        lane.release()
        await asyncio.wait_for(task, DEADLINE_S)


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds, five seconds at most."""

    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def at(lane: Lane) -> int | None:
    return lane.session.positions.get(PURCHASES)


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
        await eventually(lambda: lane._queue.empty() and world.rewinds)
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
        await eventually(lambda: lane._queue.empty() and (world.rewinds or at(lane)))

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


@pytest.mark.parametrize("rate", [5000, 50])
async def test_a_new_model_reaches_every_customer_while_nothing_else_happens(rate: float) -> None:
    world = World(models=Models(), settings=LaneSettings(0, 0, 0, rate), tick=1000)
    async with running(world) as lane:
        await lane.put(a_chunk(*[a_record(i, f"c{i}") for i in range(300)]), None)
        await eventually(lambda: at(lane) == 300)
        world.models.add(serving().current)
        await eventually(lambda: len(world.published) == 300)
        world.models.add(serving(a_snapshot(2, names=("A", "B", "C"))).current)
        await eventually(lambda: all(s.model == 2 for s in lane.session.cache.values()))

    assert len({m.key for m in world.published}) == 300


async def test_silent_customers_lapse_while_the_lane_is_idle() -> None:
    world = World()
    async with running(world) as lane:
        await lane.put(a_chunk(a_record(0), a_record(1, "bob", at=1000)), None)
        await eventually(lambda: len(world.published) == 4)

    told = [(m.customer_id, m.current.name) for m in changes_in(world.published)]
    assert told == [("ann", "Active"), ("bob", "Active"), ("ann", "Quiet"), ("ann", "Gone")]


async def test_the_population_is_sampled_by_time_and_by_events() -> None:
    for settings in (LaneSettings(0, 0, 20, 1e6), LaneSettings(2.0, 0, 0, 1e6)):
        world = World(settings=settings)
        async with running(world) as lane:
            await lane.put(a_chunk(a_record(0), a_record(1, "bob")), None)
            await eventually(lambda w=world: w.samples)  # type: ignore[misc]

        assert world.samples[0].population == 2


def test_samples_are_a_share_of_the_events_or_a_number_a_day_whichever_is_more() -> None:
    rates = LaneSettings(sample_share=0.1, sample_daily=50, sample_floor=0, rescore_per_second=0)

    assert rates.samples(1000, DAY_MS, 2 * DAY_MS) == 100
    assert rates.samples(10, DAY_MS, 3 * DAY_MS) == 100
    assert rates.samples(10, 0, 9000 * DAY_MS) == 1


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
