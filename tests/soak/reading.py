"""All there is to see from outside: topics by a plain consumer, the store without our code."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition
from redis import Redis

READ = 1_000
POLL_MS = 500
SILENT_POLLS = 60
STORED = (
    *("orders", "first", "last", "spend", "discount", "lines", "refunds", "refunded"),
    *("d_orders", "d_spend", "categories", "sketch", "channels", "ring", "profile"),
    *("segment", "segment_name", "sequence", "model", "entered", "due"),
)


class Found(NamedTuple):
    """A record and its place."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset: no other record has the same."""
        return self.topic, self.partition, self.offset


@dataclass
class Shelf:
    """What the store holds of one partition; ``customers``: the decoded JSON of each."""

    watermark: dict[str, str]
    customers: dict[str, dict[str, Any]]
    due: dict[str, float]
    outbox: int


@dataclass
class Evidence:
    """All there is to compare. ``model``: the newest snapshot, None if there is none."""

    purchases: Iterable[Found]
    profiles: Iterable[Found]
    changes: Iterable[Found]
    letters: Iterable[Found]
    shelves: dict[int, Shelf]
    model: dict[str, Any] | None


class UnreadableError(Exception):
    """A topic stopped answering before its end was reached."""


def read_topic(broker: str, topic: str) -> Iterator[Found]:
    """Yield every record from the beginning to the end of now, in order within a partition."""
    consumer = KafkaConsumer(
        bootstrap_servers=broker.split(","),
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    try:
        places = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        silent = 0
        while any(consumer.position(place) < ends[place] for place in places):
            batches = consumer.poll(POLL_MS, max_records=5_000)
            silent = 0 if batches else silent + 1
            if silent == SILENT_POLLS:
                raise UnreadableError(f"{topic}: no more records, and its end is not reached")
            for place, records in batches.items():
                for r in records:
                    yield Found(topic, place.partition, r.offset, r.key, r.value, r.headers)
    finally:
        consumer.close()


def read_store(
    url: str, namespace: str, topic: str, partitions: int
) -> tuple[dict[int, Shelf], dict[str, Any] | None]:
    """Read every partition's keys, and the newest model."""
    with Redis.from_url(url, decode_responses=True) as client:
        shelves = {p: _shelf(client, f"{namespace}:{{{topic}:{p}}}") for p in range(partitions)}
        latest: Any = client.get(f"{namespace}:{{models}}:latest")
        text: Any = client.hget(f"{namespace}:{{models}}:history", latest) if latest else None
    return shelves, None if text is None else json.loads(text)


def named(stored: bytes) -> dict[str, Any]:
    """Give the stored values their names; what is empty is left out."""
    row: list[Any] = (json.loads if stored.startswith(b"[") else msgspec.msgpack.decode)(stored)
    state = {name: value for name, value in zip(STORED, row, strict=True) if value}
    if "profile" in state:
        state["profile"] = {k: v for k, v in state["profile"].items() if v not in (None, [], {})}
    return state


def _shelf(client: Any, prefix: str) -> Shelf:
    mark = f"{prefix}:c1:"
    keys = sorted(client.scan_iter(match=f"{mark}*", count=READ))
    customers: dict[str, dict[str, Any]] = {}
    for start in range(0, len(keys), READ):
        part = keys[start : start + READ]
        values = client.execute_command("MGET", *part, NEVER_DECODE=True)
        customers |= {k.removeprefix(mark): named(v) for k, v in zip(part, values, strict=True)}
    return Shelf(
        watermark=client.hgetall(f"{prefix}:wm"),
        customers=customers,
        due=dict(client.zrange(f"{prefix}:due", 0, -1, withscores=True)),
        outbox=client.xlen(f"{prefix}:out"),
    )
