"""Records that Kafka deleted before they were counted: found, written down, and passed over.

Each gap becomes a dead letter without a record: its place is the first offset that is missing, and
its detail says up to where. The letter and the new watermark are one atomic write.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.structs import TopicPartition

from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.redis_store import RedisStore
from stream_app.contracts import RejectReason
from stream_app.core.events import Rejected
from stream_app.core.messages import Headers, Outgoing, dead_letter_message
from stream_app.ports import ApplyStatus, Batch, Pending


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets ``[start, end)`` of one partition, deleted by Kafka and not counted."""

    topic: str
    partition: int
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}: offsets {self.start} to {self.end - 1}"


@dataclass(frozen=True, slots=True)
class _Nothing:
    """What stands for a record that is gone."""

    offset: int
    timestamp: int
    key: None = None
    value: None = None
    headers: Headers = ()


def gaps(
    positions: Mapping[TopicPartition, int], earliest: Mapping[TopicPartition, int]
) -> list[Gap]:
    """Find where Kafka begins beyond the offset that is to be read next.

    >>> here = TopicPartition("purchases", 0)
    >>> print(*gaps({here: 7}, {here: 9}))
    purchases/0: offsets 7 to 8
    >>> gaps({here: 7}, {here: 7})
    []
    """
    return [
        Gap(tp.topic, tp.partition, at, earliest[tp])
        for tp, at in sorted(positions.items())
        if earliest.get(tp, at) > at
    ]


def letter_of(gap: Gap, dead_letters: str, wall: int) -> Outgoing:
    """Write a gap down as a dead letter; ``wall`` is the present in ms."""
    detail = f"offsets {gap.start} to {gap.end - 1} were deleted by Kafka before they were counted"
    why = Rejected(RejectReason.GAP, detail)
    origin = (gap.topic, gap.partition)
    return dead_letter_message(dead_letters, _Nothing(gap.start, wall), why, origin, wall)


async def skip(
    store: RedisStore, publisher: KafkaPublisher, gap: Gap, letter: Outgoing, owner: str
) -> bool:
    """Go on after a gap; tell whether it was still there. A running worker is fenced."""
    claim = await store.claim(gap.partition, owner)
    entry = Pending(f"{claim.epoch}-1", letter)
    batch = Batch(
        id=f"{claim.epoch}-1",
        topic=gap.topic,
        base=gap.start,
        next=gap.end,
        clock=claim.clock,
        outbox=[entry],
        counts={"gap": gap.end - gap.start},
    )
    applied = await store.apply(gap.partition, claim.epoch, batch)
    done = applied.status in {ApplyStatus.OK, ApplyStatus.OK_DUP}
    waiting = [*claim.pending, *([entry] if done else [])]
    if waiting:
        await publisher.publish([each.message for each in waiting])
        await store.trim(gap.partition, [each.id for each in waiting])
    return done
