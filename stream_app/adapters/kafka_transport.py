"""Chunks through Faust: its aiokafka driver, delivering up to N records of a partition at once.

Registered as URL scheme ``segkafka://``. One Faust message per fetch, with the chunks of all
partitions in it, spares the framework's cost per event; offsets in Kafka become advisory. A
`PositionSource` (a worker's store) says where to read; every chunk says which offsets it covers,
``[base, next)``, so that a gap is seen and re-read.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CorruptRecordException, IllegalStateError
from faust.transport.consumer import RecordMap
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from stream_app.adapters import kafka_batches  # noqa: F401 - any header name can be read
from stream_app.adapters.kafka_app import ChunkApp, PositionSource
from stream_app.adapters.kafka_group import heed_errors
from stream_app.adapters.kafka_starts import is_behind, overrun, position_of, starts
from stream_app.pipeline import Chunk
from stream_app.session import round_robin

SCHEME = "segkafka"
BUFFER_WAIT_S = 0.05
REJOIN_WAIT_S = 1.0
CREATE_TIME = 0
BUSY_WAIT_MS, BEHIND_WAIT_MS = 100, 1_000


class ChunkThread(driver.AIOKafkaConsumerThread):
    """The consumer's thread: fetches records and notes the offsets every fetch covers."""

    def __post_init__(self) -> None:
        """Set up; called by the base class."""
        super().__post_init__()
        self._delivered: dict[TP, int] = {}

    @faust.Service.task
    async def _heed_group_errors(self) -> None:
        while not self.should_stop:
            await self.sleep(REJOIN_WAIT_S)
            if self._consumer is not None:
                heed_errors(self._consumer, cast("ChunkApp", self.app).failed)

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = cast("ChunkApp", self.app).fetch_wait_ms  # noqa: SLF001
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        # Range gives one member the same partition number of every topic: purchases and profiles
        # of a customer meet in one place.
        consumer._partition_assignment_strategy = [RangePartitionAssignor]  # noqa: SLF001
        return consumer

    async def _seek_wait(self, consumer: AIOKafkaConsumer, partitions: Mapping[TP, int]) -> None:
        self._delivered.update(partitions)
        await super()._seek_wait(consumer, partitions)

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109
        max_records: int | None = None,
    ) -> RecordMap:
        app = cast("ChunkApp", self.app)
        fetcher: Any = consumer._fetcher  # noqa: SLF001
        try:
            records = await super()._fetch_records(
                consumer, active_partitions, timeout, max_records
            )
        except CorruptRecordException as error:
            app.failed(error)
            raise
        self._let_hold(consumer)  # now, for the next fetch goes out as soon as this one is taken
        fetched = fetcher._records  # noqa: SLF001
        for tp in filter(fetched.__contains__, records):  # else whoever has more comes first again
            fetched.move_to_end(tp)
        # Until it flows, a partition's position is not yet the one that the source has chosen.
        known = active_partitions & set(self._delivered) if self.consumer.flow_active else set[TP]()
        covered = [self._covered(consumer, tp, records.get(tp, [])) for tp in {*records, *known}]
        found = {TP(chunk.topic, chunk.partition): chunk for chunk in covered if chunk}
        if gone := await overrun(consumer, found):
            app.source.overrun(*gone)
        return {tp: list(chunk.pieces(app.chunk_records)) for tp, chunk in found.items()}

    def _let_hold(self, consumer: AIOKafkaConsumer) -> None:
        """Say how long the broker may hold the fetches that follow.

        One that does not answer when a record comes is asked in vain all the time. And some stop
        looking when the time is over: given little, they hand out the less the more there is.
        """
        app = cast("ChunkApp", self.app)
        fetcher: Any = consumer._fetcher  # noqa: SLF001
        wanted = consumer.assignment() - set(fetcher._records)  # noqa: SLF001 - those are here
        wait = BUSY_WAIT_MS if app.source.is_busy() else 0
        if any(is_behind(consumer, tp) for tp in wanted):
            wait = BEHIND_WAIT_MS
        fetcher._fetch_max_wait_ms = max(wait, app.fetch_wait_ms)  # noqa: SLF001

    def _covered(
        self, consumer: AIOKafkaConsumer, tp: TP, records: list[ConsumerRecord]
    ) -> Chunk | None:
        """Cover all since the last delivery, be there records or only what is never delivered."""
        position = position_of(consumer, tp)
        base = self._delivered.get(tp, records[0].offset if records else position)
        if position is None or base is None or position <= base:
            return None
        self._delivered[tp] = position
        return Chunk(tp.topic, tp.partition, base, position, records)

    async def earliest_and_committed(self, tp: TP) -> tuple[int, int | None]:
        """First offset the broker still has, and the group's committed offset."""
        return cast("tuple[int, int | None]", await self.call_thread(self._edges, tp))

    async def starts(self, tps: Iterable[TP]) -> dict[TP, int]:
        """First offsets the broker still has; none if it does not say so in time."""
        return dict(await self.call_thread(starts, self._ensure_consumer(), list(tps)))

    async def _edges(self, tp: TP) -> tuple[int, int | None]:
        consumer = self._ensure_consumer()
        earliest = await consumer.beginning_offsets([tp])
        return earliest[tp], await consumer.committed(tp)


