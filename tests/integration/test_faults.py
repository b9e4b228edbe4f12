"""Workers are killed and joined in mid-stream; the features still equal a recomputation."""

import asyncio
from collections.abc import Callable

import pytest

from stream_app.config import Settings
from stream_app.demo.run import Demo
from stream_app.demo.system import Child, running
from tests.children import owned_by
from tests.harness import a_run, a_shop, owners, small_settings, until

pytestmark = pytest.mark.integration

SPEED = 1_000_000


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    return small_settings(broker, redis_url, unique("faults"), chunk_records=64)


async def under_way(demo: Demo, records: int) -> None:
    await until(lambda: demo.seen.overview.records > records, f"{records} records applied")


async def test_a_killed_worker_loses_and_repeats_nothing(settings: Settings) -> None:
    with running(settings, workers=1) as system:
        demo = a_run(settings, system, a_shop(), SPEED)
        run = asyncio.create_task(demo.run(lambda: None))
        await under_way(demo, 500)

        system.workers.pop().kill()
        system.workers.append(Child("worker", settings))
        result = await run

    assert result.verification.problems == ()
    assert result.events == demo.seen.overview.records
    assert demo.seen.overview.counts["applied"] == result.events


async def test_a_second_worker_joins_and_the_first_is_killed(settings: Settings) -> None:
    with running(settings, workers=1) as system:
        demo = a_run(settings, system, a_shop(days=300), SPEED)
        run = asyncio.create_task(demo.run(lambda: None))
        await under_way(demo, 200)

        second = Child("worker", settings)
        system.workers.append(second)
        await until(lambda: owned_by(settings, second), "the second worker owns a partition")
        assert len({owner.split("-")[0] for owner in await owners(settings)}) == 2
        system.workers.pop(0).kill()
        result = await run

    assert result.verification.problems == ()
    assert demo.seen.overview.counts["applied"] == result.events
