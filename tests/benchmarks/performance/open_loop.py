"""Publishes purchases on schedule, whatever happened to those before: shoppers do not wait.

A record's timestamp is the time at which it was to be sent, so that a publisher that falls behind
makes the latency worse, not better.
"""

import sys
import time
from typing import Any

import msgspec

from tests.benchmarks.performance.loads import producer_of, shop

BLOCK = 50
STEP_S = 0.001
LINGER_MS = 1  # counted as latency; the embedded broker can't take 5,000 requests a second


def main(given: dict[str, Any]) -> None:
    """Send ``rate`` purchases a second for so many ``seconds`` from ``began`` (ms) on.

    The rest of ``given``: broker, topic, customers and seed.
    """
    producer = producer_of(given["broker"], {"linger.ms": LINGER_MS})
    producer.list_topics(given["topic"])
    rate, began = given["rate"], given["began"]
    for start in range(0, round(rate * given["seconds"]), BLOCK):
        times = [began + n * 1000 // rate for n in range(start, start + BLOCK)]
        seed = given["seed"] * 1_000_000 + start
        events = shop("uniform", BLOCK, given["customers"], seed, times)
        for at, (customer, value) in zip(times, events, strict=True):
            while (left := at / 1000 - time.time()) > 0:
                producer.poll(min(left, STEP_S))
            producer.produce(given["topic"], value, customer, timestamp=at)
    if producer.flush(30.0):
        raise SystemExit("not every purchase was acknowledged within 30 s")


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1]))