class ChunkConsumer(driver.Consumer):
    """Faust's consumer with chunks for messages and positions from a `PositionSource`."""

    _thread: ChunkThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._buffer_dropped = asyncio.Event()

    @property
    def _source(self) -> PositionSource:
        return cast("ChunkApp", self.app).source

    def _new_consumer_thread(self) -> ChunkThread:
        return ChunkThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """Yield what a fetch brought as one message, unless the flow has stopped meanwhile."""
        fetched, active = await self._wait_next_records(timeout)
        wanted = {
            tp: chunks
            for tp, chunks in (fetched or {}).items()
            if active is None or tp in active or tp in self._buffered_partitions
        }
        if wanted and self.flow_active and not self.should_stop:
            message = self._message([chunk for _, chunk in round_robin(wanted)])
            yield message.tp, message

    def _message(self, chunks: Sequence[Chunk]) -> ConsumerMessage:
        """Wrap chunks; to the framework it is a message of the first one's partition."""
        first, records = chunks[0], sum(len(chunk.records) for chunk in chunks)
        tp = TP(first.topic, first.partition)
        newest = first.records[-1].timestamp / 1000.0 if first.records else 0.0
        return ConsumerMessage(
            tp.topic, tp.partition, first.next - 1, newest, CREATE_TIME, [], None,
            cast("bytes", chunks), None, 0, records, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:  # noqa: ASYNC109
        """Fetch of partitions that the source has room for.

        The framework's own buffer, shared by all partitions, would not do: while it is never quite
        empty, it lets some of them have nothing for ever.
        """
        wanted = self.assignment() if active_partitions is None else active_partitions
        room = {tp for tp in wanted if self._source.has_room(tp)}
        if not room:
            await asyncio.sleep(BUFFER_WAIT_S)
            return {}
        # A fetch waits only for the partitions it began with.
        return await super()._getmany(room, timeout if room == wanted else BUFFER_WAIT_S)

    async def _wait_next_records(self, timeout: float) -> tuple[RecordMap | None, set[TP] | None]:  # noqa: ASYNC109
        """Like the base class, but back at once when a full buffer drains (it sleeps a second)."""
        if self.flow_active and not self.app.client_only and not self._get_active_partitions():
            self._buffer_dropped.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._buffer_dropped.wait(), BUFFER_WAIT_S)
            return {}, None
        return await super()._wait_next_records(timeout)

    def on_buffer_drop(self, tp: TP) -> None:
        """Wake the fetcher."""
        super().on_buffer_drop(tp)
        self._buffer_dropped.set()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every assigned partition to where the source says its state ends."""
        generation = self.app.consumer_generation_id
        known = await self._source.positions(self.assignment(), generation)
        read = {tp: stored for tp, stored in known.items() if stored is not None}
        firsts = await self._thread.starts(read)
        for tp in (tp for tp, first in firsts.items() if first > read[tp]):
            self._source.overrun(tp, read[tp], firsts[tp])
        positions = {}
        for tp, stored in known.items():
            if stored is None:
                earliest, committed = await self._thread.earliest_and_committed(tp)
                positions[tp] = await self._source.start(tp, committed, earliest)
            else:
                positions[tp] = stored
        if positions:
            await self.seek_wait(positions)
        return positions

    def end_offset(self, tp: TP) -> int | None:
        """Log end as of the last fetch; None before the first one or after a revoke."""
        with suppress(IllegalStateError, AssertionError, KeyError):
            return cast("int | None", self.highwater(tp))
        return None

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let go before the framework waits for anything."""
        self._source.release(revoked)
        await super().on_partitions_revoked(revoked)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Ignore gaps between messages: chunks say themselves what they cover."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in self.assignment() if not topics or tp in topics or tp.topic in topics)

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        self._acked.clear()
        self._acked_index.clear()
        durable = {tp: self._source.durable(tp) for tp in tps}
        return {
            tp: at for tp, at in durable.items() if at is not None and self._should_commit(tp, at)
        }


class ChunkTransport(driver.Transport):
    """Transport of ``segkafka://`` URLs."""

    Consumer = ChunkConsumer


TRANSPORTS.aliases[SCHEME] = f"{__name__}:ChunkTransport"
