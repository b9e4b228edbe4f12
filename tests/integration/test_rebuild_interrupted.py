"""A rebuild that is killed, doubled or refused leaves serving what served."""

import asyncio
import json
import os
import signal
from collections.abc import Callable

import pytest
import redis

from producers.checkout import CheckoutPublisher
from stream_app.adapters.generations import generations
from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.config import Settings
from stream_app.demo.system import Child
from tests.counted import Shop, features, problems, rebuild
from tests.harness import asking, small_settings, until

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    return small_settings(broker, redis_url, unique("rebuild"), chunk_records=64)


@pytest.mark.parametrize("point", ["before:apply:30", "after:apply:30", "after:publish:1"])
@pytest.mark.slow
async def test_a_killed_rebuild_goes_on_when_it_is_run_again(placed_shop: Shop, point: str) -> None:
    killed = rebuild(placed_shop.settings.model_copy(update={"crash_at": point}))
    between = await _serving(placed_shop.settings)
    answer = rebuild(placed_shop.settings)

    assert killed.returncode in {-9, 137}
    assert between == (2 if "publish" in point else 1)
    assert answer.returncode == 0, answer.stderr
    states = await placed_shop.now()
    assert features(states) == features(placed_shop.states)
    async with asking(placed_shop.settings) as (queries, _):
        assert (await queries.overview()).records == placed_shop.total


@pytest.mark.slow
async def test_ctrl_c_says_that_the_next_run_goes_on(shop: Shop) -> None:
    stalled = shop.settings.model_copy(update={"crash_at": "stall:apply:30"})
    with redis.Redis.from_url(stalled.redis_url) as client, Child("rebuild", stalled) as running:
        begun = f"{stalled.namespace}.g2:*:c*"
        await until(lambda: any(client.scan_iter(begun)), "some customers are counted anew")
        os.kill(running.pid, signal.SIGINT)
        await until(lambda: running.code is not None, "it has ended")
        said = (running.folder / "log").read_text()

        assert running.code == 130
    assert said.strip().endswith("stopped; run it again, it goes on")
    assert "Traceback" not in said
    assert rebuild(shop.settings).returncode == 0
    assert features(await shop.now()) == features(shop.states)


@pytest.mark.slow
async def test_an_interrupted_rebuild_under_other_settings_starts_over(shop: Shop) -> None:
    other = shop.settings.model_copy(update={"half_life_days": 20.0})
    rebuild(shop.settings.model_copy(update={"crash_at": "after:apply:30"}))

    answer = rebuild(other)

    assert answer.returncode == 0, answer.stderr
    assert problems(shop.simulation, await shop.now(other), half_life=20) == ()


@pytest.mark.slow
async def test_two_rebuilds_at_once_do_not_mix(shop: Shop) -> None:
    answers = await asyncio.gather(*(asyncio.to_thread(rebuild, shop.settings) for _ in range(2)))

    assert 0 in {answer.returncode for answer in answers}
    assert features(await shop.now()) == features(shop.states)
    assert await _serving(shop.settings) in {2, 3}


async def _serving(settings: Settings) -> int:
    async with generations(settings) as stored:
        return await stored.current()


@pytest.mark.parametrize("name", ["kafka_broker", "redis_url"])
def test_a_rebuild_names_a_missing_service(settings: Settings, name: str) -> None:
    answer = rebuild(settings.model_copy(update={name: ""}))

    assert answer.returncode == 78
    assert f"{name.upper()} is not set" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_flood_guard_stops_a_rebuild_and_halts_no_worker(settings: Settings) -> None:
    asyncio.run(_nothing_readable(settings))

    answer = rebuild(settings)

    assert answer.returncode == 1
    assert "dead letters" in answer.stderr
    with redis.Redis.from_url(settings.redis_url) as client:
        assert not client.exists(f"{settings.namespace}:{{dead-letters}}:halted")
        assert not client.exists(f"{settings.namespace}:generation")


async def _nothing_readable(settings: Settings) -> None:
    await ensure_topics(settings)
    with CheckoutPublisher(settings.kafka_broker, idempotence=settings.idempotence) as publisher:
        for number in range(1_200):
            body = json.dumps({"number": number}).encode()
            publisher.send(settings.topic_purchases, str(number), body)
