"""All lanes of a worker: which partitions are owned, and where each is to be read from."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

from faust.types import TP

from stream_app.lane import Lane
from stream_app.pipeline import Chunk
from stream_app.ports import StoreLostError

logger = logging.getLogger(__name__)
FINISH_S = 3.0
CLAIM_S = 30.0


class Lanes:
    """PositionSource of the worker: one lane per partition, for all source topics together."""

    def __init__(
        self,
        new_lane: Callable[[int], Lane],
        topics: Iterable[str],
        fail: Callable[[BaseException], NoReturn],
    ) -> None:
        self._new_lane = new_lane
        self._topics = frozenset(topics)
        self._fail = fail
        self._lanes: dict[int, Lane] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._finishing: set[asyncio.Task[None]] = set()
        self._finished: dict[int, Lane] = {}
        self._generation = -1

    async def positions(self, assigned: set[TP], generation: int) -> Mapping[TP, int | None]:
        """Claim what is newly ours, once per generation of the group; tell where to read."""
        wanted = {tp.partition for tp in assigned if tp.topic in self._topics}
        if generation != self._generation:
            self._generation = generation
            self._stop(set(self._lanes))
        if self._finishing:
            await asyncio.wait(self._finishing, timeout=FINISH_S)
        try:
            async with asyncio.timeout(CLAIM_S):
                await asyncio.gather(*(self._begin(p) for p in sorted(wanted - set(self._lanes))))
        except TimeoutError as error:
            self._fail(error)
        return {
            tp: self._lanes[tp.partition].session.positions.get(tp.topic)
            for tp in assigned
            if tp.topic in self._topics
        }

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
                    " Restore it (REDIS_URL), or set a new SEGMENTER_GROUP to read everything again"
                )
            )
        lane = self._lanes.get(tp.partition)
        if lane:
            lane.begin(tp.topic, earliest)
        return earliest

    def durable(self, tp: TP) -> int | None:
        """Return the watermark."""
        lane = self._lanes.get(tp.partition) or self._finished.get(tp.partition)
        return lane.durable(tp.topic) if lane else None

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
