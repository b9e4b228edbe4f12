"""Settings: read once from the environment, refused with the name of the key when wrong.

``segmenter check-config`` prints every value in force; secrets are never printed or logged.
"""

import os
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from stream_app.config_values import (
    Currency,
    Drift,
    Name,
    OptionalFeatures,
    Rates,
    StoreUrl,
    Weights,
    hide_password,
)


class ClockMode(StrEnum):
    """What `now` is when features are evaluated."""

    WALL = "wall"
    EVENT = "event"


class ConfigError(Exception):
    """A setting is wrong; the message names the environment variable and what to do."""


def _named(name: str) -> AliasChoices:
    """Accept the conventional variable name and the field's own name."""
    return AliasChoices(name, f"SEGMENTER_{name}")


class Settings(BaseSettings):
    """All settings. Environment variables: ``SEGMENTER_`` + the name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="SEGMENTER_", frozen=True, populate_by_name=True, allow_inf_nan=False
    )

    kafka_broker: str = Field(
        "",
        validation_alias=_named("KAFKA_BROKER"),
        description="Bootstrap servers, host:port[,host:port]. Empty: `demo` starts its own",
    )
    redis_url: StoreUrl = Field(
        "",
        validation_alias=_named("REDIS_URL"),
        description="redis:// or rediss:// URL of Redis or Valkey. Empty: `demo` starts its own",
        repr=False,
    )
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")] = Field(
        "seg", description="Prefix of every Redis key"
    )
    group: Name = Field("segmenter", description="Kafka consumer group of the workers")
    topic_purchases: Name = Field("purchases", description="Topic of purchases and refunds")
    topic_profiles: Name = Field("profiles", description="Topic of customer profiles")
    topic_changes: Name = Field("segment-changes", description="Topic of segment changes")
    topic_dead_letters: Name = Field("dead-letters", description="Topic of refused records")
    topic_vectors: Name = Field("feature-vectors", description="Topic of the population sample")
    topic_models: Name = Field("segment-models", description="Topic of model snapshots")
    partitions: int = Field(4, ge=1, le=1024, description="Partitions of purchases and profiles")
    replication: int = Field(1, ge=1, le=7, description="Replication factor of created topics")
    idempotence: bool = Field(True, description="Idempotent Kafka producers (needs Apache Kafka)")
    session_timeout: float = Field(
        10.0, gt=0, le=300, description="Seconds until a silent worker loses its partitions"
    )
    rebalance_timeout: float = Field(
        10.0, gt=0, le=300, description="Seconds a worker may take to rejoin the group"
    )
    fetch_wait: float = Field(
        0.05,
        gt=0,
        le=10,
        description="Seconds a broker may hold a fetch while no record comes. Apache Kafka answers "
        "when one does; others may answer only then: set 0.005 there",
    )

    clock: ClockMode = Field(
        ClockMode.WALL, description="wall: live; event: replay, the highest event time is now"
    )
    max_event_bytes: int = Field(65_536, ge=256, description="Larger records are dead letters")
    max_skew_seconds: float = Field(
        300.0, ge=0, description="An event later than now plus this is a dead letter"
    )
    oldest_event: date = Field(
        date(1990, 1, 1), description="Earlier events are dead letters (date)"
    )
    dead_letter_limit: float = Field(
        0.5,
        ge=0,
        le=1,
        description="A worker halts when more than this part of its last 1,000 records are dead "
        "letters; 1: never",
    )
    base_currency: Currency = Field("USD", description="Every amount is converted to this currency")
    rates: Rates = Field(
        default_factory=dict,
        description="Value of one unit in the base currency, as EUR=1.08,GBP=1.27",
    )

    half_life_days: float = Field(
        60.0, gt=0, description="Half-life of the decayed orders and spend of a customer"
    )
    optional_features: OptionalFeatures = Field(
        (), description="Features beyond the standard ones: age, gender, income, interests"
    )
    weights: Weights = Field(
        default_factory=dict,
        description="Weight of features in the distance, as recency_days=1.5,average_basket=0.5",
    )
    margin: float = Field(
        0.1, ge=0, lt=1, description="A new centre must be nearer by this part to win a customer"
    )
    k: int = Field(0, ge=0, le=20, description="Number of segments; 0 chooses 3 to 8 by silhouette")
    warmup_customers: int = Field(
        500, ge=50, description="No segments before this many customers are known"
    )
    warmup_days: float = Field(
        28.0, ge=0, description="No segments before the history spans this many days"
    )
    sample_share: float = Field(
        0.1, ge=0, le=10, description="Population vectors sent to the trainer for each event"
    )
    sample_daily: float = Field(
        100.0,
        ge=0,
        description="Population vectors sent per day of event time at least, per partition",
    )
    sample_floor: float = Field(
        5.0, ge=0, description="Population vectors sent per second at least, per partition"
    )
    names_file: str = Field(
        "", description='JSON or TOML file of your own segment names by id, as {"3": "VIP"}'
    )
    drift: Drift = Field(
        default_factory=dict,
        description="Limits beyond which learning freezes, as speed=8,moved=0.6,smallest=0.005,"
        "largest=0.8,ratio=2,calm=2000 (the defaults)",
    )
    crash_at: str = Field(
        "",
        description="For tests: kill the process at a step, as before:apply:5 or after:trim:1, or "
        "hang there, as stall:apply:5 (the step) or block:apply:5 (the event loop)",
    )
    thaw: bool = Field(False, description="Accept the first model beyond the drift limits")
    seed: int = Field(42, description="Seed of clustering and sampling")

    chunk_records: int = Field(512, ge=1, le=4096, description="Most records in one chunk")
    cache_customers: int = Field(
        40_000,
        ge=0,
        description="Customer states a worker keeps in memory, of all its partitions together",
    )
    rescore_seconds: float = Field(
        240, gt=0, description="Seconds in which a new model re-scores all stored customers"
    )
    rescore_per_second: float = Field(
        250, gt=0, description="The least of them per second and partition: few take less time"
    )
    metrics_host: str = Field("127.0.0.1", description="Address the metrics server binds to")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of the metrics server; 0 takes a free one"
    )
    stall_seconds: float = Field(
        60.0, ge=1, description="A process ends when work has waited so long and nothing has moved"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "WARNING", description="DEBUG, INFO, WARNING or ERROR"
    )

    @model_validator(mode="after")
    def _check_topics(self) -> Self:
        fields = [name for name in type(self).model_fields if name.startswith("topic_")]
        for i, name in enumerate(fields):
            if getattr(self, name) in [getattr(self, other) for other in fields[:i]]:
                raise ValueError(f"{env_name(name)}: each topic needs a name of its own")
        return self

    def rate(self, currency: str) -> float | None:
        """Value of one unit of ``currency`` in the base currency; None if unknown."""
        return 1.0 if currency == self.base_currency else self.rates.get(currency)

    def shown(self) -> dict[str, object]:
        """Every value in force with secrets removed, for logs and ``check-config``."""
        values = self.model_dump(mode="json")
        values["redis_url"] = hide_password(self.redis_url)
        return values


def env_name(field: str) -> str:
    """Return the environment variable of a settings field."""
    special = {"kafka_broker": "KAFKA_BROKER", "redis_url": "REDIS_URL"}
    return special.get(field, f"SEGMENTER_{field.upper()}")


def environment(settings: Settings) -> dict[str, str]:
    """Write settings as the environment variables that would give them, for child processes.

    >>> environment(Settings(rates={"EUR": 1.1}))["SEGMENTER_RATES"]
    'EUR=1.1'
    """
    values = settings.model_dump(mode="json")
    for field in ("rates", "weights", "drift"):
        values[field] = ",".join(f"{k}={v}" for k, v in getattr(settings, field).items())
    values["optional_features"] = ",".join(settings.optional_features)
    return {env_name(field): str(value) for field, value in values.items()}


def load(**overrides: object) -> Settings:
    """Read the settings from the environment; overrides win.

    Raises ConfigError that names the variable, what is wrong, and never the value of a secret.
    """
    known = {
        name for f in Settings.model_fields for name in (env_name(f), f"SEGMENTER_{f.upper()}")
    }
    unknown = sorted(k for k in os.environ if k.startswith("SEGMENTER_") and k not in known)
    if unknown:
        raise ConfigError(f"unknown setting {', '.join(unknown)}: see `segmenter check-config`")
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(e["loc"], e["msg"]) for e in error.errors())) from None


def _explain(loc: tuple[int | str, ...], message: str) -> str:
    field = str(loc[0]) if loc else ""
    name = field if field.isupper() else env_name(field)
    return f"{name}: {message.removeprefix('Value error, ')}" if field else message
