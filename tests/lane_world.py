"""A lane over a store in memory, with everything it talks to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from stream_app.adapters.memory_store import MemoryStore
from stream_app.adapters.metrics import Metrics
from stream_app.contracts import PopulationSample
from stream_app.core.flood import FloodError, FloodGuard
from stream_app.core.messages import Outgoing
from stream_app.core.model import Models
from stream_app.lane import Lane, LaneServices
from stream_app.pace import LaneSettings
from stream_app.pipeline import Session
from stream_app.ports import Pending
from tests.builders import (
    FAR,
    PURCHASES,
    ROOM,
    a_pipeline,
    serving,
)

DEADLINE_S = 5.0


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
    background: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.open.set()

    async def claim(self, partition: int) -> tuple[Session, tuple[Pending, ...]]:
        self.claims += 1
        claim = await self.store.claim(partition, "w1")
        return Session.of(partition, claim, ROOM), claim.pending

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
            background=self.background,
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
