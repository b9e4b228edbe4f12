"""The publisher against a real broker: everything arrives once, or the caller is told."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from threading import Thread

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.net.manager import KafkaConnectionManager
from kafka.producer.sender import Sender

from producers.checkout import BrokerUnreachableError, CheckoutPublisher, DeliveryError
from producers.replay import ReplayOptions, replay
from producers.simulate import ShopConfig, Simulation
from stream_app.adapters.embedded import HOST, EmbeddedBroker
from stream_app.contracts import Profile, Purchase

pytestmark = pytest.mark.integration

NOW = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)


@pytest.fixture
def topics(broker: str, unique: Callable[[str], str]) -> tuple[str, str]:
    names = unique("purchases"), unique("profiles")
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=1) for name in names])
    admin.close()
    return names


@pytest.fixture
def publisher(broker: str, topics: tuple[str, str]) -> Iterator[CheckoutPublisher]:
    with CheckoutPublisher(
        broker, topic_purchases=topics[0], topic_profiles=topics[1]
    ) as connected:
        yield connected


def _stored(broker: str, topic: str, count: int) -> list[tuple[str, bytes | None, int]]:
    """Key, value and partition of everything in a topic, which must be ``count`` records."""
    consumer = KafkaConsumer(bootstrap_servers=broker, consumer_timeout_ms=10_000)
    places = [TopicPartition(topic, number) for number in range(3)]
    consumer.assign(places)
    consumer.seek_to_beginning()
    found = [(r.key.decode(), r.value, r.partition) for _, r in zip(range(count), consumer)]  # noqa: B905
    # The embedded broker's answer to end_offsets counts its last batch as one record.
    assert sum(consumer.highwater(place) or 0 for place in places) == count
    consumer.close()
    return found


def test_purchases_profiles_and_erasures_arrive_under_the_customers_key(
    broker: str, topics: tuple[str, str], publisher: CheckoutPublisher
) -> None:
    purchase = Purchase(event_id="o-1", customer_id="ann", occurred_at=NOW, total=19.9)
    profile = Profile(customer_id="ann", updated_at=NOW, age=40)

    publisher.purchase(purchase)
    publisher.profile(profile)
    publisher.erase("ben")
    publisher.flush()

    ((key, value, _),) = _stored(broker, topics[0], 1)
    assert key == "ann"
    assert value is not None
    assert Purchase.model_validate_json(value) == purchase
    declared = {key: value for key, value, _ in _stored(broker, topics[1], 2)}
    assert declared["ann"] is not None
    assert Profile.model_validate_json(declared["ann"]) == profile
    assert declared["ben"] is None
    assert publisher.acknowledged == 3


def test_a_replay_arrives_completely_and_in_order_per_customer(
    broker: str, topics: tuple[str, str], publisher: CheckoutPublisher
) -> None:
    shop = Simulation(ShopConfig(customers=60, days=60, join_days=10, profiles=0))
    records = list(shop)

    replay(shop, publisher, ReplayOptions(topics={"purchase": topics[0], "profile": topics[1]}))

    stored = _stored(broker, topics[0], len(records))
    assert len({partition for *_, partition in stored}) == 3
    for customer in {record.customer_id for record in records}:
        sent = [record.value for record in records if record.customer_id == customer]
        assert [value for key, value, _ in stored if key == customer] == sent


def test_a_small_buffer_makes_the_caller_wait_and_loses_nothing(
    broker: str, topics: tuple[str, str]
) -> None:
    with CheckoutPublisher(broker, buffer_bytes=5_000) as publisher:
        for number in range(300):
            publisher.send(topics[0], f"c{number}", b"x" * 400)

    assert publisher.acknowledged == 300
    assert len(_stored(broker, topics[0], 300)) == 300


def test_a_record_that_is_too_large_is_refused_at_once(
    topics: tuple[str, str], publisher: CheckoutPublisher
) -> None:
    with pytest.raises(
        DeliveryError, match=r"1 record was not acknowledged.*larger than"
    ) as refused:
        publisher.send(topics[0], "ann", b"x" * 2_000_000)

    assert refused.value.count == 1


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("refused_connections")
def test_what_a_vanished_broker_did_not_take_is_counted() -> None:
    with EmbeddedBroker() as broker:
        publisher = CheckoutPublisher(broker.address)
        publisher.send("purchases", "ann", b"{}")
        publisher.flush()
        broker.kill()
        for number in range(5):
            publisher.send("purchases", "ann", b"%d" % number)

        with pytest.raises(DeliveryError, match="5 records were not acknowledged"):
            publisher.flush(timeout=0.5)
        with pytest.raises(DeliveryError, match="5 records were not acknowledged"):
            publisher.close(timeout=0.5)

    assert publisher.acknowledged == 1


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("refused_connections")
def test_an_address_without_a_broker_is_said_so() -> None:
    with pytest.raises(BrokerUnreachableError, match=r"no Kafka broker answers at 127\.0\.0\.1:1 "):
        CheckoutPublisher("127.0.0.1:1", timeout=0.5)


@contextmanager
def _hanging_up(port: int) -> Iterator[None]:
    """Take every connection and close it, as a load balancer without a broker behind it does."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                server.accept()[0].close()

    with socket.create_server((HOST, port)) as server:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def _silent(port: int) -> Iterator[None]:
    """Let connections be made, and answer nothing."""
    with socket.create_server((HOST, port)):
        yield


@pytest.mark.parametrize("instead", [nullcontext, _hanging_up, _silent])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("refused_connections")
def test_a_publisher_rests_while_its_broker_is_away(
    instead: Callable[[int], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, turn = [], Sender.run_once

    def counted(sender: Sender) -> None:
        turns.append(sender)
        turn(sender)

    monkeypatch.setattr(Sender, "run_once", counted)

    with EmbeddedBroker() as broker:
        publisher = CheckoutPublisher(broker.address, idempotence=False)
        publisher.send("purchases", "ann", b"{}")
        publisher.flush()
        broker.kill()
        with instead(broker.port):
            publisher.send("purchases", "ann", b"1")
            turns.clear()
            with pytest.raises(DeliveryError):
                publisher.flush(timeout=1.0)
            in_a_second = len(turns)
        with pytest.raises(DeliveryError):
            publisher.close(timeout=0.1)

    assert in_a_second < 400  # a whole core is twenty thousand


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("refused_connections")
def test_a_broker_that_stays_away_is_asked_for_every_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays, delay = [], KafkaConnectionManager.update_backoff

    def noted(manager: KafkaConnectionManager, node: int) -> float:
        delays.append(delay(manager, node))
        return float(delays[-1])

    with EmbeddedBroker() as broker:
        publisher = CheckoutPublisher(broker.address, reconnect_backoff_ms=500)
        publisher.send("purchases", "ann", b"{}")
        publisher.flush()
        monkeypatch.setattr(KafkaConnectionManager, "update_backoff", noted)
        broker.kill()
        publisher.send("purchases", "ann", b"1")
        with pytest.raises(DeliveryError):
            publisher.flush(timeout=5.0)
        with pytest.raises(DeliveryError):
            publisher.close(timeout=0.1)

    assert len(delays) > 2
    assert max(delays) <= 1_200  # ms: a second and a fifth, which is left to chance
