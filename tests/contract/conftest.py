"""Both stores, for the suites that hold for each."""

from collections.abc import AsyncIterator

import pytest

from stream_app.adapters.memory_store import MemoryStore
from stream_app.adapters.redis_client import connect
from stream_app.adapters.redis_store import RedisStore
from tests.store_writes import Store


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(now=lambda: 1_000)
        return
    redis = RedisStore(connect(request.getfixturevalue("redis_url")))
    yield redis
    await redis.close()
