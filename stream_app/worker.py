"""The worker process: Faust delivers chunks, lanes work on them, models are refreshed."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NoReturn, cast

from faust.types import TP, StreamT

from stream_app import crash
from stream_app.adapters.clock import wall_ms
from stream_app.adapters.kafka_app import ChunkApp
from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.kafka_transport import ChunkConsumer, ChunkThread
from stream_app.adapters.letter_marks import letter_marks, refuse_halted
from stream_app.adapters.metrics import Metrics
from stream_app.adapters.patient_store import PatientStore
from stream_app.adapters.redis_store import RedisStore
from stream_app.bootstrap import (
    faust_app,
    give_up,
    owner_name,
    pipeline_of,
    prepare,
    run_app,
    store_of,
)
from stream_app.config import ConfigError, Settings
from stream_app.contracts import PopulationSample
from stream_app.core.features import FeatureSet
from stream_app.core.flood import FloodError, FloodGuard
from stream_app.core.messages import Outgoing
from stream_app.core.model import Models, SegmentModel
from stream_app.core.snapshots import SnapshotError
from stream_app.lane import Lane, LaneServices
from stream_app.lanes import Lanes
from stream_app.pace import LaneSettings
from stream_app.pipeline import Chunk, Session
from stream_app.ports import ModelStore, Pending, StoreUnavailableError, SwitchedError
from stream_app.process import tune

logger = logging.getLogger(__name__)
REFRESH_S = 0.25


def run(settings: Settings) -> NoReturn:
    """Run one worker until it is stopped by a signal."""
    generation = asyncio.run(prepare(settings))
    asyncio.run(refuse_halted(settings))
    tune(settings.log_level)
    worker = Worker(settings, generation)
    run_app(worker.app, worker.metrics, settings, worker.store, worker.lanes)


async def refresh_models(
    store: ModelStore, models: Models, features: FeatureSet, margin: float, *, anew: bool = False
) -> None:
    """Load the newest snapshots that are not served yet; those of other features never score.

    What a store that was rolled back knows no more is not served any longer. ``anew`` loads all
    again, for after an outage: the same numbers may have been given to other snapshots meanwhile.
    """
    latest = await store.latest_version()
    models.forget(latest)
    oldest = max(0, latest - models.keep)
    known = models.current.version if models and not anew else oldest
    for version in range(known + 1, latest + 1):
        try:
            snapshot = await store.load_model(version)
            if snapshot:
                models.add(SegmentModel(snapshot, features, margin))
        except SnapshotError as error:
            logger.warning("not scoring with it: %s", error)


class Worker:
    """Everything one worker process is made of."""

    def __init__(self, settings: Settings, generation: int = 1) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.models = Models()
        self._redis: RedisStore = store_of(settings, generation)
        self.store = PatientStore(self._redis, self.metrics)
        self._publisher = KafkaPublisher(settings)
        self._pipeline = pipeline_of(settings, self.store, self.models)
        self._owner = owner_name()
        self._flood = FloodGuard(settings.dead_letter_limit)
        self._background = asyncio.Lock()
        topics = (settings.topic_purchases, settings.topic_profiles)
        self.lanes = Lanes(
            self._lane, topics, lambda error: give_up("worker", error), settings.partitions
        )
        self.app: ChunkApp = faust_app(settings, settings.group, self.lanes)
        self._connect(topics)
        self._arm()

    def _arm(self) -> None:
        store = self._redis
        steps: dict[str, crash.Place] = {
            "fetch": (ChunkThread, "_fetch_records"),
            "decode": (self._pipeline, "_decode"),
            "read": (store, "load"),
            "apply": (store, "apply"),
            "publish": (self._publisher, "publish"),
            "trim": (store, "trim"),
            "commit": (ChunkConsumer, "_commit"),
            "claim": (store, "claim"),
            "release": (self.lanes, "release"),
            "refresh": (store, "load_model"),
            "sweep": (store, "due"),
        }
        crash.arm(self.settings.crash_at, steps)

    def _connect(self, topics: tuple[str, ...]) -> None:
        source = self.app.topic(*topics, key_serializer="raw", value_serializer="raw")
        self.app.agent(source, name="deliver")(self._deliver)
        self.app.task(self._refresh)
        self.app.on_before_shutdown.connect(self._stop)

    async def _deliver(self, stream: StreamT[Sequence[Chunk]]) -> None:
        async for chunks in stream:
            consumer = cast("ChunkConsumer", self.app.consumer)
            for chunk in chunks:
                end = consumer.end_offset(TP(chunk.topic, chunk.partition))
                await self.lanes.put(chunk, end)

    async def _refresh(self) -> None:
        """Serve new models soon after they are stored."""
        features, margin = self._pipeline.rules.features, self.settings.margin
        anew = False
        while True:
            try:
                await self._heed_switch()
                await refresh_models(self._redis, self.models, features, margin, anew=anew)
                anew = False
            except StoreUnavailableError as error:
                anew = True
                logger.info("no look at newer models, the store does not answer: %s", error)
            if self.models:
                self.metrics.model_version.set(self.models.current.version)
            await asyncio.sleep(REFRESH_S)

    async def _heed_switch(self) -> None:
        """Leave once a rebuild has switched to other customers, with the work in hand done."""
        serving, ours = await self._redis.serving(), self._redis.generation
        if serving != ours:
            await self.lanes.finish()
            await self._publisher.close()
            text = f"generation {serving} serves since a rebuild, this worker is of {ours}"
            give_up("worker", SwitchedError(f"{text}: start it again, with the rebuild's settings"))

    async def _stop(self, *_: Any, **__: Any) -> None:
        await self.lanes.finish()
        await self._publisher.close()
        await self._redis.close()

    def _lane(self, partition: int) -> Lane:
        s = self.settings
        services = LaneServices(
            pipeline=self._pipeline,
            metrics=self.metrics,
            claim=self._claim,
            rewind=self._rewind,
            publish=self._publisher.publish,
            publish_sample=self._publish_sample,
            wall=wall_ms,
            flood=self._flood,
            halt=self._halt,
            background=self._background,
        )
        return Lane(
            partition,
            services,
            LaneSettings(
                s.sample_share,
                s.sample_daily,
                s.sample_floor,
                s.rescore_per_second,
                s.chunk_records,
                s.rescore_seconds,
            ),
        )

    async def _claim(self, partition: int) -> tuple[Session, tuple[Pending, ...]]:
        await self.store.patiently(self._heed_switch)
        claim = await self.store.claim(partition, self._owner)
        room = self.settings.cache_customers // max(1, self.lanes.owned)
        return Session.of(partition, claim, room), claim.pending

    async def _halt(self, error: FloodError) -> None:
        """Keep workers from starting until a person has looked, whatever restarts them."""
        try:
            async with letter_marks(self.settings) as marks:
                await marks.halt(str(error))
        except ConfigError as failure:
            logger.warning("a restarted worker will read on: %s", failure)

    async def _rewind(self, topic: str, partition: int, offset: int) -> None:
        await self.app.consumer.seek_wait({TP(topic, partition): offset})

    async def _publish_sample(self, sample: PopulationSample) -> None:
        body = sample.model_dump_json().encode()
        await self._publisher.publish([Outgoing(self.settings.topic_vectors, None, body)])
