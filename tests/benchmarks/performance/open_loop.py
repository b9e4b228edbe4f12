"""Publishes purchases on schedule, whatever happened to those before: shoppers do not wait.

A record's timestamp is the time at which it was to be sent, so that a publisher that falls behind
makes the latency worse, not better.
"""

import sys
import time
from typing import Any

import msgspec

from tests.benchmarks.performance.loads import producer_of, shop

LINGER_MS = 1
STEP_S = 0.002  # at most this late, and counted as latency: waking for each costs half a core


def main(given: dict[str, Any]) -> None:
    """Send ``rate`` purchases a second for so many ``seconds`` from ``began`` (ms) on.

    All are made before, so that making them takes nothing from whom is measured. The rest of
    ``given``: broker, topic, customers and seed.
    """
    producer = producer_of(given["broker"], {"linger.ms": LINGER_MS})
    producer.list_topics(given["topic"])
    rate, began = given["rate"], given["began"]
    times = [began + n * 1000 // rate for n in range(round(rate * given["seconds"]))]
    events = shop("uniform", len(times), given["customers"], given["seed"], times)
    for at, (customer, value) in zip(times, events, strict=True):
        if (left := at / 1000 - time.time()) > 0:
            time.sleep(left + STEP_S)
            producer.poll(0)
        producer.produce(given["topic"], value, customer, timestamp=at)
    if producer.flush(30.0):
        raise SystemExit("not every purchase was acknowledged within 30 s")


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1]))
