"""Reads segment changes as a campaign engine does, and tells how old each is on arrival.

Writes ``published received reason``, in ms, for each change, until it is stopped. On another topic
it tells how old the records themselves are, whatever they hold, with the reason ``raw``.
"""

import sys
import time
from datetime import datetime
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

POLL_S = 0.05
READY = "listening\n"


class Source(msgspec.Struct):
    """The part of ``source`` that is looked at."""

    published_at: datetime | None = None


class Change(msgspec.Struct):
    """The part of a segment change that is looked at. ``occurred_at``: of a lapse, when due."""

    reason: str
    occurred_at: datetime
    source: Source


def main(given: dict[str, Any]) -> None:
    """Listen from the end of the topic on. ``given``: broker, topic, partitions, raw.

    ``wait``: how long a fetch may take (ms), also of ``given``.
    """
    options = {"bootstrap.servers": given["broker"], "group.id": f"{given['topic']}-listener"}
    options |= {"enable.auto.commit": False, "fetch.wait.max.ms": given["wait"]}
    consumer = Consumer(options)
    places = [TopicPartition(given["topic"], p) for p in range(given["partitions"])]
    for place in places:
        place.offset = consumer.get_watermark_offsets(place)[1]
    consumer.assign(places)
    sys.stdout.write(READY)
    sys.stdout.flush()
    decode = msgspec.json.Decoder(Change).decode
    while True:
        messages = consumer.consume(1, POLL_S)
        messages += consumer.consume(1000, 0) if messages else []
        now = time.time() * 1000
        for message in messages:
            if message.error() is None and given["raw"]:
                sys.stdout.write(f"{message.timestamp()[1]} {now:.3f} raw\n")
            elif message.error() is None and (value := message.value()):
                change = decode(value)
                at = (change.source.published_at or change.occurred_at).timestamp() * 1000
                sys.stdout.write(f"{at:.0f} {now:.3f} {change.reason}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1]))
