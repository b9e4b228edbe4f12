"""Brokers die and come back in mid-stream; the features still equal a recomputation."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from stream_app.config import Settings
from stream_app.demo.system import running
from tests.harness import KAFKA_BROKERS, a_run, a_shop, small_settings, until
from tests.kafka.cluster import Cluster, Node

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("refused_connections"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SPEED = 400_000  # 200 days in 43 seconds
PARTITION = 0


@pytest.fixture
async def settings(
    cluster: Cluster, redis_url: str, unique: Callable[[str], str]
) -> AsyncIterator[Settings]:
    yield small_settings(cluster.address, redis_url, unique("brokers"), chunk_records=64)
    await cluster.mend()


async def leader(cluster: Cluster, settings: Settings) -> Node:
    found = await cluster.leader(settings.topic_purchases, PARTITION)
    assert found is not None
    return found


@asynccontextmanager
async def a_stream(settings: Settings) -> AsyncIterator[None]:
    """Purchases flow while the block runs, and after it; then everything is recomputed.

    The verification compares every customer with the input, and every move published with the
    chain of its customer.
    """
    with running(settings, workers=1) as system:
        demo = a_run(settings, system, a_shop(customers=1_000), SPEED)
        run = asyncio.create_task(demo.run(lambda: None))
        await until(lambda: demo.seen.model is not None, "a model serves")
        yield
        sent = demo.progress.sent
        result = await run

    counts = demo.seen.overview.counts
    assert result.events > sent + 500
    assert result.verification.problems == ()
    assert counts["applied"] == demo.seen.overview.records == result.events
    assert result.verification.moves > 0


@pytest.mark.skipif(KAFKA_BROKERS < 3, reason="another broker must be there to lead")
async def test_a_leader_that_is_killed_takes_nothing_with_it(
    cluster: Cluster, settings: Settings
) -> None:
    async with a_stream(settings):
        killed = await leader(cluster, settings)

        await asyncio.to_thread(killed.kill)

        await until(lambda: _is_led_by_another(cluster, settings, killed), "another broker leads")


async def _is_led_by_another(cluster: Cluster, settings: Settings, former: Node) -> bool:
    return await cluster.leader(settings.topic_purchases, PARTITION) not in {None, former}


@pytest.mark.parametrize("end", [Node.stop, Node.kill], ids=["stopped", "killed"])
async def test_a_broker_that_comes_back_finds_everything_going_on(
    cluster: Cluster, settings: Settings, end: Callable[[Node], None]
) -> None:
    async with a_stream(settings):
        bounced = await leader(cluster, settings)

        await asyncio.to_thread(end, bounced)

        await cluster.mend()
