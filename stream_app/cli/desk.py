"""What every ``segmenter model`` command works with: settings, store, questions, publishing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from stream_app.adapters.clock import wall_ms
from stream_app.adapters.kafka_publisher import KafkaPublisher
from stream_app.adapters.queries import Queries
from stream_app.adapters.redis_store import RedisStore
from stream_app.bootstrap import features_of, store_of
from stream_app.config import ClockMode, ConfigError, Settings, load
from stream_app.contracts import ModelSnapshot
from stream_app.core.features import FeatureSet
from stream_app.core.messages import Outgoing
from stream_app.core.snapshots import SnapshotError
from stream_app.names import read_names
from stream_app.ports import StoreUnavailableError

if TYPE_CHECKING:
    from stream_app.core.rehearsal import Population

UNKNOWN, WRONG_USE = 1, 2
ANNOUNCE_S = 15.0
SPARE_IDS = 1000

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every command works with."""

    settings: Settings
    store: RedisStore
    queries: Queries
    features: FeatureSet

    async def find(self, version: str) -> ModelSnapshot:
        """Read one version; exit code 1 if it is not kept, 2 if it is no number."""
        if version != "latest" and not version.isdecimal():
            raise typer.BadParameter(f"{version!r} is neither a version number nor latest")
        named = await self.store.latest_version() if version == "latest" else int(version)
        if found := await self.store.load_model(named):
            return found
        what = f"version {named} is not kept" if named else "there is no version yet"
        return refuse(f"{what}: see `segmenter model list`", UNKNOWN)

    async def newest(self) -> ModelSnapshot:
        """Read the newest usable version, under the number and beyond the ids of broken ones."""
        number, found = await self.store.latest_version(), await self.queries.versions(1)
        if not found:
            refuse("there is no version yet: see `segmenter model list`", UNKNOWN)
        facts, broken = found[0].training, number - found[0].version
        free = facts.next_segment_id + broken * SPARE_IDS
        training = facts.model_copy(update={"next_segment_id": free})
        return found[0].model_copy(update={"version": number, "training": training})

    async def names(self) -> dict[int, str]:
        """Read the user's names as the trainer does: those given by command win."""
        return read_names(self.settings.names_file) | await self.store.names()

    def scores(self, *snapshots: ModelSnapshot) -> None:
        """Raise ConfigError unless the snapshots are for the features in force."""
        for snapshot in snapshots:
            if snapshot.feature_set != self.features.version:
                raise ConfigError(
                    f"version {snapshot.version} was learned from the features "
                    f"{snapshot.feature_set}, the settings give {self.features.version}: set "
                    "SEGMENTER_HALF_LIFE_DAYS and SEGMENTER_OPTIONAL_FEATURES accordingly"
                )

    async def population(self, most: int, seed: int) -> "Population":
        """Draw stored customers, with a progress bar on a terminal."""
        now = wall_ms() if self.settings.clock is ClockMode.WALL else None
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("reading customers", total=None)

            def progress(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            return await self.queries.draw(most, seed, now, progress)

    async def publish(self, new: ModelSnapshot, names: Mapping[int, str] | None = None) -> None:
        """Store the version after the one that was looked at, and announce it."""
        if not await self.store.save_model(new, names):
            refuse(
                f"version {new.version} was published by another process meanwhile: nothing was "
                "changed; look at it and run the command again",
                UNKNOWN,
            )
        if self.settings.kafka_broker:
            await self._announce(new)
            typer.echo(f"version {new.version} is published", err=True)
        else:
            topic = self.settings.topic_models
            text = f"version {new.version} is stored; not sent to {topic}: KAFKA_BROKER is not set"
            typer.echo(text, err=True)

    async def _announce(self, new: ModelSnapshot) -> None:
        publisher, topic = KafkaPublisher(self.settings), self.settings.topic_models
        key, body = str(new.version).encode(), new.model_dump_json().encode()
        try:
            async with asyncio.timeout(ANNOUNCE_S):
                await publisher.publish([Outgoing(topic, key, body)])
        except TimeoutError:
            raise ConfigError(
                f"KAFKA_BROKER: no broker answers; version {new.version} is stored and serves, "
                f"but is missing in the topic {topic}"
            ) from None
        finally:
            await publisher.close()


def at_desk(work: Callable[[Desk], Awaitable[Answer]]) -> Answer:
    """Connect, work, disconnect; ConfigError if the store does not answer or does not fit."""
    settings = load()

    async def run() -> Answer:
        store, features = store_of(settings), features_of(settings)
        queries = Queries(store, settings.partitions, features, settings.margin)
        try:
            await store.follow()
            stored = (await store.settle({})).get("PARTITIONS", str(settings.partitions))
            if stored != str(settings.partitions):
                raise ConfigError(f"SEGMENTER_PARTITIONS must be {stored}, as customers are stored")
            return await work(Desk(settings, store, queries, features))
        except StoreUnavailableError as error:
            raise ConfigError(f"REDIS_URL: the store does not answer: {error}") from None
        except SnapshotError as error:
            refuse(f"{error}; `segmenter model rollback` gets past it", UNKNOWN)
        finally:
            await store.close()

    return asyncio.run(run())


def confirm(question: str, *, yes: bool) -> None:
    """Ask on the terminal unless it was agreed to before; exit code 1 if it is declined."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def refuse(message: str, code: int) -> NoReturn:
    """End with a sentence and an exit code."""
    typer.echo(message, err=True)
    raise typer.Exit(code)
