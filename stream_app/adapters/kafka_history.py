"""Purchases and profiles read once more, partition by partition, in the order they came in.

Of one partition the two topics are merged by the time of publication: an erasure, which is a
record of ``profiles``, must meet the purchases before it and not those after it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from stream_app.adapters import kafka_batches  # noqa: F401 - any header name can be read
from stream_app.adapters.kafka_topics import partitions_of
from stream_app.config import ConfigError, Settings
from stream_app.session import Chunk

FETCH_MS = 200
QUIET_S = 2.0
SILENCE_S = 30.0


class History:
    """A reader of all partitions of purchases and profiles, from given positions to limits."""

    def __init__(
        self, consumer: AIOKafkaConsumer, tps: list[TopicPartition], chunk_records: int
    ) -> None:
        self._consumer = consumer
        self._size = chunk_records
        self.tps = tps
        self._waiting: dict[TopicPartition, deque[ConsumerRecord]] = {}
        self._done: dict[TopicPartition, int] = {}
        self._read: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}

    async def earliest(self) -> dict[TopicPartition, int]:
        """Ask for the first offset of each partition."""
        return dict(await self._consumer.beginning_offsets(self.tps))

    async def end(self, tp: TopicPartition) -> int:
        """Tell the log end as of the first question, as a fetch says it (a list may lag behind)."""
        while tp not in self._ends:
            (first,) = (await self._consumer.beginning_offsets([tp])).values()
            self._consumer.seek(tp, first)
            await self._consumer.getmany(tp, timeout_ms=FETCH_MS, max_records=1)
            end = self._consumer.highwater(tp)
            if end is not None:
                self._ends[tp] = end
        return self._ends[tp]

    async def committed(self, tp: TopicPartition) -> int | None:
        """Ask for the group's commit."""
        found: int | None = await self._consumer.committed(tp)
        return found

    async def read(
        self, start: Mapping[TopicPartition, int], limits: Mapping[TopicPartition, int]
    ) -> AsyncIterator[Chunk]:
        """Yield chunks that together cover ``[start, limit)`` of every partition.

        A log that ends before its limit is left at its end once nothing has come for two seconds.
        Raises ConfigError when nothing comes for half a minute, or Kafka deletes what was wanted.
        """
        self._done = {tp: start[tp] for tp in self.tps}
        self._read = dict(self._done)
        self._waiting = {tp: deque() for tp in self.tps}
        for tp, at in self._done.items():
            self._consumer.seek(tp, at)
        limits = dict(limits)
        heard = asyncio.get_running_loop().time()
        while open_ := [tp for tp in self.tps if self._done[tp] < limits[tp]]:
            progress = await self._fetch(open_, limits)
            for partition in sorted({tp.partition for tp in open_}):
                while chunk := self._next(partition, limits):
                    progress = True
                    yield chunk
            now = asyncio.get_running_loop().time()
            heard = now if progress else heard
            if now - heard > QUIET_S:
                limits |= {tp: self._done[tp] for tp in open_ if self._ended(tp)}
            if now - heard > SILENCE_S:
                waits = ", ".join(f"{tp.topic}/{tp.partition} at {self._done[tp]}" for tp in open_)
                raise ConfigError(f"KAFKA_BROKER: no records come of {waits}; run it again")

    def _ended(self, tp: TopicPartition) -> bool:
        """Tell whether the log ends where reading has got to, by the last fetch."""
        end = self._consumer.highwater(tp)
        return not self._waiting[tp] and end is not None and self._done[tp] >= end

    async def _fetch(
        self, open_: Iterable[TopicPartition], limits: Mapping[TopicPartition, int]
    ) -> bool:
        """Fill what is empty; tell whether anything came."""
        empty = [tp for tp in open_ if not self._waiting[tp] and self._read[tp] < limits[tp]]
        if not empty:
            return False
        try:
            fetched = await self._consumer.getmany(*empty, timeout_ms=FETCH_MS)
        except OffsetOutOfRangeError as error:
            raise ConfigError(
                f"Kafka has deleted records that were still to be read ({error}): start over with "
                "`segmenter rebuild --anew`"
            ) from None
        for tp in empty:
            records = fetched.get(tp, ())
            self._waiting[tp].extend(r for r in records if r.offset < limits[tp])
            self._read[tp] = min(limits[tp], await self._consumer.position(tp))
        return bool(fetched)

    def _next(self, partition: int, limits: Mapping[TopicPartition, int]) -> Chunk | None:
        """Cut the next chunk of a partition; None until more has been read."""
        tps = [tp for tp in self.tps if tp.partition == partition]
        for tp in tps:
            if not self._waiting[tp] and self._done[tp] < self._read[tp]:
                return self._chunk(tp, [])  # nothing but holes
        if any(not self._waiting[tp] and self._read[tp] < limits[tp] for tp in tps):
            return None
        heads = {tp: self._waiting[tp][0].timestamp for tp in tps if self._waiting[tp]}
        if not heads:
            return None
        first = min(heads, key=heads.__getitem__)
        until = min((at for tp, at in heads.items() if tp != first), default=None)
        waiting, records = self._waiting[first], list[ConsumerRecord]()
        while waiting and len(records) < self._size:
            if until is not None and waiting[0].timestamp > until:
                break
            records.append(waiting.popleft())
        return self._chunk(first, records)

    def _chunk(self, tp: TopicPartition, records: list[ConsumerRecord]) -> Chunk:
        base = self._done[tp]
        following = records[-1].offset + 1 if self._waiting[tp] else self._read[tp]
        self._done[tp] = following
        return Chunk(tp.topic, tp.partition, base, following, records)


@asynccontextmanager
async def history(settings: Settings) -> AsyncIterator[History]:
    """Open the history for a ``with`` block; ConfigError if Kafka does not answer.

    Nothing is committed and the group is not joined: it is only asked for its commits.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_broker,
        group_id=settings.group,
        auto_offset_reset="none",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
        topics = (settings.topic_purchases, settings.topic_profiles)
        tps = [tp for topic in topics for tp in await partitions_of(consumer, topic)]
        consumer.assign(tps)
        yield History(consumer, tps, settings.chunk_records)
    except (KafkaError, OSError, TimeoutError) as error:
        raise ConfigError(
            f"KAFKA_BROKER: no broker answers at {settings.kafka_broker} ({error!r})"
        ) from None
    finally:
        await consumer.stop()
