"""The services that tests share, and unique names on them.

Where the embedded programs are missing, tests that need them are skipped on a laptop and fail
in CI.
"""

import os
from collections.abc import Callable, Iterator
from typing import TypeVar
from uuid import uuid4

import hypothesis
import pytest
import redis

from stream_app.adapters.embedded import EmbeddedBroker, EmbeddedStore, MissingServiceError

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.load_profile("ci")

Service = TypeVar("Service", EmbeddedBroker, EmbeddedStore)


def _started(service: Service) -> Service:
    try:
        return service.start()
    except MissingServiceError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """Address of a broker that all tests share: use unique topic names."""
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
