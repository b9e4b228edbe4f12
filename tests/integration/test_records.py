"""Good, bad, repeated and erasing records through a real worker."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from producers.checkout import CheckoutPublisher
from stream_app.adapters.queries import Queries
from stream_app.config import ClockMode, Settings
from stream_app.contracts import Profile, Purchase
from stream_app.core.messages import dead_letter_of
from stream_app.demo.system import running
from tests.builders import purchase_json
from tests.harness import asking, read_topic, small_settings, until

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC)
TOMORROW = (NOW + timedelta(days=1)).isoformat()


def a_purchase(customer: str, event: str, days_ago: float = 1) -> Purchase:
    at = NOW - timedelta(days=days_ago)
    return Purchase(event_id=event, customer_id=customer, occurred_at=at, total=20.0)


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    return small_settings(broker, redis_url, unique("records"), clock=ClockMode.WALL)


@pytest.fixture
async def queries(settings: Settings) -> AsyncIterator[Queries]:
    with running(settings, workers=1):
        async with asking(settings) as (found, store):
            await until(lambda: _owned(store, settings), "the worker owns every partition")
            yield found


async def _owned(store: object, settings: Settings) -> bool:
    return all([await store.owner(p) for p in range(settings.partitions)])  # type: ignore[attr-defined]


def publisher(settings: Settings) -> CheckoutPublisher:
    return CheckoutPublisher(
        settings.kafka_broker,
        topic_purchases=settings.topic_purchases,
        topic_profiles=settings.topic_profiles,
        idempotence=settings.idempotence,
    )


async def counted(queries: Queries, records: int) -> dict[str, int]:
    async def enough() -> bool:
        return (await queries.overview()).records >= records

    await until(enough, f"{records} records have had their effect")
    return (await queries.overview()).counts


async def test_bad_records_become_dead_letters_and_the_stream_goes_on(
    settings: Settings, queries: Queries
) -> None:
    topic = settings.topic_purchases
    headers = (("trace", b"\x00\xff"),)
    with publisher(settings) as shop:
        shop.purchase(a_purchase("ann", "e1"))
        shop.send(topic, "ann", b'{"event_id": "e2", "total": }', headers)
        shop.send(topic, "ann", b" " * 70_000)
        shop.send(topic, "ann", purchase_json("ann", "e3", occurred_at=TOMORROW))
        shop.purchase(a_purchase("ann", "e1"))
        shop.purchase(a_purchase("ann", "e4"))

    counts = await counted(queries, 6)

    assert (counts["applied"], counts["duplicate"], counts["dead"]) == (2, 1, 3)
    letters = await read_topic(settings, settings.topic_dead_letters, 3)
    facts = [dead_letter_of(letter.headers) for letter in letters]
    assert [fact.reason.value for fact in facts] == ["not-json", "too-large", "in-the-future"]
    assert [fact.offset for fact in facts] == [1, 2, 3]
    assert "70,000 bytes" in facts[1].detail
    assert "SEGMENTER_MAX_SKEW_SECONDS" in facts[2].detail
    assert letters[0].value == b'{"event_id": "e2", "total": }'
    assert letters[0].headers[0] == headers[0]
    assert all(letter.key == b"ann" for letter in letters)
    (state,) = (await queries.states(["ann"])).values()
    assert state is not None
    assert state.orders == 2


async def test_a_profile_is_kept_and_an_erasure_leaves_nothing(
    settings: Settings, queries: Queries
) -> None:
    with publisher(settings) as shop:
        shop.purchase(a_purchase("bob", "e1"))
        shop.profile(Profile(customer_id="bob", updated_at=NOW, birth_year=1980))
        await counted(queries, 2)
        (state,) = (await queries.states(["bob"])).values()
        assert state is not None
        assert state.profile is not None
        assert state.profile.birth_year == 1980

        shop.erase("bob")

    await counted(queries, 3)
    assert await queries.states(["bob"]) == {"bob": None}
    (tombstone,) = await read_topic(settings, settings.topic_changes, 1)
    assert (tombstone.key, tombstone.value) == (b"bob", None)
