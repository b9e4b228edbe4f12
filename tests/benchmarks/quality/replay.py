"""A history through the pipeline, the store in memory and the trainer, in lockstep.

One partition, the event clock, no broker. Records are taken 128 at a time; after each such chunk
the due lapses happen, a share of stored customers goes to the trainer, and a new snapshot serves
at once: everybody is judged again before the next chunk.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from time import process_time
from typing import NamedTuple

from producers.sources import Record
from stream_app.adapters.memory_store import MemoryStore
from stream_app.bootstrap import features_of, pipeline_of
from stream_app.config import ClockMode, Settings
from stream_app.contracts import ModelSnapshot, PopulationSample, SegmentChanged
from stream_app.core.events import to_datetime
from stream_app.core.folds import CustomerState
from stream_app.core.model import Models, SegmentModel
from stream_app.core.training import Trainer
from stream_app.pace import LaneSettings
from stream_app.pipeline import Chunk, Outcome, Session
from stream_app.trainer import training_config
from tests.benchmarks.quality.population import Population
from tests.benchmarks.quality.results import Findings

CHUNK = 128
EVERYBODY = 1_000_000_000
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


class Taken(NamedTuple):
    """A record as the pipeline reads it; ``timestamp`` is its event time (ms)."""

    offset: int
    key: bytes
    value: bytes | None
    timestamp: int
    headers: tuple[tuple[str, bytes], ...] = ()


class Finder(ABC):
    """Whoever has something to tell in the end."""

    @abstractmethod
    def findings(self, replay: "Replay") -> Findings:
        """Everything was replayed: what was seen."""


class Observer(Finder):
    """Looks on while a history is replayed; the methods are called in the order given here.

    ``places``: whether it looks at the segments customers are in, or at centres only.
    """

    places = False

    def moved(self, replay: "Replay", moves: Sequence[SegmentChanged], chunk: Chunk | None) -> None:
        """Customers moved; ``chunk`` is None for swept lapses and for a new model.

        Moves are only given if some observer looks at places.
        """

    def sampled(self, replay: "Replay", sample: PopulationSample) -> None:
        """The trainer learned from a sample."""

    def published(self, replay: "Replay", snapshot: ModelSnapshot) -> None:
        """A snapshot serves; if anyone looks at places, everybody was judged by it."""

    def month(self, replay: "Replay") -> None:
        """A calendar month has ended in event time."""


@dataclass(slots=True)
class Cost:
    """CPU seconds of the trainer and the vectors it learned from."""

    seconds: float = 0.0
    vectors: int = 0


class Replay:
    """One run. ``learning`` may be switched off on the way: the serving model then stays.

    Unless an observer looks at places, a new model judges customers only as they buy or lapse.
    """

    def __init__(
        self, settings: Settings, observers: Sequence[Observer] = (), data: str = ""
    ) -> None:
        changes = {"clock": ClockMode.EVENT}
        self.settings = settings.model_copy(update=changes)
        self.data = data
        self.features = features_of(settings)
        self.models = Models()
        self.store = MemoryStore(seed=settings.seed)
        self.pipeline = pipeline_of(self.settings, self.store, self.models)
        self.trainer = Trainer(self.features, training_config(settings))
        self.session = Session(0, 0, {}, 0)
        self.snapshot: ModelSnapshot | None = None
        self.learning = True
        self.cost = Cost()
        self.observers = observers
        self._topics = {
            "purchase": self.settings.topic_purchases,
            "profile": self.settings.topic_profiles,
        }
        self._budget = 0.0
        self._rates = LaneSettings(
            settings.sample_share, settings.sample_daily * settings.partitions, 0, 0
        )

    @property
    def clock(self) -> int:
        """Highest event time so far, ms."""
        return self.session.clock

    async def run(self, records: Iterable[Record]) -> Findings:
        """Replay the records, in time order, and gather what the observers found."""
        if not self.session.epoch:
            self.session = Session.of(0, await self.store.claim(0, "replay"), EVERYBODY)
        for _, month in groupby(records, key=lambda r: to_datetime(r.at).strftime("%Y-%m")):
            for portion in _portions(month):
                await self._take(portion)
            for observer in self.observers:
                observer.month(self)
        found = Findings()
        for observer in self.observers:
            found += observer.findings(self)
        return found

    def population(self) -> Population:
        """Everybody stored, evaluated now."""
        return Population.of(self.states(), self.features, self.clock)

    def states(self) -> dict[str, CustomerState]:
        """States of all customers who bought, as the session remembers them: everybody."""
        held = sorted(self.session.cache.items())
        return {customer: state for customer, state in held if state.orders}

    async def _take(self, portion: Sequence[Record]) -> None:
        """Apply a portion, each run of one kind as a chunk; then do what follows from it."""
        for kind, run in groupby(portion, key=lambda record: record.kind):
            topic = self._topics[kind]
            base = self.session.positions.get(topic, 0)
            records = [
                Taken(base + i, r.customer_id.encode(), r.value or None, r.at)
                for i, r in enumerate(run)
            ]
            chunk = Chunk(topic, 0, base, base + len(records), records)
            before = self.clock
            outcome = await self.pipeline.process(self.session, chunk, portion[-1].at)
            self._budget += self._rates.samples(len(records), before, self.clock)
            await self._done(outcome, chunk)
        await self.lapse()
        await self._train()

    async def lapse(self) -> None:
        """Let everybody lapse whose silence is due."""
        while outcome := await self.pipeline.lapse(self.session, self.clock):
            await self._done(outcome)

    async def _train(self) -> None:
        count = int(self._budget)
        self._budget -= count
        if not self.learning or not count:
            return
        sample = await self.pipeline.sample(self.session, count, self.clock)
        if sample is None:
            return
        began = process_time()
        snapshot = self.trainer.learn(sample, CREATED)
        self.cost.seconds += process_time() - began
        self.cost.vectors += len(sample.customers)
        for observer in self.observers:
            observer.sampled(self, sample)
        if snapshot:
            await self.serve(snapshot)

    async def rescore(self) -> None:
        """Judge everybody by the serving model."""
        _, outcome = await self.pipeline.rescore(self.session, 0, EVERYBODY, self.clock)
        if outcome:
            await self._done(outcome)

    @property
    def _places(self) -> bool:
        return any(observer.places for observer in self.observers)

    async def serve(self, snapshot: ModelSnapshot) -> None:
        """Serve a snapshot from now on."""
        self.snapshot = snapshot
        self.models.add(SegmentModel(snapshot, self.features, self.settings.margin))
        if self._places:
            await self.rescore()
        for observer in self.observers:
            observer.published(self, snapshot)

    async def _done(self, outcome: Outcome, chunk: Chunk | None = None) -> None:
        if not outcome.ok or outcome.counts["dead"]:
            raise RuntimeError(f"{self.data}: a chunk was refused: {outcome}")
        await self.store.trim(0, [pending.id for pending in outcome.outbox])
        messages = [pending.message for pending in outcome.outbox] if self._places else []
        moves = [
            SegmentChanged.model_validate_json(message.value)
            for message in messages
            if message.topic == self.settings.topic_changes and message.value
        ]
        for observer in self.observers:
            observer.moved(self, moves, chunk)


def _portions(records: Iterable[Record]) -> Iterator[list[Record]]:
    records = iter(records)
    while portion := list(islice(records, CHUNK)):
        yield portion
