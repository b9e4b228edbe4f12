"""A store that answers but refuses to write is an outage, whatever is being written."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from stream_app.adapters.embedded import EmbeddedStore
from stream_app.adapters.redis_client import connect
from stream_app.adapters.redis_store import RedisStore
from stream_app.ports import StoreUnavailableError

pytestmark = pytest.mark.integration


@pytest.fixture(
    params=[("maxmemory", 1), ("min-replicas-to-write", 1)], ids=["full", "without-replicas"]
)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    """A store that refuses to write."""
    with EmbeddedStore() as server:
        client = connect(server.url)
        await client.config_set(*request.param)
        yield client
        await client.aclose()


async def test_a_store_that_refuses_a_script_is_an_outage(client: Redis) -> None:
    with pytest.raises(StoreUnavailableError):
        await RedisStore(client).claim(0, "w1")


async def test_a_store_that_refuses_a_pipeline_is_an_outage(client: Redis) -> None:
    with pytest.raises(StoreUnavailableError):
        await RedisStore(client).settle({"PARTITIONS": "4"})
