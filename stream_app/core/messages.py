"""What leaves for Kafka: segment changes (CloudEvents 1.0, binary mode), dead letters, tombstones.

Binary mode: the event's JSON is the value, its attributes are ``ce_*`` headers.
Source: CloudEvents 1.0 Kafka protocol binding.
"""

from collections.abc import Sequence
from typing import NamedTuple

from stream_app.contracts import DeadLetter, SegmentChanged
from stream_app.core.events import Record, Rejected, to_datetime

Headers = tuple[tuple[str, bytes | None], ...]
EVENT_TYPE = "segmenter.segment-changed.v1"
MAX_DEAD_LETTER_BYTES = 960_000


class Outgoing(NamedTuple):
    """A message for Kafka, kept in the outbox until the broker has it. Null value: tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def change_message(topic: str, change: SegmentChanged) -> Outgoing:
    """Encode a segment change, keyed by its customer."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": change.id,
        "ce_source": f"/segmenter/{change.source.topic}/{change.source.partition}",
        "ce_type": EVENT_TYPE,
        "ce_subject": change.customer_id,
        "ce_time": change.occurred_at.isoformat(),
        "content-type": "application/json",
    }
    headers = _headers(attributes)
    return Outgoing(topic, change.customer_id.encode(), change.model_dump_json().encode(), headers)


def erasure_message(topic: str, customer_id: str) -> Outgoing:
    """Tombstone: consumers and compaction forget the customer."""
    return Outgoing(topic, customer_id.encode(), None)


def dead_letter_message(
    topic: str, record: Record, rejected: Rejected, origin: tuple[str, int], wall: int
) -> Outgoing:
    """Wrap a refused record: its bytes and headers untouched, ``dlq-*`` headers added.

    ``origin`` is (topic, partition); ``wall`` the present in ms. A value too large to be sent on
    is cut, and ``dlq-truncated`` gives its full size in bytes.
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
    value = record.value
    taken = len(record.key or b"") + sum(len(k) + len(v or b"") for k, v in record.headers)
    room = max(0, MAX_DEAD_LETTER_BYTES - taken)
    if value is not None and len(value) > room:
        facts["dlq-truncated"] = str(len(value))
        value = value[:room]
    return Outgoing(topic, record.key, value, (*record.headers, *_headers(facts)))


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
