"""A stop is quick and clean, also under load; a rolling restart hardly shows."""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import pytest

from stream_app.adapters.embedded import EmbeddedBroker, EmbeddedStore
from stream_app.bootstrap import prepare
from stream_app.config import Settings
from stream_app.demo.system import Child, running
from stream_app.ports import StoreUnavailableError
from tests.children import BACKLOG, SPEED, backlog, owned_by, ready, said
from tests.harness import KAFKA_BROKERS, a_run, a_shop, asking, small_settings, until

pytestmark = pytest.mark.integration

STOP_S = 5.0

POLL_S = 0 if KAFKA_BROKERS else 2


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    return small_settings(broker, redis_url, unique("live"), chunk_records=64)


@pytest.mark.parametrize("gone", ["nothing", "the store", "the broker"])
async def test_a_stop_under_load_takes_less_than_five_seconds(
    unique: Callable[[str], str], gone: str
) -> None:
    with EmbeddedBroker() as broker, EmbeddedStore(appendonly="always") as store:
        settings = small_settings(
            broker.address, store.url, unique("stop"), chunk_records=16, log_level="INFO"
        )
        await prepare(settings)
        await asyncio.to_thread(backlog, settings)
        with Child("worker", settings) as child:
            await until(lambda: _applied(settings, 300), "300 records applied")
            applied = await _records(settings)
            if gone != "nothing":
                (store if gone == "the store" else broker).kill()
            code, seconds = await asyncio.to_thread(_stopped, child)
            assert "Traceback" not in said(child)
            if gone == "nothing":
                async with asking(settings) as (queries, _):
                    assert await queries.outbox_length() == 0

    print(f"stop while {gone} is gone: {seconds:.2f} s")  # noqa: T201
    assert code == 0
    assert seconds < STOP_S
    assert applied < BACKLOG, "it was stopped under load"


async def _records(settings: Settings) -> int:
    async with asking(settings) as (queries, _):
        return (await queries.overview()).records


async def _applied(settings: Settings, records: int) -> bool:
    return await _records(settings) > records


def _stopped(child: Child) -> tuple[int | None, float]:
    """Send SIGTERM and wait; the code, and how long it took."""
    began = time.monotonic()
    os.kill(child.pid, signal.SIGTERM)
    child._process.wait(STOP_S * 2)
    return child.code, time.monotonic() - began


class Gaps:
    """The longest time for which a partition with load did not move."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._seen: dict[int, tuple[int, float]] = {}

    async def watch(self, settings: Settings) -> None:
        async with asking(settings) as (_, store):
            while True:
                for partition in range(settings.partitions):
                    try:
                        counters = await store.counters(partition)
                    except StoreUnavailableError:
                        continue
                    self._note(partition, counters.get(f"next:{settings.topic_purchases}", 0))
                await asyncio.sleep(0.02)

    def _note(self, partition: int, position: int) -> None:
        now = time.monotonic()
        before, since = self._seen.get(partition, (position, now))
        if position != before:
            self.longest = max(self.longest, now - since)
            since = now
        self._seen[partition] = (position, since)


@pytest.mark.slow
async def test_a_rolling_restart_loses_no_more_time_than_one_session(settings: Settings) -> None:
    with running(settings, workers=2) as system:
        demo = a_run(settings, system, a_shop(days=500), SPEED)
        run = asyncio.create_task(demo.run(lambda: None))
        await until(lambda: demo.seen.overview.records > 300, "300 records applied")
        await until(lambda: _all_own(settings, system.workers), "both own partitions")
        gaps = Gaps()
        watch = asyncio.create_task(gaps.watch(settings))
        for _ in range(2):
            assert await asyncio.to_thread(system.workers.pop(0).stop) == 0
            system.workers.append(Child("worker", settings))
            await until(lambda: _all_own(settings, system.workers), "both own partitions")
            await until(lambda: ready(system.workers[-1]), "the new worker is ready")
        still_loaded = not run.done()
        watch.cancel()
        result = await run

    print(f"longest gap {gaps.longest:.2f} s of {settings.session_timeout} s")  # noqa: T201
    assert still_loaded
    assert 0 < gaps.longest < _allowed(settings)
    assert result.verification.problems == ()


def _allowed(settings: Settings) -> float:
    """Seconds without progress: one session, and on the embedded broker its slow joins.

    It takes the whole rebalance timeout for each join, and aiokafka never leaves a group in its
    generation 0, which Kafka does not have: two joins may follow upon a session.
    """
    joins = 0 if KAFKA_BROKERS else 2 * settings.rebalance_timeout
    return settings.session_timeout + joins + POLL_S


async def _all_own(settings: Settings, workers: list[Child]) -> bool:
    return all([await owned_by(settings, child) for child in workers])
