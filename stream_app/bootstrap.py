"""The composition root: settings in, wired objects out. Nothing connects at import."""

import os
import socket
import sys
import traceback
import uuid
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from aiokafka.errors import CorruptRecordException, InvalidSessionTimeoutError

from stream_app.adapters.http import serve
from stream_app.adapters.kafka_app import ChunkApp, PositionSource
from stream_app.adapters.kafka_group import REFUSALS
from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.adapters.kafka_transport import SCHEME
from stream_app.adapters.log_ends import LogEnds
from stream_app.adapters.metrics import Metrics
from stream_app.adapters.patient_store import PatientStore
from stream_app.adapters.redis_client import connect
from stream_app.adapters.redis_store import RedisStore
from stream_app.config import ClockMode, ConfigError, Settings
from stream_app.core.events import Limits, to_ms
from stream_app.core.features import FeatureSet
from stream_app.core.flood import FloodError
from stream_app.core.model import Models
from stream_app.core.turn import Rules
from stream_app.health import Health, Standing
from stream_app.pipeline import Pipeline
from stream_app.ports import (
    DamagedLogError,
    GapError,
    PartitionStore,
    StoreLostError,
    StoreUnavailableError,
    SwitchedError,
)
from stream_app.process import Process
from stream_app.watchdog import StallError

EXIT_FLOOD = 65
EXIT_SOFTWARE = 70
EXIT_STALLED = 74
EXIT_SWITCHED = 75
EXIT_CONFIG = 78
SENTENCES = (
    *(ConfigError, DamagedLogError, FloodError, GapError, StallError),
    *(StoreLostError, SwitchedError, TimeoutError),
)


def features_of(settings: Settings) -> FeatureSet:
    """Build the feature set in force; ConfigError if a weight names no feature of it."""
    optional = settings.optional_features
    try:
        return FeatureSet.build(settings.half_life_days, optional, settings.weights)
    except ValueError as error:
        raise ConfigError(f"SEGMENTER_WEIGHTS: {error}") from None


def limits_of(settings: Settings) -> Limits:
    """Build the limits of incoming records."""
    return Limits(
        max_bytes=settings.max_event_bytes,
        max_skew=round(settings.max_skew_seconds * 1000),
        oldest=to_ms(datetime.combine(settings.oldest_event, datetime.min.time(), UTC)),
        rates=settings.rates | {settings.base_currency: 1.0},
    )


def pipeline_of(settings: Settings, store: PartitionStore, models: Models) -> Pipeline:
    """Wire the pipeline to a store."""
    rules = Rules(
        features=features_of(settings),
        event_clock=settings.clock is ClockMode.EVENT,
        changes=settings.topic_changes,
        dead_letters=settings.topic_dead_letters,
    )
    topics = (settings.topic_purchases, settings.topic_profiles)
    return Pipeline(store, models, rules, limits_of(settings), topics)


def store_of(settings: Settings, generation: int = 1) -> RedisStore:
    """Open the store; ConfigError if no URL is set.

    Call `RedisStore.follow` before anything is asked of the customers that serve.
    """
    if not settings.redis_url:
        raise ConfigError("REDIS_URL is not set: for example redis://127.0.0.1:6379/0")
    client, topic = connect(settings.redis_url), settings.topic_purchases
    return RedisStore(client, settings.namespace, topic, generation)


def facts_of(settings: Settings) -> dict[str, str]:
    """Name what must stay as it is while the customers counted with it are stored."""
    return {
        "PARTITIONS": str(settings.partitions),
        "HALF_LIFE_DAYS": f"{settings.half_life_days:.15g}",
        "BASE_CURRENCY": settings.base_currency,
        "TOPIC_PURCHASES": settings.topic_purchases,
    }


async def settle(settings: Settings, store: RedisStore) -> None:
    """Refuse to run on state that was stored under other settings.

    Raises ConfigError naming the setting, or that the store does not answer.
    """
    facts = facts_of(settings)
    try:
        await store.follow()
        stored = await store.settle(facts)
    except StoreUnavailableError as error:
        raise ConfigError(f"REDIS_URL: the store does not answer: {error}") from None
    for name, value in facts.items():
        if stored[name] != value:
            raise ConfigError(
                f"SEGMENTER_{name} is {value}, but the stored customers were counted with "
                f"{stored[name]}: set it back, or count them anew with `segmenter rebuild`"
            )


async def prepare(settings: Settings) -> int:
    """Check the store and create missing topics; return the generation that serves.

    Raises ConfigError or TopicError if that can't be.
    """
    store = store_of(settings)
    try:
        await settle(settings, store)
    finally:
        await store.close()
    await ensure_topics(settings)
    return store.generation


