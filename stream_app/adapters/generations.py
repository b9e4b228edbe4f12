"""Generations of stored customers: which one serves, and what a rebuild keeps beside them.

``<namespace>:generation`` is the one that serves (absent: 1). Beside the keys of `RedisStore` a
generation that a rebuild made has ``:moves`` per partition, a hash from customer to the latest
move decided in the rebuild, and in ``:meta`` under ``epoch:<p>`` the epoch these moves are sent
with.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, cast

from stream_app.adapters.redis_session import connected
from stream_app.adapters.redis_store import SCRIPTS, prefix_of
from stream_app.config import Settings
from stream_app.contracts import ModelSnapshot

if TYPE_CHECKING:
    from redis.asyncio import Redis

SCAN = 1_000
Switched = Literal["OK", "BUSY", "MOVED"]


class Generations:
    """All generations of one deployment (namespace)."""

    def __init__(self, client: "Redis", namespace: str) -> None:
        self._redis = client
        self._namespace = namespace
        self._pointer = f"{namespace}:generation"
        self._switch = client.register_script((SCRIPTS / "switch.lua").read_text())

    def _key(self, generation: int, topic: str, partition: int, name: str) -> str:
        return f"{prefix_of(self._namespace, generation)}:{{{topic}:{partition}}}:{name}"

    async def current(self) -> int:
        """Return the generation that serves."""
        return int(await self._redis.get(self._pointer) or 1)

    async def switch(self, old: int, new: int, topic: str, epochs: Mapping[int, int]) -> Switched:
        """Let ``new`` serve. BUSY: a partition of ``old`` no longer has the epoch given.

        MOVED: another generation than ``old`` serves already.
        """
        keys = [self._pointer, *(self._key(old, topic, p, "wm") for p in epochs)]
        answer = await self._switch(keys=keys, args=[old, new, *epochs.values()])
        return cast("Switched", answer.decode())

    async def facts(self, generation: int) -> dict[str, str]:
        """Read under which settings a generation was counted; empty where there is none."""
        key = f"{prefix_of(self._namespace, generation)}:meta"
        found = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(key))
        return {name.decode(): value.decode() for name, value in found.items()}

    async def note(self, generation: int, facts: Mapping[str, str]) -> None:
        """Add to the facts of a generation."""
        key = f"{prefix_of(self._namespace, generation)}:meta"
        pairs = [part for pair in facts.items() for part in pair]
        await self._redis.hset(key, items=pairs)

    async def others(self) -> list[int]:
        """List the generations that have keys and do not serve."""
        found: set[int] = set()
        pattern = re.compile(re.escape(self._namespace) + r"(?:\.g(\d+))?:(?:meta$|\{.*:\d+\}:)")
        async for key in self._redis.scan_iter(match=f"{self._namespace}*", count=SCAN):
            if match := pattern.match(key.decode(errors="replace")):
                found.add(int(match[1] or 1))
        return sorted(found - {await self.current()})

    async def drop(self, generation: int) -> int:
        """Remove all keys of a generation's customers, never of the one that serves; count them."""
        if generation == await self.current():
            raise ValueError(f"generation {generation} serves")
        prefix = prefix_of(self._namespace, generation)
        pattern = re.compile(re.escape(prefix) + r":(?:meta$|\{.*:\d+\}:)")
        gone, batch = 0, list[bytes]()
        async for key in self._redis.scan_iter(match=f"{prefix}:*", count=SCAN):
            if pattern.match(key.decode(errors="replace")):
                batch.append(key)
            if len(batch) >= SCAN:
                gone += int(await self._redis.unlink(*batch))
                batch.clear()
        return gone + (int(await self._redis.unlink(*batch)) if batch else 0)

    async def hold(
        self, generation: int, home: tuple[str, int], moves: Mapping[str, bytes | None]
    ) -> None:
        """Keep the latest move (JSON) of each customer of a partition; None forgets it."""
        key = self._key(generation, *home, "moves")
        kept = [x for who, move in moves.items() if move is not None for x in (who, move)]
        gone = [customer for customer, move in moves.items() if move is None]
        async with self._redis.pipeline(transaction=False) as pipe:
            if kept:
                pipe.hset(key, items=kept)
            if gone:
                pipe.hdel(key, *gone)
            await pipe.execute()

    async def held(self, generation: int, home: tuple[str, int]) -> AsyncIterator[dict[str, bytes]]:
        """Yield all moves kept of a partition in portions; each is forgotten once it was used."""
        key = self._key(generation, *home, "moves")
        while True:
            reply = self._redis.hscan(key, 0, count=SCAN)
            _, found = await cast("Awaitable[tuple[int, dict[bytes, bytes]]]", reply)
            if not found and not await self._redis.exists(key):
                return
            yield {customer.decode(): move for customer, move in found.items()}
            if found:
                await self._redis.hdel(key, *found)

    async def restore_models(self, snapshots: Sequence[ModelSnapshot]) -> bool:
        """Put back the versions of a store that has none; tell whether it had none."""
        key = f"{self._namespace}:{{models}}"
        if not snapshots or await self._redis.exists(f"{key}:latest"):
            return False
        async with self._redis.pipeline(transaction=True) as pipe:
            for snapshot in snapshots:
                pipe.hsetnx(f"{key}:history", str(snapshot.version), snapshot.model_dump_json())
            pipe.set(f"{key}:latest", max(s.version for s in snapshots), nx=True)
            *_, done = await pipe.execute()
        return bool(done)


@asynccontextmanager
async def generations(settings: Settings) -> AsyncIterator[Generations]:
    """Open the generations for a ``with`` block; ConfigError if the store does not answer."""
    async with connected(settings) as client:
        yield Generations(client, settings.namespace)


def latest_moves(messages: Iterable[tuple[bytes | None, bytes | None]]) -> dict[str, bytes | None]:
    """Reduce (customer, move) messages to the last of each customer.

    >>> latest_moves([(b"ann", b"1"), (b"bob", b"2"), (b"ann", None)])
    {'ann': None, 'bob': b'2'}
    """
    return {(key or b"").decode(): value for key, value in messages}
