"""A worker on a topic full of poison halts and leaves the rest unread."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import cycle, islice

import pytest
from typer.testing import CliRunner

from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.cli import app
from stream_app.config import Settings, environment
from stream_app.core.flood import WINDOW
from stream_app.core.messages import Outgoing
from stream_app.demo.system import Child
from tests.builders import purchase_json
from tests.harness import asking, read_topic, small_settings, until

pytestmark = pytest.mark.integration

CHUNK = 64
RECORDS = 3_000
FULL = "x"
TENTH = "x........."


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    name = unique("flood")
    return small_settings(broker, redis_url, name, partitions=1, chunk_records=CHUNK)


def records(settings: Settings, pattern: str) -> Iterator[Outgoing]:
    """Purchases; at an ``x`` of the pattern, which is repeated, one that is no JSON."""
    for n, mark in enumerate(islice(cycle(pattern), RECORDS)):
        value = b"{" if mark == "x" else purchase_json(f"c{n}", f"e{n}")
        yield Outgoing(settings.topic_purchases, f"c{n}".encode(), value)


async def fill(settings: Settings, pattern: str) -> None:
    await ensure_topics(settings)
    publisher = KafkaPublisher(settings)
    await publisher.publish(list(records(settings, pattern)))
    await publisher.close()


def work(settings: Settings) -> subprocess.CompletedProcess[str]:
    """Run a worker until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "stream_app", "worker"],
        env=os.environ | environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def counted(settings: Settings) -> dict[str, int]:
    async with asking(settings) as (_, store):
        return await store.counters(0)


def command(settings: Settings, word: str) -> str:
    return CliRunner().invoke(app, ["dead-letters", word], env=environment(settings)).stderr


async def test_a_worker_on_poison_halts_and_leaves_the_rest_unread(settings: Settings) -> None:
    await fill(settings, FULL)

    ended = await asyncio.to_thread(work, settings)

    counts = await counted(settings)
    assert ended.returncode == 65
    assert WINDOW / 2 < counts["dead"] <= WINDOW / 2 + CHUNK
    assert counts[f"next:{settings.topic_purchases}"] == counts["dead"] < RECORDS
    letters = await read_topic(settings, settings.topic_dead_letters, counts["dead"])
    assert len(letters) == counts["dead"]
    assert f"{counts['dead']} of the last {counts['dead']} records" in ended.stderr
    assert f"not-json, for example {settings.topic_purchases}/0 at offset" in ended.stderr
    assert "SEGMENTER_DEAD_LETTER_LIMIT" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_halted_worker_that_is_restarted_reads_nothing_until_it_is_resumed(
    settings: Settings,
) -> None:
    await fill(settings, FULL)
    await asyncio.to_thread(work, settings)
    before = await counted(settings)

    restarted = await asyncio.to_thread(work, settings)

    assert restarted.returncode == 65
    assert restarted.stderr.startswith("segmenter: halted earlier: ")
    assert await counted(settings) == before
    assert "workers are halted" in await asyncio.to_thread(command, settings, "list")

    said = [await asyncio.to_thread(command, settings, "resume") for _ in range(2)]
    resumed = await asyncio.to_thread(work, settings)

    assert said == ["workers may start again\n", "no worker is halted: nothing to do\n"]
    assert resumed.returncode == 65
    assert (await counted(settings))["dead"] > before["dead"]


@pytest.mark.parametrize(("pattern", "limit", "dead"), [(TENTH, 0.5, 300), (FULL, 1.0, RECORDS)])
async def test_a_small_share_of_poison_halts_nobody_nor_does_any_share_at_limit_one(
    settings: Settings, pattern: str, limit: float, dead: int
) -> None:
    await fill(settings, pattern)
    child = Child("worker", settings.model_copy(update={"dead_letter_limit": limit}))

    async def done() -> bool:
        child.check()
        return (await counted(settings)).get(f"next:{settings.topic_purchases}") == RECORDS

    try:
        await until(done, "every record has had its effect")
    finally:
        code = child.stop()

    assert code == 0
    assert (await counted(settings))["dead"] == dead
