"""Everything counted anew: after a lost store, and under other settings."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest
import redis

from producers.checkout import CheckoutPublisher
from producers.simulate import Simulation
from stream_app.config import Settings, environment
from stream_app.contracts import SegmentChanged
from stream_app.demo.system import Child, running
from stream_app.demo.verify import histories
from tests.children import owned_by
from tests.counted import Shop, features, problems, rebuild
from tests.harness import a_shop, asking, read_topic, small_settings, until

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    return small_settings(broker, redis_url, unique("rebuild"), chunk_records=64)


def flush(settings: Settings) -> None:
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushall()


async def test_after_a_lost_store_everybody_is_as_before(placed_shop: Shop) -> None:
    async with asking(placed_shop.settings) as (queries, _):
        before, version = await queries.overview(), await queries.model()
    flush(placed_shop.settings)

    answer = rebuild(placed_shop.settings, "--yes")

    assert answer.returncode == 0, answer.stderr
    assert "generation 2 serves" in answer.stderr
    await _counted(placed_shop)
    states = await placed_shop.now()
    assert features(states) == features(placed_shop.states)
    assert problems(placed_shop.simulation, states) == ()
    async with asking(placed_shop.settings) as (queries, store):
        after = await queries.overview()
        restored = await store.load_model(version.version) if version else None
        assert await store.serving() == 2
        assert await queries.outbox_length() == 0
    assert (after.records, after.clock) == (before.records, before.clock)
    assert restored == version is not None
    assert sum(after.sizes.values()) == sum(before.sizes.values())
    with redis.Redis.from_url(placed_shop.settings.redis_url) as client:
        kept = [key.decode() for key in client.scan_iter(f"{placed_shop.settings.namespace}:*")]
    assert not [key for key in kept if f"{{{placed_shop.settings.topic_purchases}:" in key]


async def _counted(shop: Shop) -> None:
    """Let a worker count what follows the group's last commit, which lags by a second."""
    with running(shop.settings, workers=1):
        async with asking(shop.settings) as (queries, _):

            async def all_of_it() -> bool:
                return (await queries.overview()).records == shop.total

            await until(all_of_it, "a worker has counted what followed the last commit")


async def test_of_each_customer_the_latest_move_is_published_as_replay_and_passes_the_rule(
    placed_shop: Shop,
) -> None:
    moves = sum(state.sequence for state in placed_shop.states.values() if state)
    flush(placed_shop.settings)
    assert rebuild(placed_shop.settings).returncode == 0
    states = await placed_shop.now()
    placed = {c: s for c, s in states.items() if s and s.segment}

    records = await read_topic(
        placed_shop.settings, placed_shop.settings.topic_changes, moves + len(placed)
    )

    known: dict[str, SegmentChanged] = {}
    for record in records:
        change = SegmentChanged.model_validate_json(record.value)
        former = known.get(change.customer_id)
        assert former is None or (change.epoch, change.sequence) > (former.epoch, former.sequence)
        known[change.customer_id] = change
    assert len(records) == moves + len(placed)
    assert placed
    assert all(change.replay for change in known.values())
    assert {c: (known[c].current.id, known[c].sequence) for c in placed} == {
        c: (s.segment, s.sequence) for c, s in placed.items()
    }


async def test_another_half_life_is_counted_while_the_former_one_serves(shop: Shop) -> None:
    other = shop.settings.model_copy(update={"half_life_days": 20.0})
    later = a_shop(customers=60, days=150, seed=8)
    old = Child("worker", shop.settings)
    try:
        await until(lambda: owned_by(shop.settings, old), "the former worker serves")
        sending = asyncio.create_task(asyncio.to_thread(_send, shop.settings, later))

        answer = await asyncio.to_thread(rebuild, other)

        assert answer.returncode == 0, answer.stderr
        await until(lambda: old.code is not None, "the former worker has left")
        assert old.code == 75
        assert "generation 2 serves since a rebuild" in (old.folder / "log").read_text()
        sent = await sending
    finally:
        old.kill()
    refused = await asyncio.to_thread(_worker, shop.settings)
    assert refused.returncode == 78
    assert "SEGMENTER_HALF_LIFE_DAYS is 60, but the stored customers were counted with 20" in (
        refused.stderr
    )
    assert "segmenter rebuild" in refused.stderr
    with running(other, workers=1):
        async with asking(other) as (queries, _):
            total = sent + shop.total

            async def counted() -> bool:
                return (await queries.overview()).records >= total

            await until(counted, "all is counted by the new worker")
            assert (await queries.overview()).records == total
            both = [*shop.simulation, *later]
            found = await queries.states(histories(both, {"USD": 1.0}))
    assert problems(both, found, half_life=20) == ()
    assert "generation 1 is kept" in answer.stderr
    dropped = rebuild(other, "--drop-old")
    assert "generation 1 is removed" in dropped.stderr
    assert await shop.now(other)


def _send(settings: Settings, source: Simulation) -> int:
    sent = 0
    with CheckoutPublisher(settings.kafka_broker, idempotence=settings.idempotence) as publisher:
        for record in source:
            topic = (
                settings.topic_profiles if record.kind == "profile" else settings.topic_purchases
            )
            publisher.send(topic, record.customer_id, record.value)
            sent += 1
    return sent


def _worker(settings: Settings) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stream_app", "worker"],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
