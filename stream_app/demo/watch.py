"""Watches a running system: its counters, and every segment change it publishes."""

import asyncio
import math
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer

from stream_app.adapters import kafka_batches  # noqa: F401 - any header name can be read
from stream_app.adapters.kafka_topics import partitions_of
from stream_app.adapters.queries import Overview, Queries
from stream_app.config import Settings
from stream_app.contracts import ModelSnapshot, Reason, SegmentChanged, SegmentRef
from stream_app.ports import StoreUnavailableError

RECENT_MOVES = 200
HISTORY_POINTS = 240
POLL_S = 0.25
FETCH_MS = 200


@dataclass(frozen=True, slots=True)
class Link:
    """One move in a customer's chain."""

    id: str
    epoch: int
    previous: SegmentRef | None
    current: SegmentRef


@dataclass(slots=True)
class Seen:
    """What has been seen so far. Latencies in seconds, times in ms of event time."""

    overview: Overview = field(default_factory=lambda: Overview({}, {}, 0))
    model: ModelSnapshot | None = None
    models: dict[int, ModelSnapshot] = field(default_factory=dict)
    reasons: Counter[Reason] = field(default_factory=Counter)
    chains: dict[str, dict[int, Link]] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    recent: deque[SegmentChanged] = field(default_factory=lambda: deque(maxlen=RECENT_MOVES))
    history: deque[tuple[int, dict[int, int]]] = field(
        default_factory=lambda: deque(maxlen=HISTORY_POINTS)
    )
    repeated: int = 0

    def take(self, change: SegmentChanged, arrived: int) -> None:
        """Note a change that arrived at ``arrived`` (ms, the broker's time of the message)."""
        chain = self.chains.setdefault(change.customer_id, {})
        known = chain.get(change.sequence)
        if known and known.epoch >= change.epoch:
            self.repeated += 1
            return
        chain[change.sequence] = Link(change.id, change.epoch, change.previous, change.current)
        self.reasons[change.reason] += 1
        self.recent.append(change)
        if change.source.published_at:
            self.latencies.append(arrived / 1000 - change.source.published_at.timestamp())

    def forget(self, customer_id: str) -> None:
        """Note an erasure: the customer's chain begins anew."""
        self.chains.pop(customer_id, None)

    def moves(self) -> int:
        """Count the moves of customers that are not erased."""
        return sum(len(chain) for chain in self.chains.values())

    def latency(self, quantile: float, last: int = 0) -> float:
        """Quantile of the latencies, of the ``last`` ones if given; nan without any."""
        values = sorted(self.latencies[-last:] if last else self.latencies)
        return values[min(len(values) - 1, int(quantile * len(values)))] if values else math.nan


class Watch:
    """Follows the changes topic and polls the store."""

    def __init__(self, settings: Settings, queries: Queries) -> None:
        self._settings = settings
        self._queries = queries
        self.seen = Seen()

    async def follow(self) -> None:
        """Read every change from the beginning, until cancelled."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_broker, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            topic = self._settings.topic_changes
            # Nothing announces a new topic: it must be polled for.
            while not (partitions := await partitions_of(consumer, topic)):  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
            consumer.assign(partitions)
            while True:
                for records in (await consumer.getmany(timeout_ms=FETCH_MS)).values():
                    for record in records:
                        self._take(record.key.decode(), record.value, record.timestamp)
        finally:
            await consumer.stop()

    def _take(self, customer_id: str, value: bytes | None, arrived: int) -> None:
        if value is None:
            self.seen.forget(customer_id)
        else:
            self.seen.take(SegmentChanged.model_validate_json(value), arrived)

    async def poll(self) -> None:
        """Read counters and new models, until cancelled."""
        while True:
            with suppress(StoreUnavailableError):
                await self.look()
            await asyncio.sleep(POLL_S)

    async def look(self) -> None:
        """Read counters and the newest model once."""
        seen = self.seen
        seen.overview = await self._queries.overview()
        if not seen.history or seen.history[-1][0] < seen.overview.clock:
            seen.history.append((seen.overview.clock, seen.overview.sizes))
        seen.model = await self._queries.model()
        if seen.model:
            seen.models[seen.model.version] = seen.model
