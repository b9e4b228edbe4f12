"""Stalls end a process with a reason, probes tell what is wrong, a stop is quick and clean."""

import asyncio
import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from producers.checkout import CheckoutPublisher
from producers.replay import ReplayOptions, replay
from producers.sources import Kind
from stream_app.adapters.embedded import EmbeddedBroker, EmbeddedStore
from stream_app.bootstrap import prepare
from stream_app.config import Settings
from stream_app.demo.run import Demo
from stream_app.demo.system import Child, running
from stream_app.ports import StoreUnavailableError
from tests.harness import KAFKA_BROKERS, a_run, a_shop, asking, owners, small_settings, until

pytestmark = pytest.mark.integration

SPEED = 1_000_000
STALL_S = 3.0
STALLED = 74
STOP_S = 5.0
BACKLOG = 8_000
POLL_S = 0 if KAFKA_BROKERS else 2


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    return small_settings(broker, redis_url, unique("live"), chunk_records=64)


@contextmanager
def a_child(command: str, settings: Settings) -> Iterator[Child]:
    child = Child(command, settings)
    try:
        yield child
    finally:
        child.kill()


def said(child: Child) -> str:
    return (child.folder / "log").read_text(errors="replace")


def probe(child: Child, page: str) -> tuple[int, dict[str, str]]:
    """Ask the process's own server; 0 while it does not listen."""
    found = re.search(r"http://[\d.]+:\d+", said(child))
    if not found:
        return 0, {}
    try:
        with urllib.request.urlopen(f"{found[0]}/{page}", timeout=5) as answer:  # noqa: S310
            return answer.status, json.load(answer)["checks"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["checks"]
    except OSError:
        return 0, {}


async def ready(child: Child) -> bool:
    child.check()
    return (await asyncio.to_thread(probe, child, "readyz"))[0] == 200


async def owned_by(settings: Settings, child: Child) -> bool:
    return any(owner.startswith(f"{child.pid}-") for owner in await owners(settings))


async def replayed(settings: Settings, demo: Demo, stuck: Child) -> None:
    """Replay while a process is stuck, until it has ended; then mend the system and verify."""
    run = asyncio.create_task(demo.run(lambda: None))
    await until(lambda: stuck.code is not None or run.done(), "the stuck process has ended")
    demo.system.workers.append(Child("worker", settings))
    result = await run
    assert result.verification.problems == ()
    assert demo.seen.overview.counts["applied"] == result.events


@pytest.mark.parametrize("step", ["fetch", "apply", "publish"])
async def test_a_step_that_never_returns_ends_the_worker_with_the_place(
    settings: Settings, step: str
) -> None:
    stuck = settings.model_copy(update={"crash_at": f"stall:{step}:3", "stall_seconds": STALL_S})
    with running(settings, workers=0) as system, a_child("worker", stuck) as victim:
        await replayed(settings, a_run(settings, system, a_shop(), SPEED), victim)

        text = said(victim)
        assert victim.code == STALLED
        assert re.search(r"StallError: (live|outbox)\S*/\d stands at \d+", text)
        assert "waiting: " in text
        assert "Lane.run" in text
        assert step == "fetch" or step in text
        assert "Traceback" not in text


async def test_a_blocked_event_loop_ends_the_worker_with_the_line(settings: Settings) -> None:
    stuck = settings.model_copy(update={"crash_at": "block:decode:3", "stall_seconds": STALL_S})
    with running(settings, workers=0) as system, a_child("worker", stuck) as victim:
        await replayed(settings, a_run(settings, system, a_shop(), SPEED), victim)

        assert victim.code == STALLED
        assert "the event loop has not turned for 3 s; it is in" in said(victim)
        assert "crash.py" in said(victim)


async def test_a_trainer_that_learns_nothing_ends(settings: Settings) -> None:
    stuck = settings.model_copy(update={"crash_at": "stall:publish:1", "stall_seconds": STALL_S})
    await prepare(settings)
    await asyncio.to_thread(_backlog, settings)
    with a_child("worker", settings), a_child("trainer", stuck) as victim:
        await until(lambda: victim.code is not None, "the trainer has ended")

        assert victim.code == STALLED
        assert re.search(r"-vectors/0 stands at \d+, records waiting: \d+", said(victim))
        assert "TrainerProcess._learn > " in said(victim)


async def test_probes_say_which_part_is_not_ready(
    broker: str, unique: Callable[[str], str]
) -> None:
    with EmbeddedStore(appendonly="always") as server:
        settings = small_settings(broker, server.url, unique("probe"), stall_seconds=30)
        with a_child("worker", settings) as child:
            await until(lambda: ready(child), "the worker is ready")
            assert (await asyncio.to_thread(probe, child, "healthz")) == (200, {"loop": "ok"})

            server.kill()
            await until(lambda: _says(child, "store", "has not answered"), "the store is missed")
            assert (await asyncio.to_thread(probe, child, "healthz"))[0] == 200
            server.restart()
            await until(lambda: ready(child), "the worker is ready again")


async def test_a_blocked_loop_fails_the_liveness_probe(settings: Settings) -> None:
    stuck = settings.model_copy(update={"crash_at": "block:claim:1", "stall_seconds": 30})
    with a_child("worker", stuck) as child:
        await until(lambda: _code(child, "healthz", 503), "the probe fails")
        assert "turned" in probe(child, "healthz")[1]["loop"]


async def _code(child: Child, page: str, code: int) -> bool:
    return (await asyncio.to_thread(probe, child, page))[0] == code


async def _says(child: Child, part: str, word: str) -> bool:
    code, checks = await asyncio.to_thread(probe, child, "readyz")
    return code == 503 and word in checks[part]


@pytest.mark.slow
async def test_an_outage_of_the_store_beyond_patience_ends_the_worker(
    broker: str, unique: Callable[[str], str]
) -> None:
    with EmbeddedStore(appendonly="always") as server:
        settings = small_settings(broker, server.url, unique("outage"), stall_seconds=1)
        with a_child("worker", settings) as child:
            await until(lambda: ready(child), "the worker is ready")
            gone = time.monotonic()
            server.kill()
            await until(lambda: child.code is not None, "the worker has ended")

            assert 9 < time.monotonic() - gone < 20
            assert child.code == STALLED
            assert "the store has not answered for 10 s" in said(child)


@pytest.mark.parametrize("gone", ["nothing", "the store", "the broker"])
async def test_a_stop_under_load_takes_less_than_five_seconds(
    unique: Callable[[str], str], gone: str
) -> None:
    with EmbeddedBroker() as broker, EmbeddedStore(appendonly="always") as store:
        settings = small_settings(
            broker.address, store.url, unique("stop"), chunk_records=16, log_level="INFO"
        )
        await prepare(settings)
        await asyncio.to_thread(_backlog, settings)
        with a_child("worker", settings) as child:
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


def _backlog(settings: Settings) -> None:
    topics: dict[Kind, str] = {
        "purchase": settings.topic_purchases,
        "profile": settings.topic_profiles,
    }
    address, idempotence = settings.kafka_broker, settings.idempotence
    with CheckoutPublisher(address, idempotence=idempotence) as publisher:
        totals = replay(a_shop(customers=600, days=600), publisher, ReplayOptions(topics=topics))
    assert totals.sent > BACKLOG


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