def faust_app(settings: Settings, group: str, source: PositionSource) -> ChunkApp:
    """Build a Faust app that reads chunks; ConfigError if no broker is set."""
    if not settings.kafka_broker:
        raise ConfigError("KAFKA_BROKER is not set: for example 127.0.0.1:9092")
    hosts = ";".join(f"{SCHEME}://{host}" for host in settings.kafka_broker.split(","))
    tuning: dict[str, Any] = {
        "processing_guarantee": "at_least_once",
        "stream_wait_empty": False,
        "web_enabled": False,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "table_standby_replicas": 0,
        "cython_optimizations": True,
        "broker_session_timeout": settings.session_timeout,
        "broker_heartbeat_interval": min(3.0, settings.session_timeout / 4),
        "broker_rebalance_timeout": settings.rebalance_timeout,
        "broker_request_timeout": max(40.0, settings.session_timeout),
        "broker_commit_interval": 1.0,
        "broker_max_poll_records": 4 * settings.chunk_records,
        "stream_buffer_maxsize": 16,
        "consumer_auto_offset_reset": "earliest",
        "worker_redirect_stdouts": False,
    }
    app = ChunkApp(group, broker=hosts, **tuning)
    app.source = source
    app.chunk_records = settings.chunk_records
    app.fetch_wait_ms = round(settings.fetch_wait * 1000)
    app.failed = lambda error: give_up(group, _refusal(error, settings, group))
    return app


def _refusal(error: Exception, settings: Settings, group: str) -> Exception:
    """Say what to do where Kafka will never let this process read on."""
    if isinstance(error, InvalidSessionTimeoutError):
        return ConfigError(
            f"SEGMENTER_SESSION_TIMEOUT is {settings.session_timeout:g}, and the broker does not "
            "allow it: its limits are group.min.session.timeout.ms (6 seconds unless changed) and "
            "group.max.session.timeout.ms"
        )
    if isinstance(error, CorruptRecordException):
        return DamagedLogError(
            f"Kafka holds a damaged batch ({error}), and nothing after it can be read. Put the "
            "partition's log back from a replica; or remove the batch and all before it with "
            "kafka-delete-records.sh, then go on after it with `segmenter skip-gap`"
        )
    if isinstance(error, REFUSALS):
        return ConfigError(f"Kafka does not let this process into the group {group}: {error!r}")
    return error


def run_app(
    app: ChunkApp, metrics: Metrics, settings: Settings, store: PatientStore, standing: Standing
) -> NoReturn:
    """Serve metrics and health, and run a Faust app until a signal or the watchdog stops it."""
    name = "trainer" if app.conf.id.endswith("-trainer") else "worker"
    ends = LogEnds(settings.kafka_broker)
    fail = partial(give_up, name)
    health = Health(app, standing, store, ends, settings.stall_seconds, fail)
    pages = {"/healthz": health.alive, "/readyz": health.ready}
    try:
        port = serve(settings.metrics_host, settings.metrics_port, metrics.registry, pages)
    except OSError as error:
        raise ConfigError(
            f"SEGMENTER_METRICS_PORT: cannot serve on {settings.metrics_host}:"
            f"{settings.metrics_port}: {error.strerror}"
        ) from None
    sys.stderr.write(f"metrics: http://{settings.metrics_host}:{port}/metrics\n")
    options = {"loglevel": settings.log_level, "quiet": True, "redirect_stdouts": False}
    process = Process(app, health, **options)
    with TemporaryDirectory(prefix="segmenter-faust-") as folder:
        app.conf.datadir = Path(folder)  # Faust makes one although there are no tables
        process.watch()
        process.execute_from_commandline()


def owner_name() -> str:
    """Name this process uniquely, for the epoch's owner field."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def give_up(process: str, error: BaseException) -> NoReturn:
    """Say why and leave at once; a supervisor restarts what can be restarted."""
    codes: dict[type[BaseException], int] = {
        ConfigError: EXIT_CONFIG,
        FloodError: EXIT_FLOOD,
        StallError: EXIT_STALLED,
        SwitchedError: EXIT_SWITCHED,
    }
    code = codes.get(type(error), EXIT_SOFTWARE)
    if not isinstance(error, SENTENCES):
        traceback.print_exception(error)
    sys.stderr.write(f"segmenter {process}: {type(error).__name__}: {error}\n")
    sys.stderr.flush()
    os._exit(code)
