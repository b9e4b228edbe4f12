"""A connection to the store for the length of a ``with`` block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from stream_app.adapters.redis_client import connect
from stream_app.config import ConfigError, Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator["Redis"]:
    """Connect; ConfigError if no store is named, or it does not answer inside the block."""
    if not settings.redis_url:
        raise ConfigError("REDIS_URL is not set: for example redis://127.0.0.1:6379/0")
    client = connect(settings.redis_url)
    try:
        yield client
    except RedisError as error:
        raise ConfigError(f"REDIS_URL: the store does not answer: {error}") from None
    finally:
        await client.aclose()
