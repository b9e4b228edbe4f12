"""Stalls end a process with a reason, probes tell what is wrong."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from stream_app.adapters.embedded import EmbeddedStore
from stream_app.bootstrap import prepare
from stream_app.config import Settings
from stream_app.demo.run import Demo
from stream_app.demo.system import Child, running
from tests.children import SPEED, backlog, probe, ready, said
from tests.harness import a_run, a_shop, small_settings, until

pytestmark = pytest.mark.integration

STALL_S = 3.0

STALLED = 74


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    return small_settings(broker, redis_url, unique("live"), chunk_records=64)


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
    with running(settings, workers=0) as system, Child("worker", stuck) as victim:
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
    with running(settings, workers=0) as system, Child("worker", stuck) as victim:
        await replayed(settings, a_run(settings, system, a_shop(), SPEED), victim)

        assert victim.code == STALLED
        assert "the event loop has not turned for 3 s; it is in" in said(victim)
        assert "crash.py" in said(victim)


async def test_a_trainer_that_learns_nothing_ends(settings: Settings) -> None:
    stuck = settings.model_copy(update={"crash_at": "stall:publish:1", "stall_seconds": STALL_S})
    await prepare(settings)
    await asyncio.to_thread(backlog, settings)
    with Child("worker", settings), Child("trainer", stuck) as victim:
        await until(lambda: victim.code is not None, "the trainer has ended")

        assert victim.code == STALLED
        assert re.search(r"-vectors/0 stands at \d+, records waiting: \d+", said(victim))
        assert "TrainerProcess._learn > " in said(victim)


@asynccontextmanager
async def ready_with_a_store(
    broker: str, name: str, stall_seconds: float
) -> AsyncIterator[tuple[Child, EmbeddedStore]]:
    """A worker that is ready, and a store of its own."""
    with EmbeddedStore(appendonly="always") as server:
        settings = small_settings(broker, server.url, name, stall_seconds=stall_seconds)
        with Child("worker", settings) as child:
            await until(lambda: ready(child), "the worker is ready")
            yield child, server


async def test_probes_say_which_part_is_not_ready(
    broker: str, unique: Callable[[str], str]
) -> None:
    async with ready_with_a_store(broker, unique("probe"), 30) as (child, server):
        assert (await asyncio.to_thread(probe, child, "healthz")) == (200, {"loop": "ok"})

        server.kill()
        await until(lambda: _says(child, "store", "has not answered"), "the store is missed")
        assert (await asyncio.to_thread(probe, child, "healthz"))[0] == 200
        server.restart()
        await until(lambda: ready(child), "the worker is ready again")


async def test_a_blocked_loop_fails_the_liveness_probe(settings: Settings) -> None:
    stuck = settings.model_copy(update={"crash_at": "block:claim:1", "stall_seconds": 30})
    with Child("worker", stuck) as child:
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
    async with ready_with_a_store(broker, unique("outage"), 1) as (child, server):
        gone = time.monotonic()
        server.kill()
        await until(lambda: child.code is not None, "the worker has ended")

        assert 9 < time.monotonic() - gone < 20
        assert child.code == STALLED
        assert "the store has not answered for 10 s" in said(child)
