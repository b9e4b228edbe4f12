"""The services that tests share, and unique names on them.

Where the embedded programs are missing, tests that need them are skipped on a laptop and fail
in CI. With TEST_KAFKA_BROKERS=1 or 3 the broker is Apache Kafka (`make test-kafka`).
"""

import gc
import logging
import os
from collections.abc import Callable, Iterator
from typing import TypeVar
from uuid import uuid4

import hypothesis
import pytest
import redis

from stream_app.adapters.embedded import EmbeddedBroker, EmbeddedStore, MissingServiceError
from tests.harness import KAFKA_BROKERS
from tests.kafka.cluster import Cluster
from tests.kafka.libraries import libraries

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.load_profile("ci")

SHARED = {"broker", "cluster"}
Service = TypeVar("Service", EmbeddedBroker, EmbeddedStore)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On Apache Kafka run only what talks to the shared broker."""
    if KAFKA_BROKERS:
        others = [item for item in items if not SHARED & set(getattr(item, "fixturenames", ()))]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def _started(service: Service) -> Service:
    try:
        return service.start()
    except MissingServiceError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Apache Kafka that all tests share: leave every broker running and in sync."""
    if not KAFKA_BROKERS:
        pytest.skip("needs Apache Kafka: make test-kafka")
    with Cluster(KAFKA_BROKERS, libraries()) as running:
        yield running


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a broker that all tests share: use unique topic names."""
    if KAFKA_BROKERS:
        yield request.getfixturevalue("cluster").address
        return
    service = _started(EmbeddedBroker())
    yield service.address
    service.stop()


@pytest.fixture(scope="session")
def store_server() -> Iterator[EmbeddedStore]:
    """A store that all tests share."""
    service = _started(EmbeddedStore())
    yield service
    service.stop()


@pytest.fixture
def redis_url(store_server: EmbeddedStore) -> str:
    """URL of the shared store, emptied."""
    with redis.Redis.from_url(store_server.url) as client:
        client.flushall()
    return store_server.url


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make a name that no other test uses, for topics and groups."""
    return lambda name: f"{name}-{uuid4().hex[:8]}"


@pytest.fixture
def refused_connections() -> Iterator[None]:
    """Collect the sockets that the client leaves open when a connection is refused.

    Its log is off meanwhile: kept log records would hold on to them.
    """
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    gc.collect()
