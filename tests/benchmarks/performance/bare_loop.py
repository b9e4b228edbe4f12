"""The limit: a consumer loop that decodes, reads and writes as our worker does, and no more.

No framework, no scoring. One MGET and one call of our own script a chunk of 512 records, on the
states that our worker left in the store, and as many messages through the outbox as our worker had.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import msgspec
import redis
from confluent_kafka import Consumer, Message, TopicPartition

from stream_app.adapters.redis_forms import customer_args, group
from stream_app.adapters.redis_store import SCRIPTS, RedisStore
from stream_app.bootstrap import limits_of
from stream_app.config import Settings
from stream_app.core.events import Rejected, decode_purchase
from stream_app.core.folds import CustomerState, unpacked
from stream_app.ports import CustomerWrite

CHUNK = 512
IDLE_S = 0.05
MESSAGE = b"m" * 890  # a segment change, packed


class Taken(NamedTuple):
    """A record as decoding sees it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Partition:
    """One partition: its epoch, its watermark, and the records that make up the next chunk."""

    def __init__(self, loop: "Loop", number: int, start: int) -> None:
        self.loop, self.number = loop, number
        self.next, self.batches, self.last = start, 0, ""
        self.waiting: list[Message] = []
        wm, out = loop.key(number, "wm"), loop.key(number, "out")
        self.out, self.sent, self.owed = loop.key(number, "bare-out"), 0, 0.0
        fields = loop.claim(keys=[wm, out], args=["bare"])[0]
        self.epoch = int(dict(zip(fields[::2], fields[1::2], strict=True))[b"epoch"])
        self.fixed = [wm, loop.key(number, "due"), self.out]

    def chunk(self, messages: Sequence[Message]) -> None:
        """Decode, read, write."""
        loop, wall = self.loop, int(time.time() * 1000)
        orders = [
            decode_purchase(
                Taken(m.offset() or 0, m.timestamp()[1], m.key(), m.value()), loop.limits, wall
            )
            for m in messages
        ]
        kept = [order for order in orders if not isinstance(order, Rejected)]
        names = list(dict.fromkeys(order.customer_id for order in kept))
        keys = [loop.customer(self.number, name) for name in names]
        values = cast("list[bytes | None]", loop.client.mget(keys))
        found = zip(names, values, strict=True)
        states = {name: unpacked(v) if v else CustomerState() for name, v in found}
        for order in kept:
            state = states[order.customer_id]
            state.orders += 1
            state.last = order.at
        self._apply(keys, states, len(kept), (messages[-1].offset() or 0) + 1)

    def _apply(
        self, keys: list[str], states: dict[str, CustomerState], count: int, following: int
    ) -> None:
        self.batches += 1
        batch = f"{self.epoch}-{self.batches}"
        args: list[Any] = [self.epoch, batch, self.last, "bare", self.next, following, 1]
        args += group([("bare", count)])
        args += group([customer_args(CustomerWrite(c, s, s.due)) for c, s in states.items()])
        messages = self._messages(count)
        args += group([(i, MESSAGE) for i in messages])
        status = self.loop.apply(keys=[*self.fixed, *keys], args=args)[0]
        if status != b"OK":
            raise SystemExit(f"partition {self.number}: the store says {status.decode()}")
        if messages:
            self.loop.client.xdel(self.out, *messages)
        self.next, self.last = following, batch

    def _messages(self, count: int) -> list[str]:
        """Ids of the messages that so many records owe the outbox."""
        self.owed += count * self.loop.moves
        due = int(self.owed)
        self.owed -= due
        self.sent += due
        return [f"{self.epoch}-{n}" for n in range(self.sent - due + 1, self.sent + 1)]


class Loop:
    """The process: consumer, store, and a chunk in the making for each partition."""

    def __init__(self, settings: Settings, starts: Sequence[int], moves: float) -> None:
        self.moves = moves
        self.client = redis.Redis.from_url(settings.redis_url)
        store = RedisStore(cast("Any", self.client), settings.namespace, settings.topic_purchases)
        self.key, self.customer = store._key, store._customer
        self.limits = limits_of(settings)
        self.claim = self.client.register_script((SCRIPTS / "claim.lua").read_text())
        self.apply = self.client.register_script((SCRIPTS / "apply.lua").read_text())
        self.partitions = [Partition(self, p, start) for p, start in enumerate(starts)]
        self.consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka_broker,
                "group.id": f"{settings.group}-bare",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
                "queued.min.messages": 50_000,
            }
        )
        topic = settings.topic_purchases
        places = [TopicPartition(topic, p, start) for p, start in enumerate(starts)]
        self.consumer.assign(places)

    def run(self, total: int) -> None:
        """Work until so many records are done."""
        done = 0
        while done < total:
            messages = self.consumer.consume(2 * CHUNK, IDLE_S)
            for message in messages:
                if message.error() is None:
                    self.partitions[message.partition() or 0].waiting.append(message)
            least = CHUNK if messages else 1
            for partition in self.partitions:
                while len(partition.waiting) >= least:
                    part = partition.waiting[:CHUNK]
                    partition.waiting = partition.waiting[CHUNK:]
                    partition.chunk(part)
                    done += len(part)
        self.consumer.close()


if __name__ == "__main__":
    given = msgspec.json.decode(sys.argv[1])
    settings = Settings.model_validate(given["settings"])
    Loop(settings, given["starts"], given["moves"]).run(given["total"])
