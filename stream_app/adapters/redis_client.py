"""The connection to Redis or Valkey, and what its errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from redis.asyncio import Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import (
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from stream_app.ports import StoreUnavailableError

OUTAGES = (ClusterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)
OUTAGE_WORDS = ("MISCONF", "NOREPLICAS")  # answers that redis-py has no class for


class _Packed(Connection):
    """Packs commands in C: of thousands of arguments, that takes a tenth of the time."""

    def pack_command(self, *args: Any) -> list[bytes]:
        return cast("list[bytes]", HiredisRespSerializer().pack(*args))


def connect(url: str, timeout: float = 2.0) -> Redis:
    """Open a client that retries three times by itself: every command we send may be repeated."""
    packed: dict[str, Any] = (
        {"connection_class": _Packed} if urlsplit(url).scheme == "redis" else {}
    )
    return Redis.from_url(
        url,
        **packed,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 3),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn outages into StoreUnavailableError; anything else is a defect and passes."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise StoreUnavailableError(str(error)) from error
    except ResponseError as error:
        answer = str(error).rpartition("caused error: ('")[2]  # a pipeline puts that before it
        if isinstance(error, OUTAGES) or answer.startswith(OUTAGE_WORDS):
            raise StoreUnavailableError(str(error)) from error
        raise
