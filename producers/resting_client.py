"""kafka-python's client, whose sender rests while a broker does not answer.

Version 3.0 tells it the delay before the next attempt in seconds where it expects milliseconds, 0
while it connects, and keeps no delay after a connection that is opened and closed at once, as a
load balancer without a broker behind it does. Its thread would take a whole core until the broker
is back.
"""

import time
from typing import Any

from kafka.net.compat import KafkaNetClient

RECONNECT_MS = 50


class RestingClient(KafkaNetClient):  # type: ignore[misc]
    """Try a broker at most every 50 ms."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._tried: dict[int, float] = {}

    def connection_delay(self, node_id: int) -> float:
        """Milliseconds for which a sender may wait before it looks again."""
        return max(RECONNECT_MS, float(super().connection_delay(node_id)))

    def maybe_connect(self, node_id: int, **options: Any) -> None:
        """Connect, unless that was tried just now."""
        now = time.monotonic()
        if now - self._tried.get(node_id, 0.0) >= RECONNECT_MS / 1000:
            self._tried[node_id] = now
            super().maybe_connect(node_id, **options)
