"""A store with a counted shop, and the `segmenter model` commands on it."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis
from typer.testing import CliRunner, Result

from stream_app.adapters.queries import partition_of
from stream_app.adapters.redis_store import RedisStore
from stream_app.bootstrap import features_of, pipeline_of
from stream_app.cli import app
from stream_app.config import Settings, environment
from stream_app.contracts import ModelSnapshot
from stream_app.core.model import Models, SegmentModel
from stream_app.pipeline import Chunk, Pipeline, Session
from tests.builders import ARecord
from tests.harness import a_shop, asking, small_settings

PARTITIONS = 2

Answer = TypeVar("Answer")


async def _with_pipeline(
    settings: Settings, work: Callable[[Pipeline, Session], Awaitable[Answer]]
) -> list[Answer]:
    """Own every partition with a pipeline in which the newest model serves."""
    async with asking(settings) as (queries, store):
        models, latest = Models(), await queries.model()
        if latest:
            models.add(SegmentModel(latest, features_of(settings), settings.margin))
        pipeline = pipeline_of(settings, store, models)
        claims = [(p, await store.claim(p, "w1")) for p in range(PARTITIONS)]
        return [
            await work(pipeline, Session.of(p, claim, settings.cache_customers))
            for p, claim in claims
        ]


def a_counted_shop(redis_url: str) -> Settings:
    """A store in which a year of a small shop is counted; there is no model yet, and no broker."""
    settings = small_settings("", redis_url, "model", partitions=PARTITIONS, k=4)
    asyncio.run(_fill(settings))
    return settings


async def _fill(settings: Settings) -> None:
    records: defaultdict[tuple[int, str], list[ARecord]] = defaultdict(list)
    topics = {"purchase": settings.topic_purchases, "profile": settings.topic_profiles}
    for record in a_shop(customers=300, days=200):
        row = records[partition_of(record.customer_id, PARTITIONS), topics[record.kind]]
        row.append(ARecord(len(row), record.customer_id.encode(), record.value))

    async def work(pipeline: Pipeline, session: Session) -> None:
        for topic in topics.values():
            rows = records[session.partition, topic]
            if rows:
                chunk = Chunk(topic, session.partition, 0, len(rows), rows)
                assert (await pipeline.process(session, chunk, 1_800_000_000_000)).ok

    await _with_pipeline(settings, work)


def rescored(settings: Settings) -> Counter[tuple[int, int]]:
    """Let workers judge everybody under the newest model; count who moved from where to where."""

    async def work(pipeline: Pipeline, session: Session) -> Counter[tuple[int, int]]:
        found: Counter[tuple[int, int]] = Counter()
        cursor = 0
        while True:
            cursor, outcome = await pipeline.rescore(session, cursor, 100, 1_800_000_000_000)
            for pending in outcome.outbox if outcome else ():
                change = json.loads(pending.message.value or b"")
                before = change["previous"] or {"id": 0}
                found[before["id"], change["current"]["id"]] += 1
            if not cursor:
                return found

    return sum(asyncio.run(_with_pipeline(settings, work)), Counter())


def with_two_versions(settings: Settings) -> Settings:
    """Version 1 has four segments and every customer in one of them, version 2 has six."""
    done(settings, "rehearse", "--promote", "--yes")
    rescored(settings)
    done(settings, "rehearse", "--k", "6", "--promote", "--yes")
    return settings


def stored(settings: Settings, question: Callable[[RedisStore], Awaitable[Answer]]) -> Answer:
    async def ask() -> Answer:
        async with asking(settings) as (_, store):
            return await question(store)

    return asyncio.run(ask())


def version(settings: Settings, number: int) -> ModelSnapshot:
    found = stored(settings, lambda store: store.load_model(number))
    assert found is not None
    return found


def names_of(settings: Settings) -> dict[int, str]:
    return stored(settings, lambda store: store.names())


def everything(settings: Settings) -> dict[str, Any]:
    """Every key of the store with its value, whatever its type."""
    with redis.Redis.from_url(settings.redis_url) as client:
        read: dict[str, Callable[[str], Any]] = {
            "string": client.get,
            "hash": client.hgetall,
            "stream": client.xrange,
            "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        }
        return {key.decode(): read[client.type(key).decode()](key) for key in client.scan_iter()}


def run(settings: Settings, *words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["model", *words], input=answer, env=environment(settings))


def done(settings: Settings, *words: str) -> str:
    result = run(settings, *words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def ids(model: ModelSnapshot) -> list[int]:
    return [segment.id for segment in model.segments]


def names(model: ModelSnapshot) -> dict[int, str]:
    return {segment.id: segment.name for segment in model.segments}
