"""What leaves for Kafka: segment changes (CloudEvents 1.0, binary mode), dead letters, tombstones.

Binary mode: the event's JSON is the value, its attributes are ``ce_*`` headers.
Source: CloudEvents 1.0 Kafka protocol binding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from stream_app.contracts import DeadLetter, SegmentChanged
from stream_app.core.events import Record, Rejected, to_datetime

Headers = tuple[tuple[str, bytes | None], ...]
EVENT_TYPE = "segmenter.segment-changed.v1"
FIXED: Headers = (
    ("ce_specversion", b"1.0"),
    ("ce_type", EVENT_TYPE.encode()),
    ("content-type", b"application/json"),
)
MAX_DEAD_LETTER_BYTES = 960_000
HEADER_BYTES = 10  # at most, around a header's name and value


class Outgoing(NamedTuple):
    """A message for Kafka, kept in the outbox until the broker has it. Null value: tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def change_message(topic: str, change: SegmentChanged) -> Outgoing:
    """Encode a segment change (of `plain` type), keyed by its customer."""
    key = change.customer_id.encode()
    return Outgoing(topic, key, msgspec.json.encode(change), change_headers(change))


def change_headers(change: SegmentChanged) -> Headers:
    """Write the attributes of a segment change."""
    source = change.source
    return (
        *FIXED,
        ("ce_id", change.id.encode()),
        ("ce_source", f"/segmenter/{source.topic}/{source.partition}".encode()),
        ("ce_subject", change.customer_id.encode()),
        ("ce_time", change.occurred_at.isoformat().encode()),
    )


def erasure_message(topic: str, customer_id: str) -> Outgoing:
    """Tombstone: consumers and compaction forget the customer."""
    return Outgoing(topic, customer_id.encode(), None)


def dead_letter_message(
    topic: str, record: Record, rejected: Rejected, origin: tuple[str, int], wall: int
) -> Outgoing:
    """Wrap a refused record: its bytes and headers untouched, ``dlq-*`` headers added.

    ``origin`` is (topic, partition); ``wall`` the present in ms. A record too large to be sent on
    is cut, its value first, and ``dlq-truncated`` gives the full size of its value in bytes.
    """
    letter = DeadLetter(
        reason=rejected.reason,
        detail=rejected.detail,
        topic=origin[0],
        partition=origin[1],
        offset=record.offset,
        failed_at=to_datetime(wall),
    )
    facts = {f"dlq-{k}": v for k, v in letter.model_dump(mode="json").items()}
    facts = {k.replace("_", "-"): str(v) for k, v in facts.items()}
    key, value, headers = _fitting(record)
    if (key, value, headers) != (record.key, record.value, tuple(record.headers)):
        facts["dlq-truncated"] = str(len(record.value or b""))
    return Outgoing(topic, key, value, (*headers, *_headers(facts)))


def _fitting(record: Record) -> tuple[bytes | None, bytes | None, Headers]:
    """Leave out what Kafka would not take: the end of the value, then all headers, then the key's.

    A key alone may fill a record, and our own headers need room as well.
    """
    key, value, headers = record.key, record.value, tuple(record.headers)
    key = None if key is None else key[:MAX_DEAD_LETTER_BYTES]
    room = MAX_DEAD_LETTER_BYTES - len(key or b"")
    size = sum(len(name.encode()) + len(v or b"") + HEADER_BYTES for name, v in headers)
    if size > room:
        headers, size = (), 0
    return key, None if value is None else value[: room - size], headers


def dead_letter_of(headers: Sequence[tuple[str, bytes | None]]) -> DeadLetter:
    """Read the facts of a dead letter back from its headers; ValidationError if they are not.

    Ours are the last ones: what a sender called ``dlq-…`` comes before them.
    """
    first = max((i for i, (name, _) in enumerate(headers) if name == "dlq-reason"), default=0)
    facts = {
        name.removeprefix("dlq-").replace("-", "_"): (value or b"").decode()
        for name, value in headers[first:]
        if name.startswith("dlq-")
    }
    facts.pop("truncated", None)
    return DeadLetter.model_validate(facts)


def _headers(facts: dict[str, str]) -> Headers:
    return tuple((name, value.encode()) for name, value in facts.items())
