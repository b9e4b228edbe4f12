"""What the store says of a system, asked from outside."""

from typing import Any, cast

import redis

from stream_app.adapters.redis_store import prefix_of
from stream_app.config import Settings


class Store:
    """The store asked from outside, over a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.client = redis.Redis.from_url(settings.redis_url)

    def positions(self, topic: str = "") -> list[int]:
        """Return the next offset of each partition."""
        source = self._settings.topic_purchases
        with self.client.pipeline(transaction=False) as pipe:
            for key in self.keys("wm"):
                pipe.hget(key, f"next:{topic or source}")
            return [int(value or 0) for value in pipe.execute()]

    def applied(self) -> int:
        """Count the records of the purchases topic that are applied."""
        return sum(self.positions())

    def counters(self) -> dict[str, int]:
        """Sum the partitions' counters, by name."""
        total: dict[str, int] = {}
        for key in self.keys("wm"):
            fields = cast("dict[bytes, bytes]", self.client.hgetall(key))
            for name, value in fields.items():
                if name.startswith(b"count:"):
                    short = name.decode().removeprefix("count:")
                    total[short] = total.get(short, 0) + int(value)
        return total

    def keys(self, name: str) -> list[str]:
        """Name a key of every partition."""
        s = self._settings
        prefix = prefix_of(s.namespace, 1)
        return [f"{prefix}:{{{s.topic_purchases}:{p}}}:{name}" for p in range(s.partitions)]

    def model(self) -> int:
        """Return the newest model's version, 0 when there is none."""
        key = f"{self._settings.namespace}:{{models}}:latest"
        return int(cast("bytes | None", self.client.get(key)) or 0)

    def buyers(self) -> int:
        """Count the customers who ever bought."""
        counts: list[int] = [cast("Any", self.client.zcard(key)) for key in self.keys("due")]
        return sum(counts)

    def placed(self) -> int:
        """Count the customers who have a segment."""
        return sum(n for name, n in self.counters().items() if name.startswith("segment:"))

    def calls(self, command: str) -> int:
        """Return how often a command was called since the store started."""
        stats = self.client.info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])

    def moves(self) -> int:
        """Return how many messages went through the outbox since the store started."""
        return self.calls("xadd")

    def memory(self) -> int:
        """Return the bytes in use, all keys counted."""
        return int(self.client.info("memory")["used_memory"])

    def forget(self) -> None:
        """Remove everything."""
        self.client.flushdb()
