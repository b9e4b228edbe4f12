"""KRaft clusters of Apache Kafka on loopback, one Java process a broker, for the tests.

Every broker is a controller too. Everything a cluster writes is in one temporary folder, which
goes when the cluster stops or when this process ends, even by SIGKILL.
"""

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stream_app.adapters.embedded import HOST, ServiceError
from stream_app.adapters.guarded import end, launch
from tests.harness import until

CLUSTER_ID = "c2VnbWVudGVyLXRlc3RzMQ"  # 16 bytes in base64, as Kafka wants them
JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
GROUP_SIZE = 4  # members
STOP_SECONDS = 30.0
FORMAT_SECONDS = 60.0
LOG_TAIL = 2_000


class Node:
    """One broker and controller; ``port`` is for clients."""

    def __init__(self, number: int, home: Path, ports: tuple[int, int], libraries: Path) -> None:
        self.number, self.home, self.libraries = number, home, libraries
        self.port, self.controller_port = ports
        self.folder = home / f"node-{number}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id; 0 when it is not running."""
        return self._process.pid if self._process else 0

    @property
    def voter(self) -> str:
        """Where the other controllers find this one."""
        return f"{self.number}@{HOST}:{self.controller_port}"

    def format(self, properties: dict[str, object]) -> None:
        """Write the configuration and an empty log folder with the cluster's id."""
        self.folder.mkdir()
        lines = [f"{name}={value}\n" for name, value in properties.items()]
        (self.folder / "server.properties").write_text("".join(lines))
        tool = self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c")
        done = subprocess.run(
            tool, capture_output=True, text=True, check=False, timeout=FORMAT_SECONDS
        )
        if done.returncode:
            raise ServiceError(f"broker {self.number} can't be formatted:\n{done.stderr}")

    def start(self) -> None:
        """Start the process; it answers a few seconds later."""
        self._process = launch(self.home, self.folder / "log", self._java("kafka.Kafka"))

    def listens(self) -> bool:
        """Whether the port for clients is open."""
        with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1.0):
            return True
        return False

    def check(self) -> None:
        """Raise ServiceError with the end of its log if the process has ended by itself."""
        if self._process and self._process.poll() is not None:
            log = (self.folder / "log").read_text(errors="replace")[-LOG_TAIL:]
            raise ServiceError(f"Kafka broker {self.number} ended:\n{log}")

    def stop(self) -> None:
        """Hand over the leaderships and end (SIGTERM); SIGKILL after half a minute."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            end(process, how, STOP_SECONDS)

    def _java(self, main: str, *words: str) -> list[str]:
        configuration = str(self.folder / "server.properties")
        return ["java", *JVM, QUIET, "-cp", f"{self.libraries}/*", main, *words, configuration]


class Cluster:
    """One or three brokers; with three, each partition is on all and two must have a record."""

    def __init__(self, brokers: int, libraries: Path) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="segmenter-kafka-"))
        ports = iter(_free_ports(2 * brokers))
        self.nodes = [
            Node(number, self.home, (next(ports), next(ports)), libraries)
            for number in range(1, brokers + 1)
        ]

    @property
    def address(self) -> str:
        """Bootstrap servers, ``host:port[,host:port]``."""
        return ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.format(self._properties(node))
            for node in self.nodes:
                node.start()
            asyncio.run(self.settled())
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End every broker at once and remove all data."""
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    async def leader(self, topic: str, partition: int) -> Node | None:
        """Broker that leads a partition; None while there is none, or the one asked is down."""
        try:
            async with self._admin() as admin:
                (found,) = await admin.describe_topics([topic])
        except KafkaError:
            return None
        numbers = {p["partition"]: p["leader"] for p in found["partitions"]}
        return next((n for n in self.nodes if n.number == numbers[partition]), None)

    async def mend(self) -> None:
        """Start every broker that does not run, and wait until all is in sync again."""
        for node in self.nodes:
            if not node.pid:
                node.start()
        await self.settled()

    async def settled(self) -> None:
        """Wait until every broker answers and has caught up with every partition it holds."""
        await until(self._is_settled, "every broker is in sync")

    async def _is_settled(self) -> bool:
        for node in self.nodes:
            node.check()
        if not all(node.listens() for node in self.nodes):
            return False
        try:
            async with self._admin() as admin:
                brokers = (await admin.describe_cluster())["brokers"]
                topics = await admin.describe_topics()
        except (KafkaError, OSError):
            return False
        return len(brokers) == len(self.nodes) and all(map(_in_sync, topics))

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()

    def _properties(self, node: Node) -> dict[str, object]:
        copies = len(self.nodes)
        return {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "controller.quorum.voters": ",".join(n.voter for n in self.nodes),
            "controller.listener.names": "CONTROLLER",
            "listeners": f"CLIENTS://{HOST}:{node.port},CONTROLLER://{HOST}:{node.controller_port}",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENTS",
            "log.dirs": node.folder / "data",
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": max(1, copies - 1),
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": max(1, copies - 1),
            "group.initial.rebalance.delay.ms": 0,
            "group.max.size": GROUP_SIZE,
        }


def _in_sync(topic: dict[str, Any]) -> bool:
    return all(p["leader"] > 0 and len(p["isr"]) == len(p["replicas"]) for p in topic["partitions"])


def _free_ports(count: int) -> Iterator[int]:
    """Different free ports: all are held until the last one is known."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        ports = [int(probe.getsockname()[1]) for probe in held]
    yield from ports
