"""The process is killed at every step of the protocol in turn; nothing is lost or counted twice."""

import asyncio
from collections.abc import Callable

import pytest

from stream_app.config import Settings
from stream_app.crash import STEPS
from stream_app.demo.system import Child, running
from tests.children import owned_by
from tests.harness import a_run, a_shop, small_settings, until

pytestmark = pytest.mark.integration

SPEED = 1_000_000
TRAINERS = "checkpoint"
# Faust revokes an empty set when it joins a group, so the first release releases nothing.
FIRST = {"release": 2}
LATER = {"claim": 3, "refresh": 2, "release": 2, "commit": 2, "sweep": 2, "checkpoint": 2}


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    return small_settings(broker, redis_url, unique("crash"), chunk_records=64, session_timeout=6)


@pytest.mark.parametrize(
    ("when", "number"),
    [
        pytest.param("before", 1, id="before, the first time"),
        pytest.param("after", 1, id="after, the first time", marks=pytest.mark.slow),
        pytest.param("before", 5, id="before, in the middle", marks=pytest.mark.slow),
        pytest.param("after", 5, id="after, in the middle", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(600)
async def test_a_crash_at_any_step_loses_and_repeats_nothing(
    settings: Settings, when: str, number: int
) -> None:
    with running(settings, workers=0) as system:
        demo = a_run(settings, system, a_shop(customers=600, days=300), SPEED)
        run = asyncio.create_task(demo.run(lambda: None))
        for step in STEPS:
            times = (FIRST if number == 1 else LATER).get(step, number)
            await _crash(settings, step, f"{when}:{step}:{times}")
        system.workers.append(Child("worker", settings))
        result = await run

    assert result.verification.problems == ()
    assert demo.seen.overview.counts["applied"] == result.events == demo.seen.overview.records


async def _crash(settings: Settings, step: str, point: str) -> None:
    """Run a worker, or a trainer with a worker, until it is killed at the point."""
    deadly = settings.model_copy(update={"crash_at": point})
    victim = Child("trainer" if step == TRAINERS else "worker", deadly)
    others = [Child("worker", settings)] if step == TRAINERS else []
    if step == "release":
        await until(lambda: owned_by(settings, victim), "the victim owns partitions")
        others = [Child("worker", settings)]
    try:
        await until(lambda: victim.code is not None, f"killed {point}")
        assert victim.code in {-9, 137}
    finally:
        for child in (victim, *others):
            child.kill()
