"""The stores under test, opened empty, with what only a test does to them."""

from copy import deepcopy
from typing import Any, Protocol, cast

import msgspec
from redis.asyncio import Redis

from stream_app.adapters.memory_store import MemoryStore
from stream_app.adapters.redis_client import connect
from stream_app.adapters.redis_store import RedisStore
from stream_app.core.messages import Outgoing
from stream_app.ports import PartitionStore, Pending
from tests.harness import until

_outgoing = msgspec.msgpack.Decoder(Outgoing)


class Server(Protocol):
    """A store that can be looked into and rolled back."""

    @property
    def store(self) -> PartitionStore: ...

    async def outbox(self, partition: int) -> tuple[Pending, ...]:
        """Read what waits to be published."""

    async def copy(self, partition: int) -> Any:
        """Copy all that is stored of a partition."""

    async def put_back(self, partition: int, copy: Any, epoch: int) -> None:
        """Replace all by a copy, once the clock has passed the greatest epoch ever given (ms).

        Epochs run ahead of the clock only where a partition is claimed twice in a millisecond,
        and no server comes back that fast.
        """

    async def close(self) -> None:
        """Let go."""


class MemoryServer:
    """The memory store by a clock of its own."""

    def __init__(self) -> None:
        self.clock = 1_000
        self.store = MemoryStore(now=lambda: self.clock)

    async def outbox(self, partition: int) -> tuple[Pending, ...]:
        return tuple(self.store._of(partition).outbox.values())

    async def copy(self, partition: int) -> Any:
        return deepcopy(self.store._of(partition))

    async def put_back(self, partition: int, copy: Any, epoch: int) -> None:
        self.clock = max(self.clock, epoch) + 1
        self.store._partitions[partition] = deepcopy(copy)

    async def close(self) -> None:
        """There is nothing to let go of."""


class RedisServer:
    """The Redis store on a server that it has to itself; left empty."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = connect(url)
        self.store = RedisStore(self._redis)

    async def outbox(self, partition: int) -> tuple[Pending, ...]:
        reply = await self._redis.xrange(self.store._key(partition, "out"))
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", reply)
        return tuple(Pending(i.decode(), _outgoing.decode(fields[b"m"])) for i, fields in entries)

    async def copy(self, partition: int) -> Any:
        return {key: await self._redis.dump(key) for key in await self._keys(partition)}

    async def put_back(self, partition: int, copy: Any, epoch: int) -> None:
        await until(lambda: self._is_past(epoch), "the clock passes the greatest epoch")
        for key in await self._keys(partition):
            await self._redis.delete(key)
        for key, value in copy.items():
            await self._redis.restore(key, 0, value)

    async def _keys(self, partition: int) -> list[bytes]:
        return cast("list[bytes]", await self._redis.keys(self.store._key(partition, "*")))

    async def _is_past(self, ms: int) -> bool:
        seconds, micros = await self._redis.time()
        return seconds * 1000 + micros // 1000 > ms

    async def close(self) -> None:
        await self._redis.flushall()
        await self.store.close()
