"""The trainer process: population samples in, numbered snapshots to the store and to Kafka.

One is active (the sample topic has one partition); others stand by. A snapshot whose number is
taken was made by a trainer that lost its turn: it is dropped and training continues from the
stored one.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from faust.types import TP, StreamT
from pydantic import ValidationError

from stream_app import crash
from stream_app.adapters.clock import wall_ms
from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.metrics import Metrics
from stream_app.adapters.patient_store import PatientStore
from stream_app.bootstrap import (
    faust_app,
    features_of,
    give_up,
    prepare,
    run_app,
    store_of,
)
from stream_app.config import ConfigError, Settings
from stream_app.contracts import ModelNotice, ModelSnapshot, PopulationSample
from stream_app.core.drift import Limits
from stream_app.core.events import to_datetime
from stream_app.core.messages import Outgoing
from stream_app.core.snapshots import SnapshotError
from stream_app.core.training import Trainer, TrainingConfig
from stream_app.names import read_names
from stream_app.pipeline import Chunk
from stream_app.process import tune
from stream_app.watchdog import Place

logger = logging.getLogger(__name__)
FINISH_S = 3.0
NOTICE_KEY = b"notice"


class GroupPositions:
    """PositionSource of the trainer: the group's commits are good enough for statistics."""

    def __init__(self) -> None:
        self._next: dict[TP, int] = {}
        self._begun: dict[TP, int] = {}

    async def positions(self, assigned: set[TP], generation: int) -> Mapping[TP, int | None]:  # noqa: ARG002
        """Ask Kafka for each."""
        self._next.clear()
        self._begun.clear()
        return dict.fromkeys(assigned)

    async def start(self, tp: TP, committed: int | None, earliest: int) -> int:
        """Go on after the last commit."""
        self._begun[tp] = earliest if committed is None else max(committed, earliest)
        return self._begun[tp]

    def overrun(self, tp: TP, stored: int, earliest: int) -> None:
        """Go on: samples that have expired are of no use."""

    def durable(self, tp: TP) -> int | None:
        """Return where learning got to."""
        return self._next.get(tp)

    def has_room(self, tp: TP) -> bool:  # noqa: ARG002
        """Leave that to the framework, whose buffer is for one partition here."""
        return True

    def is_busy(self) -> bool:
        """Tell that samples can always wait."""
        return True

    def release(self, revoked: set[TP]) -> None:
        """Forget the partition."""
        for tp in revoked:
            self._next.pop(tp, None)
            self._begun.pop(tp, None)

    def position(self, tp: TP) -> int | None:
        """Return the offset of the next sample; None before the partition is taken up."""
        return self._next.get(tp, self._begun.get(tp))

    def outboxes(self) -> tuple[Place, ...]:
        """Tell of nothing: the trainer has no outbox."""
        return ()

    def learned(self, chunk: Chunk) -> None:
        """Note that a chunk was learned."""
        self._next[TP(chunk.topic, chunk.partition)] = chunk.next


def training_config(settings: Settings) -> TrainingConfig:
    """Build the training settings."""
    return TrainingConfig(
        k=settings.k,
        seed=settings.seed,
        warmup_customers=settings.warmup_customers,
        warmup_days=settings.warmup_days,
        limits=Limits(**settings.drift),
        thaw=settings.thaw,
    )


def run(settings: Settings) -> NoReturn:
    """Run one trainer until it is stopped by a signal."""
    asyncio.run(prepare(settings))
    tune(settings.log_level)
    process = TrainerProcess(settings)
    run_app(process.app, process.metrics, settings, process.store, process.positions)


