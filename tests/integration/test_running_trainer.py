"""The trainer goes on from what others store, and what was stored is published in the end."""

import asyncio
from collections.abc import Callable

import pytest

from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.bootstrap import features_of, prepare
from stream_app.config import Settings
from stream_app.contracts import ModelSnapshot, SampledCustomer
from stream_app.core.events import to_datetime
from stream_app.core.messages import Outgoing
from stream_app.demo.system import Child
from stream_app.trainer import TrainerProcess
from tests.harness import asking, read_topic, small_settings, until
from tests.model_desk import a_counted_shop, done, ids, names, version
from tests.populations import a_population, a_sample

pytestmark = pytest.mark.integration


@pytest.fixture
def announced(redis_url: str, broker: str, unique: Callable[[str], str]) -> Settings:
    """A counted shop in the store, without a model; snapshots go to a topic of their own."""
    values = {"kafka_broker": broker, "topic_models": unique("models"), "k": 0}
    found = a_counted_shop(redis_url).model_copy(update=values)
    asyncio.run(ensure_topics(found))
    return found


def test_the_running_trainer_goes_on_from_a_rollback_with_the_users_names(
    announced: Settings,
) -> None:
    done(announced, "rehearse", "--k", "4", "--promote", "--yes")
    done(announced, "rehearse", "--k", "6", "--promote", "--yes")

    continued = asyncio.run(_trained_across_a_rollback(announced, announced))

    three, four = version(announced, 3), version(announced, 4)
    assert (three.training.cause, four.training.cause) == ("rollback", "rename")
    assert continued.version == 5
    assert sorted(i for fate in continued.fates for i in fate.old) == ids(four) == ids(three)
    assert names(continued)[3] == names(four)[3] == "Loyal"
    assert len(set(names(continued).values())) == len(continued.segments)
    topic = asyncio.run(read_topic(announced, announced.topic_models, 7))
    assert [int(record.key) for record in topic] == [1, 2, 2, 3, 4, 4, 5]
    assert len({(record.key, record.value) for record in topic}) == 5
    assert ModelSnapshot.model_validate_json(topic[3].value) == three


def test_the_running_trainer_publishes_a_version_that_was_only_stored(announced: Settings) -> None:
    done(announced, "rehearse", "--k", "4", "--promote", "--yes")
    done(announced, "rehearse", "--k", "6", "--promote", "--yes")
    offline = announced.model_copy(update={"kafka_broker": ""})

    asyncio.run(_trained_across_a_rollback(announced, offline))

    topic = asyncio.run(read_topic(announced, announced.topic_models, 5))
    assert [int(record.key) for record in topic] == [1, 2, 2, 4, 5]


async def test_a_version_whose_trainer_died_before_it_was_published_is_published_by_the_next(
    broker: str, redis_url: str, unique: Callable[[str], str]
) -> None:
    settings = small_settings(broker, redis_url, unique("trainer"))
    await prepare(settings)
    with Child("trainer", settings.model_copy(update={"crash_at": "after:checkpoint:1"})) as dead:
        await _population(settings)
        await until(lambda: dead.code in {-9, 137}, "the trainer has died")

    with Child("trainer", settings):
        await _population(settings)
        topic = await read_topic(settings, settings.topic_models, 1)

    async with asking(settings) as (_, store):
        stored = await store.load_model(1)
    assert topic[0].key == b"1"
    assert ModelSnapshot.model_validate_json(topic[0].value) == stored


async def test_a_trainer_that_has_stopped_stores_no_model_that_it_cannot_publish(
    broker: str, redis_url: str, unique: Callable[[str], str]
) -> None:
    settings = small_settings(broker, redis_url, unique("trainer"))
    await prepare(settings)
    process = TrainerProcess(settings)

    await process._stop()
    for body in _enough(settings):
        await process._sample(body)

    assert process._trainer is not None
    assert "version 1" in process._trainer.status
    async with asking(settings) as (_, store):
        assert await store.latest_version() == 0


def _enough(settings: Settings) -> list[bytes]:
    """Samples of as many customers as a first model needs."""
    people = a_population(settings.warmup_customers)
    samples = (a_sample(people[n : n + 20]) for n in range(0, len(people), 20))
    return [sample.model_dump_json().encode() for sample in samples]


async def _population(settings: Settings) -> None:
    """Send the trainer samples of as many customers as it needs for a first model."""
    publisher = KafkaPublisher(settings)
    topic = settings.topic_vectors
    await publisher.publish([Outgoing(topic, b"0", body) for body in _enough(settings)])
    await publisher.close()


async def _trained_across_a_rollback(settings: Settings, desk: Settings) -> ModelSnapshot:
    """Train from version 2 on, roll back and rename in between; return what comes after."""
    process = TrainerProcess(settings)
    values = await _dearer(settings)
    await process._sample(values[0])
    assert process._trainer is not None
    assert "version 2" in process._trainer.status
    await asyncio.to_thread(done, desk, "rollback", "1", "--yes")
    await asyncio.to_thread(done, desk, "rename", "3", "Loyal")
    async with asking(settings) as (_, store):
        for value in values * 40:
            await process._sample(value)
            if found := await store.load_model(5):
                await process._stop()
                return found
    raise AssertionError("the trainer never published again")


async def _dearer(settings: Settings) -> list[bytes]:
    """Population samples in which everybody spends twice as much as is stored."""
    async with asking(settings) as (queries, _):
        people = await queries.draw(300, 1, None, lambda _done, _total: None)
    features = features_of(settings)
    rows = people.vectors.copy()
    rows[:, [features.names.index(f) for f in ("decayed_spend", "average_basket")]] *= 2
    customers = [
        SampledCustomer(customer_id=f"c{i}", vector=tuple(row))
        for i, row in enumerate(rows.tolist())
    ]
    samples = [a_sample(customers[n::3]) for n in range(3)]
    at = to_datetime(people.at)
    return [s.model_copy(update={"event_time": at}).model_dump_json().encode() for s in samples]
