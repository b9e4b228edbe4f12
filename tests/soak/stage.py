"""The services of a soak, each behind a link that can be slowed and cut, and how far things are."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from stream_app.adapters.embedded import HOST, EmbeddedBroker, EmbeddedStore
from stream_app.config import ClockMode, Settings
from tests.kafka.cluster import Cluster, Node, _free_ports
from tests.kafka.libraries import libraries
from tests.soak.proxy import Link

SESSION_S = 6.0


class Broker(EmbeddedBroker):
    """The embedded broker, which tells its clients to come through a link."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def _options(self, folder: Path) -> dict[str, str]:
        through = f"tcp://{self._link.address}"
        return super()._options(folder) | {"advertised-listener-url": through}


class Brokers(Cluster):
    """Apache Kafka whose clients come through links; the brokers talk to each other directly."""

    def __init__(self, links: list[Link]) -> None:
        super().__init__(len(links), libraries())
        self._links = links
        self._inside = list(_free_ports(len(links)))

    def _properties(self, node: Node) -> dict[str, object]:
        inside = f"INSIDE://{HOST}:{self._inside[node.number - 1]}"
        link = self._links[node.number - 1]
        usual = super()._properties(node)
        return usual | {
            "listeners": f"{usual['listeners']},{inside}",
            "advertised.listeners": f"CLIENTS://{link.address},{inside}",
            "listener.security.protocol.map": f"{usual['listener.security.protocol.map']}"
            ",INSIDE:PLAINTEXT",
            "inter.broker.listener.name": "INSIDE",
            "group.max.size": 100,
        }


class Store(EmbeddedStore):
    """Valkey with an append-only file; a file that may not grow is an error, not the end of it."""

    def _program(self) -> list[str]:
        return ["/bin/sh", "-c", 'trap "" XFSZ; exec "$@"', "store", *super()._program()]

    @contextmanager
    def client(self) -> "Iterator[redis.Redis]":
        """Connect directly, not through the link."""
        with closing(redis.Redis.from_url(self.url, decode_responses=True)) as client:
            yield client

    @property
    def journal(self) -> Path:
        """Folder of the append-only file."""
        assert self.folder is not None
        return self.folder / "appendonlydir"

    def save(self) -> Path:
        """Copy the append-only file as it is at one instant; return the copy.

        The server stands still for it, as under a snapshot of the disk: what is copied while it is
        cut and written again is no state that there ever was.
        """
        assert self.folder is not None
        copy = self.folder / "saved"
        shutil.rmtree(copy, ignore_errors=True)
        assert self.pid
        os.kill(self.pid, signal.SIGSTOP)
        try:
            shutil.copytree(self.journal, copy)
        finally:
            os.kill(self.pid, signal.SIGCONT)
        return copy

    def put_back(self, copy: Path) -> None:
        """Crash, and start again from a copy."""
        self.kill()
        shutil.rmtree(self.journal)
        copy.rename(self.journal)
        self.start()


class Stage:
    """A broker, a store, their links, and the settings of a small system that uses them."""

    def __init__(self, kind: str, store: Store) -> None:
        self.kind = kind
        self.store = store
        self.store_link = Link()
        self.broker_links = [Link() for _ in range(3 if kind == "kafka3" else 1)]
        self.cluster: Brokers | None = None
        self.rollbacks = 0
        self.settings = Settings()

    def configure(self) -> None:
        """Write the settings, once every link is open."""
        self.settings = Settings(
            kafka_broker=",".join(link.address for link in self.broker_links),
            redis_url=f"redis://{self.store_link.address}/0",
            idempotence=self.kind != "embedded",
            replication=len(self.broker_links),
            session_timeout=SESSION_S,
            rebalance_timeout=2.0,
            clock=ClockMode.EVENT,
            warmup_customers=200,
            warmup_days=14.0,
        )

    def ends(self) -> dict[tuple[str, int], int]:
        """Ask the broker where each source partition ends."""
        settings = self.settings
        topics = (settings.topic_purchases, settings.topic_profiles)
        places = [TopicPartition(t, p) for t in topics for p in range(settings.partitions)]
        consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka_broker.split(","), bootstrap_timeout_ms=3_000
        )
        with closing(consumer):
            return {(p.topic, p.partition): end for p, end in consumer.end_offsets(places).items()}

    def watermarks(self) -> dict[int, dict[str, str]]:
        """Read the watermark hash of each partition."""
        with self.store.client() as client:
            found: Any = {p: client.hgetall(self._key(p, "wm")) for p in self._partitions}
        return dict(found)

    def outbox(self) -> int:
        """Messages that wait to be published."""
        with self.store.client() as client:
            return sum(client.xlen(self._key(p, "out")) for p in self._partitions)

    @property
    def _partitions(self) -> range:
        return range(self.settings.partitions)

    def _key(self, partition: int, name: str) -> str:
        return f"{self.settings.namespace}:{{{self.settings.topic_purchases}:{partition}}}:{name}"

    def behind(self, ends: dict[tuple[str, int], int]) -> dict[str, int]:
        """Records before ``ends`` that are not applied yet, where there are any."""
        marks, found = self.watermarks(), {}
        for (topic, partition), end in ends.items():
            stored = int(marks[partition].get(f"next:{topic}", 0))
            if end > stored:
                found[f"{topic}/{partition}"] = end - stored
        return found

    async def applied(self) -> int:
        """Records that have had their effect so far; 0 while the store does not answer."""
        with suppress(redis.RedisError):
            marks = (await asyncio.to_thread(self.watermarks)).values()
            names = ("applied", "duplicate", "dead")
            return sum(int(mark.get(f"count:{name}", 0)) for mark in marks for name in names)
        return 0

    async def try_ends(self) -> dict[tuple[str, int], int] | None:
        """Where the topics end; None while the broker does not answer."""
        with suppress(KafkaError, OSError):
            return await asyncio.to_thread(self.ends)
        return None


@asynccontextmanager
async def stage(kind: str) -> AsyncIterator[Stage]:
    """Start everything but workers and trainers; KafkaUnavailableError where Kafka can't be had."""
    async with AsyncExitStack() as stack:
        found = Stage(kind, stack.enter_context(Store("everysec")))
        for link in (found.store_link, *found.broker_links):
            await link.open()
            stack.callback(link.close)
        found.store_link.target = found.store.port
        if kind == "embedded":
            broker = stack.enter_context(Broker(found.broker_links[0]))
            found.broker_links[0].target = broker.port
        else:
            found.cluster = Brokers(found.broker_links)
            stack.callback(found.cluster.stop)
            for link, node in zip(found.broker_links, found.cluster.nodes, strict=True):
                link.target = node.port
            await asyncio.to_thread(found.cluster.__enter__)
        found.configure()
        yield found
