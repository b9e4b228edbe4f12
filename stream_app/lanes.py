"""All lanes of a worker: which partitions are owned, and where each is to be read from."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

from faust.types import TP

from stream_app.config import ConfigError
from stream_app.lane import Lane
from stream_app.pipeline import Chunk
from stream_app.ports import GapError, StoreLostError
from stream_app.watchdog import Place

logger = logging.getLogger(__name__)
FINISH_S = 3.0
CLAIM_S = 30.0
BUSY_RECORDS = 512


class Lanes:
    """PositionSource of the worker: one lane per partition, for all source topics together.

    ``owned``: how many partitions are ours, or about to be.
    """

    def __init__(
        self,
        new_lane: Callable[[int], Lane],
        topics: Iterable[str],
        fail: Callable[[BaseException], NoReturn],
        partitions: int | None = None,
    ) -> None:
        self._new_lane = new_lane
        self._topics = frozenset(topics)
        self._fail = fail
        self._partitions = partitions
        self._lanes: dict[int, Lane] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._finishing: set[asyncio.Task[None]] = set()
        self._finished: dict[int, Lane] = {}
        self._generation = -1
        self.owned = 0

    async def positions(self, assigned: set[TP], generation: int) -> Mapping[TP, int | None]:
        """Claim what is newly ours, once per generation of the group; tell where to read."""
        wanted = {tp.partition for tp in assigned if tp.topic in self._topics}
        self._check_count(wanted)
        self.owned = len(wanted)
        if generation != self._generation:
            self._generation = generation
            self._stop(set(self._lanes))
        if self._finishing:
            await asyncio.wait(self._finishing, timeout=FINISH_S)
        try:
            async with asyncio.timeout(CLAIM_S):
                await asyncio.gather(*(self._begin(p) for p in sorted(wanted - set(self._lanes))))
        except TimeoutError:
            self._fail(TimeoutError(f"the store did not hand over partitions in {CLAIM_S:.0f} s"))
        return {
            tp: self._lanes[tp.partition].session.positions.get(tp.topic)
            for tp in assigned
            if tp.topic in self._topics
        }

    def _check_count(self, wanted: set[int]) -> None:
        """Refuse partitions that were added while this process ran: customers have moved there."""
        if self._partitions is not None and max(wanted, default=0) >= self._partitions:
            self._fail(
                ConfigError(
                    f"SEGMENTER_PARTITIONS is {self._partitions}, but the topics have partition "
                    f"{max(wanted)}: partitions were added, and new records of stored customers may"
                    " be in another one. Set it to the new number, the same for purchases and "
                    "profiles, and count everything anew with `segmenter rebuild`"
                )
            )

    async def _begin(self, partition: int) -> None:
        lane = self._new_lane(partition)
        await lane.claim()
        self._lanes[partition] = lane
        task = asyncio.create_task(lane.run(), name=f"lane-{partition}")
        task.add_done_callback(self._ended)
        self._tasks[partition] = task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._finishing.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    async def start(self, tp: TP, committed: int | None, earliest: int) -> int:
        """Begin a partition the store does not know: only if nobody has ever read it."""
        if committed:
            self._fail(
                StoreLostError(
                    f"{tp.topic}/{tp.partition}: the consumer group has read up to {committed}, but"
                    " the store has no watermark for it: it was emptied, or it is another database."
                    " Restore it, correct REDIS_URL, or count everything that Kafka still has anew "
                    "with `segmenter rebuild`"
                )
            )
        lane = self._lanes.get(tp.partition)
        if lane:
            lane.begin(tp.topic, earliest)
        return earliest

    def overrun(self, tp: TP, stored: int, earliest: int) -> None:
        """Refuse to go on where Kafka has deleted records that are not counted yet."""
        if tp.topic in self._topics:
            self._fail(
                GapError(
                    f"{tp.topic}/{tp.partition}: the store is at offset {stored}, but Kafka has "
                    f"deleted everything before {earliest}: {earliest - stored} offsets are gone "
                    "uncounted. Accept that and go on after them with `segmenter skip-gap`, or "
                    "count everything that Kafka still has anew with `segmenter rebuild`. And make "
                    "the topic's retention longer than any outage"
                )
            )

    def durable(self, tp: TP) -> int | None:
        """Return the watermark."""
        lane = self._lanes.get(tp.partition) or self._finished.get(tp.partition)
        return lane.durable(tp.topic) if lane else None

    def position(self, tp: TP) -> int | None:
        """Return the next offset to be applied; None while the partition is not claimed."""
        lane = self._lanes.get(tp.partition)
        return lane.session.positions.get(tp.topic) if lane else None

    def has_room(self, tp: TP) -> bool:
        """Tell whether the partition's lane can take another fetch without making it wait."""
        lane = self._lanes.get(tp.partition)
        return lane is None or lane.intake.has_room

    def is_busy(self) -> bool:
        """Whether the lanes have work for a tenth of a second or so."""
        return sum(lane.intake.records for lane in list(self._lanes.values())) >= BUSY_RECORDS

    def outboxes(self) -> list[Place]:
        """Tell where writes wait to be published."""
        return [
            Place(f"outbox/{p}", lane.session.sent, lane.session.sent + 1, "writes", p)
            for p, lane in list(self._lanes.items())
            if lane.publishing
        ]

    def release(self, revoked: set[TP]) -> None:
        """Let the lanes of revoked partitions finish what they have in hand."""
        self._stop({tp.partition for tp in revoked} & set(self._lanes))

    def _stop(self, partitions: set[int]) -> None:
        for partition in partitions:
            self._lanes.pop(partition).release()
            self._finishing.add(self._tasks.pop(partition))

    async def put(self, chunk: Chunk, end: int | None) -> None:
        """Hand a chunk to its lane; what belongs to no lane (any more) is dropped."""
        lane = self._lanes.get(chunk.partition)
        if lane:
            await lane.put(chunk, end)

    async def finish(self) -> None:
        """Release everything and wait for the work in hand; what is durable can still be asked."""
        self._finished = dict(self._lanes)
        self._stop(set(self._lanes))
        if self._finishing:
            await asyncio.wait(self._finishing, timeout=FINISH_S)
