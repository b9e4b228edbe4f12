"""Starting and stopping: refusals in a sentence, a clean end, an outage waited out."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
import redis

from stream_app.adapters.embedded import EmbeddedStore
from stream_app.config import Settings, environment
from stream_app.demo.system import Child, running
from tests.harness import a_run, a_shop, asking, small_settings, until

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    return small_settings(broker, redis_url, unique("process"))


def refused(settings: Settings, command: str = "worker") -> subprocess.CompletedProcess[str]:
    """Run a process that is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "stream_app", command],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_worker_refuses_a_store_that_lost_its_memory(settings: Settings) -> None:
    with running(settings, workers=1) as system:
        await a_run(settings, system, a_shop(customers=20, days=30)).run(lambda: None)
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushall()

    answer = refused(settings)

    assert answer.returncode == 70
    assert "the store has no watermark" in answer.stderr
    assert "`segmenter rebuild`" in answer.stderr
    assert "Traceback" not in answer.stderr


async def test_a_worker_refuses_another_number_of_partitions(settings: Settings) -> None:
    with running(settings, workers=1):
        async with asking(settings) as (_, store):
            await until(lambda: _claimed(store), "the worker has started")

    answer = refused(settings.model_copy(update={"partitions": 8}))

    assert answer.returncode == 78
    assert "SEGMENTER_PARTITIONS is 8" in answer.stderr
    assert "Traceback" not in answer.stderr


async def _claimed(store: object) -> bool:
    return bool(await store.owner(0))  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["worker", "trainer"])
def test_without_a_store_a_process_says_which_variable_is_missing(
    settings: Settings, command: str
) -> None:
    answer = refused(settings.model_copy(update={"redis_url": ""}), command)

    assert answer.returncode == 78
    assert answer.stderr.startswith("segmenter: REDIS_URL is not set")


async def test_a_stopped_worker_leaves_within_five_seconds_with_its_work_done(
    settings: Settings,
) -> None:
    child = Child("worker", settings)
    async with asking(settings) as (_, store):
        await until(lambda: _claimed(store), "the worker has started")
    began = time.monotonic()

    code = child.stop()

    assert code == 0
    assert time.monotonic() - began < 5


async def test_a_store_that_goes_away_and_comes_back_is_waited_for(
    broker: str, unique: Callable[[str], str]
) -> None:
    with EmbeddedStore(appendonly="always") as server:
        settings = small_settings(broker, server.url, unique("outage"), chunk_records=64)
        with running(settings, workers=1) as system:
            demo = a_run(settings, system, a_shop(customers=200, days=120), 1_000_000)
            run = asyncio.create_task(demo.run(lambda: None))
            await until(lambda: demo.seen.overview.records > 200, "200 records applied")
            server.kill()
            server.restart()
            result = await run

    assert result.verification.problems == ()
