"""What was done with dead letters, and whether a flood has halted the workers; kept in Redis.

Kafka can't say it: a letter's record stays as it is until its retention ends, and a topic of
markers would have to be read from its beginning with every command. Redis is what a deployment
already keeps and backs up, and one HSETNX decides between two operators who replay at once.

``<namespace>:{dead-letters}:handled``: a hash from `Letter.mark` to "<deed> <when>". The mark is
set to "sending" before a record leaves and to "replayed" when Kafka has it. What stays "sending"
was interrupted: it may have been sent, so it counts as handled until somebody decides.
``<namespace>:{dead-letters}:halted``: the message of the flood.
"""

from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, cast

from stream_app.adapters.redis_session import connected
from stream_app.config import Settings
from stream_app.core.flood import FloodError

if TYPE_CHECKING:
    from redis.asyncio import Redis

KEPT = timedelta(days=1)


class Deed(StrEnum):
    """What became of a letter."""

    SENDING = "sending"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class Mark(NamedTuple):
    """A deed and when it was done."""

    deed: Deed
    at: datetime

    @classmethod
    def read(cls, text: str) -> "Mark":
        """Read what is stored."""
        deed, at = text.split(" ", 1)
        return cls(Deed(deed), datetime.fromisoformat(at))

    def __str__(self) -> str:
        """Write what is stored."""
        return f"{self.deed} {self.at.isoformat(timespec='seconds')}"


class LetterMarks:
    """The marks of one deployment (namespace)."""

    def __init__(self, client: "Redis", namespace: str) -> None:
        self._redis = client
        self._handled = f"{namespace}:{{dead-letters}}:handled"
        self._halted = f"{namespace}:{{dead-letters}}:halted"

    async def all(self) -> dict[str, Mark]:
        """Read every mark."""
        reply = cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(self._handled))
        return {name.decode(): Mark.read(text.decode()) for name, text in (await reply).items()}

    async def claim(self, marks: Sequence[str], value: Mark) -> list[bool]:
        """Set those that nobody has set; tell which, so that two operators never both send."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for mark in marks:
                pipe.hsetnx(self._handled, mark, str(value))
            return [bool(answer) for answer in await pipe.execute()]

    async def put(self, marks: Iterable[str], value: Mark) -> None:
        """Set marks, whatever they were."""
        pairs = [part for mark in marks for part in (mark, str(value))]
        if pairs:
            await self._redis.hset(self._handled, items=pairs)

    async def forget(
        self, known: Mapping[str, Mark], present: Collection[str], now: datetime
    ) -> int:
        """Drop marks of letters whose retention has ended; return how many.

        ``present``: all letters of the topic. Younger than a day they stay: their letters may
        have come after the topic was read.
        """
        gone = [m for m, mark in known.items() if m not in present and now - mark.at > KEPT]
        if gone:
            await self._redis.hdel(self._handled, *gone)
        return len(gone)

    async def halt(self, message: str) -> None:
        """Keep workers from starting until `resume`."""
        await self._redis.set(self._halted, message)

    async def halted(self) -> str:
        """Return why workers must not start; empty where they may."""
        found = cast("bytes | None", await self._redis.get(self._halted))
        return (found or b"").decode()

    async def resume(self) -> bool:
        """Let workers start again; tell whether they were kept from it."""
        return bool(await self._redis.delete(self._halted))


@asynccontextmanager
async def letter_marks(settings: Settings) -> AsyncIterator[LetterMarks]:
    """Open the marks for a ``with`` block; ConfigError if the store does not answer."""
    async with connected(settings) as client:
        yield LetterMarks(client, settings.namespace)


async def refuse_halted(settings: Settings) -> None:
    """Raise FloodError where a flood has halted the workers; not where the limit is off."""
    async with letter_marks(settings) as marks:
        halted = await marks.halted()
    if halted and settings.dead_letter_limit < 1:
        raise FloodError(f"halted earlier: {halted}")
