"""Customers put into the store directly, judged by our own core, to have many of them fast.

Only while no worker runs: a claim fences the one that does.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any, TypeVar, cast

import redis

from producers.sources import DAY_MS
from stream_app.adapters.queries import partition_of
from stream_app.adapters.redis_store import RedisStore
from stream_app.bootstrap import features_of, store_of
from stream_app.config import Settings
from stream_app.contracts import ModelSnapshot, Reason
from stream_app.core.events import to_datetime
from stream_app.core.folds import MICROS, CustomerState, Order, fold_order, unpacked
from stream_app.core.model import Models, SegmentModel
from stream_app.core.scoring import Case
from stream_app.core.transitions import Judge
from stream_app.core.versions import with_name
from stream_app.ports import ApplyStatus, Batch, CustomerWrite
from tests.benchmarks.performance.loads import CATEGORIES

TEMPLATES = 1_000
ASKED = 2_000
BATCH = 1_000
SOONEST, LATEST = DAY_MS, 400 * DAY_MS
HABITS = [(orders, total) for orders in (1, 2, 3, 5, 8) for total in (10.0, 40.0, 120.0)]

Member = tuple[str, CustomerState]
Result = TypeVar("Result")


class NoLapseError(Exception):
    """Under this model nobody lapses by silence alone."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes states as the worker would, under the model that serves."""

    settings: Settings
    snapshot: ModelSnapshot

    def state(self, orders: int, total: float, last: int, gap_days: float = 20.0) -> CustomerState:
        """State of somebody judged at their last order, at ``last`` (ms)."""
        features = features_of(self.settings)
        state = CustomerState()
        for n in range(orders):
            at = last - round((orders - 1 - n) * gap_days * DAY_MS)
            wares = (CATEGORIES[(n + i) % len(CATEGORIES)] for i in range(3))
            categories = tuple((name, round(total / 3 * MICROS)) for name in wares)
            money, off = round(total * MICROS), MICROS // 2
            event = f"stored-{last}-{orders}-{n}"
            order = Order(event, "x", at, False, money, off, 3, categories, "web")
            fold_order(state, order, features.half_life_ms)
        models = Models()
        models.add(SegmentModel(self.snapshot, features, self.settings.margin))
        judge = Judge(models, 1, last, self.settings.topic_purchases, 0, replay=False)
        judge.judge([Case("x", state, last, Reason.PURCHASE)])
        return state

    def crowd(
        self, names: Sequence[str], now: int, seed: int, gap_days: float = 20.0
    ) -> Iterator[Member]:
        """Give each name one of a thousand different histories; nobody is due before ``now``.

        They buy every ``gap_days`` on average, and most did within three times of that.
        """
        rng = Random(seed)
        found: list[CustomerState] = []
        while len(found) < min(TEMPLATES, len(names)):
            last = now - round(rng.uniform(0, 3 * gap_days) * DAY_MS)
            gap = rng.uniform(0.1, 1.9) * gap_days
            state = self.state(rng.randrange(1, 12), rng.uniform(5, 150), last, gap)
            if not state.due or state.due > now:
                found.append(state)
        return ((name, found[i % len(found)]) for i, name in enumerate(names))

    def cohort(self, names: Sequence[str], instant: int) -> Iterator[Member]:
        """Give all the same history, so that silence moves all of them at ``instant`` (ms)."""
        for orders, total in HABITS:
            probe = self.state(orders, total, instant)
            silence = probe.due - probe.last
            if probe.due and SOONEST < silence < LATEST:
                state = self.state(orders, total, instant - silence)
                return ((name, state) for name in names)
        raise NoLapseError(
            "no history of the benchmark's lapses under this model: use another seed"
        )


def snapshot_of(settings: Settings) -> ModelSnapshot:
    """Read the newest model."""

    async def read(store: RedisStore) -> ModelSnapshot:
        found = await store.load_model(await store.latest_version())
        if found is None:
            raise LookupError("there is no model")
        return found

    return asyncio.run(_with_store(settings, read))


def save(settings: Settings, snapshot: ModelSnapshot) -> None:
    """Store a model as it is; RuntimeError if its version is not the next."""
    if not asyncio.run(_with_store(settings, lambda store: store.save_model(snapshot))):
        raise RuntimeError(f"model {snapshot.version} is not the next: does a trainer run?")


def rename(settings: Settings, name: str, now: int) -> int:
    """Store a new version in which one segment is called otherwise; return its number.

    As ``segmenter model rename`` does, without the start of that program beside what is measured.
    """
    latest = snapshot_of(settings)
    new = with_name(latest, latest.segments[0].id, name, to_datetime(now))
    save(settings, new)
    return new.version


def put(settings: Settings, members: Iterator[Member]) -> None:
    """Write customers into the store."""
    asyncio.run(_with_store(settings, lambda store: _put(store, settings, members)))


async def _put(store: RedisStore, settings: Settings, members: Iterator[Member]) -> None:
    split: dict[int, list[CustomerWrite]] = {p: [] for p in range(settings.partitions)}
    for name, state in members:
        write = CustomerWrite(name, state, state.due or None)
        split[partition_of(name, settings.partitions)].append(write)
    parts = split.items()
    await asyncio.gather(*(_put_part(store, settings.topic_purchases, *part) for part in parts))


async def _put_part(
    store: RedisStore, topic: str, partition: int, writes: Sequence[CustomerWrite]
) -> None:
    claim = await store.claim(partition, "bench")
    position = claim.positions.get(topic, 0)
    waiting, last = iter(writes), ""
    for n, part in enumerate(iter(lambda: list(islice(waiting, BATCH)), []), 1):
        segments = Counter(f"segment:{w.state.segment if w.state else 0}" for w in part)
        at = (topic, position, position, claim.clock)
        batch = Batch(f"{claim.epoch}-{n}", *at, part, counts=segments, after=last)
        applied = await store.apply(partition, claim.epoch, batch)
        if applied.status is not ApplyStatus.OK:
            raise RuntimeError(f"the store says {applied.status}: is a worker running?")
        last = batch.id


async def _with_store(
    settings: Settings, work: Callable[[RedisStore], Coroutine[Any, Any, Result]]
) -> Result:
    store = store_of(settings)
    try:
        return await work(store)
    finally:
        await store.close()


class Walked:
    """Tells how far the re-scoring is, by the same two thousand customers each time."""

    def __init__(self, settings: Settings, names: Sequence[str], seed: int = 1) -> None:
        store = store_of(settings)
        asked = Random(seed).sample(names, min(ASKED, len(names)))
        places = [(partition_of(name, settings.partitions), name) for name in asked]
        self._keys = [store._customer(partition, name) for partition, name in places]
        self._client = redis.Redis.from_url(settings.redis_url)

    def all_by(self, version: int) -> bool:
        """Tell whether this model, or a later one, judged every one of them last."""
        values = cast("list[bytes | None]", self._client.mget(self._keys))
        return all(unpacked(value).model >= version for value in values if value)
