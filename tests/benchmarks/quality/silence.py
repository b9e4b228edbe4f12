"""What a model sees that learns at purchases only: the vector of a customer who has just bought."""

import random
from collections import deque
from collections.abc import Sequence

import numpy as np

from stream_app.contracts import ModelSnapshot, PopulationSample, SampledCustomer, SegmentChanged
from stream_app.core.events import to_datetime
from stream_app.core.training import Trainer
from stream_app.pipeline import Chunk
from stream_app.trainer import training_config
from tests.benchmarks.quality.population import Population, nearest, scaled
from tests.benchmarks.quality.replay import CREATED, Observer, Replay
from tests.benchmarks.quality.results import Bar, Findings, Row

SILENT_DAYS = 90.0
LATEST = 500
OWN = Bar(">=", 0.5)


class PurchasesOnly(Observer):
    """Trains a second model, same trainer and rate, on customers at the moment of a purchase."""

    def __init__(self) -> None:
        self._trainer: Trainer | None = None
        self._random = random.Random(0)
        self._latest: deque[SampledCustomer] = deque(maxlen=LATEST)
        self._snapshot: ModelSnapshot | None = None
        self._ratios: list[float] = []

    def moved(self, replay: Replay, moves: Sequence[SegmentChanged], chunk: Chunk | None) -> None:  # noqa: ARG002
        """Remember the latest purchases."""
        states = replay.session.cache
        for record in chunk.records if chunk else ():
            customer = (record.key or b"").decode()
            if (state := states.get(customer)) and state.orders:
                vector = replay.features.vector(state, state.last)
                self._latest.append(SampledCustomer(customer_id=customer, vector=vector))

    def sampled(self, replay: Replay, sample: PopulationSample) -> None:
        """Learn from as many of them as ours learned from customers."""
        if self._latest:
            self._learn(replay, self._random.choices(self._latest, k=len(sample.customers)))

    def _learn(self, replay: Replay, drawn: Sequence[SampledCustomer]) -> None:
        if self._trainer is None:
            self._trainer = Trainer(replay.features, training_config(replay.settings))
        sample = PopulationSample(
            feature_set=replay.features.version,
            partition=0,
            population=len(replay.session.cache),
            event_time=to_datetime(replay.clock),
            customers=tuple(drawn),
        )
        self._snapshot = self._trainer.learn(sample, CREATED) or self._snapshot

    def month(self, replay: Replay) -> None:
        """Compare it with batch clustering of the population."""
        if self._snapshot and replay.snapshot:
            ratio = replay.population().served_ratio(self._snapshot, replay.settings.seed)
            self._ratios.append(ratio)

    def findings(self, replay: Replay) -> Findings:
        """Inertia on the population, and where the silent customers are."""
        if self._snapshot is None or replay.snapshot is None:
            return Findings()
        where = (replay.data, replay.settings.seed)
        people = replay.population()
        ours, theirs = (silent_apart(people, m) for m in (replay.snapshot, self._snapshot))
        best = silent_apart(people, optimal(people, replay.snapshot, replay.settings.seed))
        silent = float(np.mean(people.natural[:, 0] > SILENT_DAYS))
        name = "silent customers in a segment of their own"
        return Findings(
            [
                Row(
                    "bias",
                    "inertia ratio, median month, learned at purchases only",
                    *where,
                    float(np.median(self._ratios)),
                ),
                Row("bias", f"{name}, ours", *where, ours, OWN),
                Row("bias", f"{name}, batch optimum", *where, best),
                Row("bias", f"{name}, learned at purchases only", *where, theirs),
                Row("bias", "customers silent for over 90 days", *where, silent),
            ]
        )


def optimal(people: Population, snapshot: ModelSnapshot, seed: int) -> ModelSnapshot:
    """Put the centres of the best of ten batch k-means of the population into a snapshot."""
    _, centres = people.optimum(snapshot.scaling, len(snapshot.centres), seed)
    return snapshot.model_copy(update={"centres": tuple(map(tuple, centres.tolist()))})


def silent_apart(people: Population, snapshot: ModelSnapshot) -> float:
    """Part of the customers silent for over 90 days who are in segments where most are silent."""
    silent = people.natural[:, 0] > SILENT_DAYS
    labels = nearest(scaled(people.transformed, snapshot.scaling), np.array(snapshot.centres))
    quiet = [i for i in np.unique(labels) if silent[labels == i].mean() > 0.5]
    return float(np.isin(labels[silent], quiet).mean()) if silent.any() else 1.0
