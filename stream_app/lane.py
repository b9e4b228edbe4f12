"""A lane: everything that happens to one partition, in sequence.

Chunks come first; between them, and while there are none, the lane lets due customers lapse,
re-scores after a new model and samples the population for the trainer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from stream_app.adapters.metrics import Metrics
from stream_app.core.flood import FloodError, FloodGuard
from stream_app.core.messages import Outgoing
from stream_app.duties import Duties, PublishSample
from stream_app.intake import Intake
from stream_app.pace import LaneSettings
from stream_app.pipeline import Chunk, Outcome, Pipeline, Session
from stream_app.ports import Pending, StoreLostError

logger = logging.getLogger(__name__)

IDLE_S = 0.05
TURN_S = 0.005
RECLAIM_S = 0.5
HALT_S = 3.0
ASK_AGAIN_MS = 5_000

BackgroundDuty = Callable[[Session, int], Awaitable[Outcome | None]]


@dataclass(frozen=True, slots=True)
class LaneServices:
    """What a lane uses. ``publish`` returns when all messages are acknowledged.

    ``flood`` is shared by the lanes of a worker; ``halt`` is told when it is beyond its limit.
    ``background`` too: who holds it does lapses or re-scoring, so that a record waits behind the
    portion of one lane at most.
    """

    pipeline: Pipeline
    metrics: Metrics
    claim: Callable[[int], Awaitable[tuple[Session, tuple[Pending, ...]]]]
    rewind: Callable[[str, int, int], Awaitable[None]]
    publish: Callable[[list[Outgoing]], Awaitable[None]]
    publish_sample: PublishSample
    wall: Callable[[], int]
    flood: FloodGuard
    halt: Callable[[FloodError], Awaitable[None]]
    background: asyncio.Lock


class Lane:
    """The work on one partition, from its claim to its release.

    ``intake``: the chunks that were handed over and wait for their turn.
    """

    def __init__(self, partition: int, services: LaneServices, settings: LaneSettings) -> None:
        self.partition = partition
        self.session = Session(partition, 0, {}, 0)
        self._services = services
        self._settings = settings
        self.intake = Intake(settings.chunk_records)
        self._released = asyncio.Event()
        self._publishing: asyncio.Task[None] | None = None
        self._fresh: dict[str, int] = {}
        self._rewound: dict[str, tuple[int, int]] = {}
        self._ends: dict[str, int] = {}
        self._sizes: dict[int, int] = {}
        self._duties = Duties(services.pipeline, services.publish_sample, settings, services.wall())

    async def claim(self) -> None:
        """Own the partition from now on, and publish what an earlier owner could not.

        Raises StoreLostError if the store has forgotten positions that it knew before.
        """
        known = set(self.session.positions) - set(self._fresh)
        session, pending = await self._services.claim(self.partition)
        if known - set(session.positions):
            raise StoreLostError(
                f"partition {self.partition}: the store has lost the watermark it had; restore it"
            )
        session.positions = self._fresh | session.positions
        self.session = session
        counters = await self._services.pipeline.store.counters(self.partition)
        self._sizes = {
            int(name.removeprefix("segment:")): size
            for name, size in counters.items()
            if name.startswith("segment:")
        }
        self._duties.begin()
        await self._publish(list(pending))

    def begin(self, topic: str, offset: int) -> None:
        """Start a topic of which the store knows nothing; remembered until the first write."""
        self._fresh[topic] = self.session.positions[topic] = offset

    def durable(self, topic: str) -> int | None:
        """Next offset in the store; None where nothing is stored of the topic."""
        return None if topic in self._fresh else self.session.positions.get(topic)

    @property
    def publishing(self) -> bool:
        """Whether a write waits to be published."""
        return self._publishing is not None and not self._publishing.done()

    async def put(self, chunk: Chunk, end: int | None) -> None:
        """Hand over a chunk; waits while the lane is busy. ``end``: log end offset, if known."""
        if end is not None:
            self._ends[chunk.topic] = end
        await self.intake.put(chunk)

    def release(self) -> None:
        """Stop after the work in hand; whoever waits in `put` is let go."""
        self._released.set()
        self.intake.clear()

    async def run(self) -> None:
        """Work until released."""
        metrics = self._services.metrics
        metrics.partitions.inc()
        while not self._released.is_set():
            chunk = await self.intake.next(self._patience)
            if chunk:
                await self._chunk(chunk)
            await self._between()
        if self._publishing:
            await self._publishing
        await self._duties.finish()
        metrics.partitions.dec()
        metrics.forget_partition(self.partition, self._ends)

    @property
    def _patience(self) -> float:
        """How long to wait for records (s): shortly, while background work is to be done."""
        if not self._duties.pressing:
            return IDLE_S
        return TURN_S if self._services.background.locked() else 0

    async def _chunk(self, chunk: Chunk) -> None:
        if self._services.flood.flooded:
            return
        if chunk.topic not in self.session.positions:
            self.begin(chunk.topic, chunk.base)
        expected = self.session.positions[chunk.topic]
        if chunk.next <= expected:
            return
        if chunk.base > expected:
            await self._rewind(chunk.topic, expected)
            return
        self._rewound.pop(chunk.topic, None)
        part = chunk.since(expected)
        wall = self._services.wall()
        before = self.session.clock
        outcome = await self._services.pipeline.process(self.session, part, wall)
        records, waiting = len(part.records), self.intake.records
        self._duties.chunk(records, before, self.session.clock, waiting=waiting)
        if outcome.ok:
            self._fresh.pop(chunk.topic, None)
        await self._done(outcome, part)

    async def _rewind(self, topic: str, offset: int) -> None:
        """Ask for the missing records; what was read beyond them is dropped meanwhile."""
        asked, at = self._rewound.get(topic, (-1, 0))
        wall = self._services.wall()
        if asked != offset or wall - at > ASK_AGAIN_MS:
            logger.info("%s/%d: a gap, reading again from %d", topic, self.partition, offset)
            self._rewound[topic] = (offset, wall)
            await self._services.rewind(topic, self.partition, offset)

    async def _done(self, outcome: Outcome | None, chunk: Chunk | None = None) -> None:
        """Publish what was written; after a refused write take the partition anew."""
        if outcome is None:
            return
        if not outcome.ok:
            await self._reclaim(outcome)
            return
        self._services.metrics.observe(outcome)
        for name, change in outcome.counts.items():
            if name.startswith("segment:"):
                segment = int(name.removeprefix("segment:"))
                self._sizes[segment] = self._sizes.get(segment, 0) + change
        await self._publish(list(outcome.outbox), chunk)
        if chunk:
            await self._guard(outcome, chunk)

    async def _guard(self, outcome: Outcome, chunk: Chunk) -> None:
        """Halt the worker on a flood of dead letters, once those that are written are out."""
        flood = self._services.flood
        if flood.take(chunk.topic, self.partition, chunk.records, outcome.rejected):
            if self._publishing:
                await asyncio.wait({self._publishing}, timeout=HALT_S)
            await self._services.halt(flood.error())
            raise flood.error()

    async def _reclaim(self, outcome: Outcome) -> None:
        """Somebody else wrote: wait to be released; still the owner by then, claim again."""
        logger.warning(
            "partition %d: %s, claiming it again", self.partition, outcome.applied.status
        )
        try:
            await asyncio.wait_for(self._released.wait(), RECLAIM_S)
        except TimeoutError:
            await self.claim()
            self._rewound.clear()
            for topic, position in self.session.positions.items():
                await self._rewind(topic, position)

    async def _publish(self, entries: list[Pending], chunk: Chunk | None = None) -> None:
        """Publish in order, one write at a time, while the next chunk is being processed."""
        if self._publishing:
            await self._publishing
        sending = self._send(entries, chunk)
        self._publishing = asyncio.create_task(sending, name=f"lane-{self.partition}")

    async def _send(self, entries: list[Pending], chunk: Chunk | None) -> None:
        if entries:
            await self._services.publish([entry.message for entry in entries])
            store = self._services.pipeline.store
            await store.trim(self.partition, [entry.id for entry in entries])
        if chunk:
            published = [record.timestamp for record in chunk.records]
            self._services.metrics.observe_latency(published, self._services.wall())

    async def _between(self) -> None:
        """One bounded portion of each background duty."""
        if self._publishing and self._publishing.done():
            self._publishing.result()
        wall = self._services.wall()
        await self._portion(self._duties.lapse, wall)
        await self._portion(self._duties.rescore, wall)
        await self._duties.sample(self.session, wall)
        self._services.metrics.observe_partition(self.session, self._ends, self._sizes)

    async def _portion(self, duty: BackgroundDuty, wall: int) -> None:
        """Judge some customers without a record, unless another lane does so now."""
        background = self._services.background
        if not background.locked():
            async with background:
                outcome = await duty(self.session, wall)
            await self._done(outcome)