class TrainerProcess:
    """Everything one trainer process is made of."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._features = features_of(settings)
        self._config = training_config(settings)
        self._names = read_names(settings.names_file)
        self._store = store_of(settings)
        self.store = PatientStore(self._store, self.metrics)
        self._publisher = KafkaPublisher(settings)
        self._publishing: asyncio.Task[None] | None = None
        self._trainer: Trainer | None = None
        self._status = ""
        self._stopping = False
        self.positions = GroupPositions()
        self.app = faust_app(settings, f"{settings.group}-trainer", self.positions)
        topic = self.app.topic(settings.topic_vectors, key_serializer="raw", value_serializer="raw")
        self.app.agent(topic, name="learn")(self._learn)
        self.app.on_before_shutdown.connect(self._stop)
        steps = {"checkpoint": (self._store, "save_model"), "publish": (self._publisher, "publish")}
        crash.arm(settings.crash_at, steps)

    async def _learn(self, stream: StreamT[Sequence[Chunk]]) -> None:
        async for chunks in stream:
            for chunk in chunks:
                for record in chunk.records:
                    await self._sample(record.value)
                self.positions.learned(chunk)

    async def _sample(self, value: bytes | None) -> None:
        try:
            sample = PopulationSample.model_validate_json(value or b"")
        except ValidationError as error:
            logger.warning("a population sample is not readable: %s", error.errors()[0]["msg"])
            return
        trainer = self._trainer = self._trainer or await self._resume()
        snapshot = trainer.learn(sample, to_datetime(wall_ms()))
        self.metrics.samples.inc(len(sample.customers))
        self._show(trainer)
        for notice in trainer.notices():
            logger.warning("%s: %s", notice.kind, trainer.status)
            await self._send(NOTICE_KEY, notice)
        if snapshot and not self._stopping:
            self._publishing = asyncio.create_task(self._publish(trainer, snapshot))
            await asyncio.shield(self._publishing)

    def _show(self, trainer: Trainer) -> None:
        """Show how far the trainer is, and tell when its status is another one."""
        self.metrics.observe_trainer(trainer)
        if trainer.status != self._status:
            self._status = trainer.status
            logger.info("%s", self._status)

    async def _take_up(self) -> tuple[ModelSnapshot | None, dict[int, str]]:
        """Read the latest snapshot and the user's names; those given by command win.

        The snapshot is published once more: whoever stored it may have died before that.
        """
        store, patiently = self._store, self.store.patiently
        latest = await patiently(store.latest_version)
        snapshot = await patiently(lambda: store.load_model(latest)) if latest else None
        names = self._names | await patiently(store.names)
        if snapshot:
            await self._announce(snapshot)
        return snapshot, names

    async def _resume(self) -> Trainer:
        try:
            snapshot, names = await self._take_up()
        except SnapshotError as error:
            give_up("trainer", ConfigError(f"{error}: roll back to an earlier version"))
        return Trainer(self._features, self._config, snapshot, names)

    async def _publish(self, trainer: Trainer, snapshot: ModelSnapshot) -> None:
        if not await self.store.patiently(lambda: self._store.save_model(snapshot)):
            logger.warning("model %d exists already: going on from it", snapshot.version)
            stored, names = await self._take_up()
            self._trainer = None if stored is None else trainer
            if stored:
                trainer.go_on_from(stored, names)
            return
        self.metrics.model_version.set(snapshot.version)
        ratio = snapshot.training.inertia_ratio
        self.metrics.inertia_ratio.set(ratio if ratio is not None else float("nan"))
        await self._announce(snapshot)

    async def _announce(self, snapshot: ModelSnapshot) -> None:
        await self._send(str(snapshot.version).encode(), snapshot)

    async def _send(self, key: bytes, message: ModelSnapshot | ModelNotice) -> None:
        body = message.model_dump_json().encode()
        await self._publisher.publish([Outgoing(self.settings.topic_models, key, body)])

    async def _stop(self, *_: Any, **__: Any) -> None:
        """Let a model that is stored be published too, so that it outlives the store.

        None is stored from now on: the framework feeds samples until the very end.
        """
        self._stopping = True
        if self._publishing:
            await asyncio.wait({self._publishing}, timeout=FINISH_S)
        await self._publisher.close()
        await self._store.close()
