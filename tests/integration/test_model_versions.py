"""Versions of the model on a real store: looked at, tried in shadow, rolled back, renamed."""

import asyncio
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis
import typer
from typer.testing import CliRunner, Result

from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.adapters.queries import partition_of
from stream_app.adapters.redis_store import RedisStore
from stream_app.bootstrap import features_of, pipeline_of
from stream_app.cli import app
from stream_app.cli.desk import Desk
from stream_app.config import ConfigError, Settings, environment
from stream_app.contracts import ModelSnapshot, SampledCustomer
from stream_app.core.events import to_datetime
from stream_app.core.model import Models, SegmentModel
from stream_app.pipeline import Chunk, Pipeline, Session
from stream_app.trainer import TrainerProcess
from tests.builders import ARecord
from tests.harness import a_shop, asking, read_topic, small_settings
from tests.populations import a_sample

pytestmark = pytest.mark.integration

PARTITIONS = 2
Answer = TypeVar("Answer")


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """A store in which a year of a small shop is counted; there is no model yet, and no broker."""
    found = small_settings("", redis_url, "model", partitions=PARTITIONS, k=4)
    asyncio.run(_fill(found))
    return found


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
        return [await work(pipeline, Session.of(p, claim)) for p, claim in claims]


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


@pytest.fixture
def two_versions(settings: Settings) -> Settings:
    """Version 1 has four segments and every customer in one of them, version 2 has six."""
    done(settings, "rehearse", "--promote", "--yes")
    rescored(settings)
    done(settings, "rehearse", "--k", "6", "--promote", "--yes")
    return settings


def test_before_the_first_model_there_is_nothing_to_see_and_a_rehearsal_shows_the_first_segments(
    settings: Settings,
) -> None:
    assert json.loads(done(settings, "list", "--json")) == []
    assert run(settings, "show").exit_code == 1
    assert "there is no version yet" in run(settings, "rename", "1", "Gold").output

    found = json.loads(done(settings, "rehearse", "--json"))

    assert len(found["candidate"]["segments"]) == 4
    assert found["migration"] is None
    assert found["drawn"] == found["population"] == sum(t["customers"] for t in found["triggers"])
    assert {t["old"]["id"] for t in found["triggers"]} == {0}


def test_rehearsals_and_comparisons_write_nothing(two_versions: Settings) -> None:
    before = everything(two_versions)

    for words in (
        ("rehearse",),
        ("rehearse", "--k", "0", "--seed", "7", "--margin", "0.3", "--sample", "100", "--json"),
        ("rehearse", "--weights", "recency_days=2,average_basket=0.5"),
        ("diff", "1", "2"),
        ("diff", "latest", "1", "--json"),
        ("list",),
        ("show", "1"),
    ):
        done(two_versions, *words)
    declined = run(two_versions, "rehearse", "--promote", answer="n\n")
    assert declined.exit_code == 1
    assert run(two_versions, "rollback", "1", answer="n\n").exit_code == 1

    assert len(before) > 300
    assert everything(two_versions) == before


def test_the_triggers_foretold_are_the_moves_that_workers_then_make(settings: Settings) -> None:
    done(settings, "rehearse", "--promote", "--yes")
    initial = rescored(settings)

    foretold = json.loads(done(settings, "rehearse", "--k", "6", "--promote", "--yes", "--json"))
    moved = rescored(settings)

    expected = {(t["old"]["id"], t["new"]["id"]): t["customers"] for t in foretold["triggers"]}
    assert sum(initial.values()) == foretold["population"]
    assert sum(expected.values()) > 20
    assert moved == expected
    matrix = foretold["migration"]
    rows = zip(matrix["old"], matrix["customers"], strict=True)
    cells = {
        (o["id"], n["id"]): c for o, row in rows for n, c in zip(matrix["new"], row, strict=True)
    }
    assert {pair: c for pair, c in cells.items() if c and pair[0] != pair[1]} == expected


def test_the_versions_are_listed_newest_first_and_shown_with_their_segments(
    two_versions: Settings,
) -> None:
    listed = json.loads(done(two_versions, "list", "--json"))

    assert [(v["version"], v["training"]["cause"]) for v in listed] == [
        (2, "rehearsal"),
        (1, "rehearsal"),
    ]
    assert len(json.loads(done(two_versions, "list", "--last", "1", "--json"))) == 1
    shown = done(two_versions, "show", "latest")
    for segment in version(two_versions, 2).segments:
        assert segment.name in shown
    assert "scaling" in shown
    assert ModelSnapshot.model_validate_json(done(two_versions, "show", "1", "--json")) == version(
        two_versions, 1
    )


def test_a_comparison_tells_fates_shifts_and_who_would_be_where(two_versions: Settings) -> None:
    found = json.loads(done(two_versions, "diff", "1", "2", "--json"))

    one, two = version(two_versions, 1), version(two_versions, 2)
    assert [f["kind"] for f in found["fates"]] == [f.kind for f in two.fates]
    assert {s["id"] for s in found["segments"]} == set(ids(one)) & set(ids(two))
    assert [len(row) for row in found["migration"]["customers"]] == [6] * 4
    assert sum(map(sum, found["migration"]["customers"])) == found["population"]
    assert "who would be where" in done(two_versions, "diff", "1", "2")


def test_a_sample_is_extended_to_the_whole_population(two_versions: Settings) -> None:
    found = json.loads(done(two_versions, "rehearse", "--sample", "60", "--json"))

    assert found["drawn"] == 60
    total = sum(map(sum, found["migration"]["customers"]))
    assert abs(total - found["population"]) < 16
    assert found == json.loads(done(two_versions, "rehearse", "--sample", "60", "--json")) | {
        "candidate": found["candidate"]
    }


def test_a_rollback_publishes_the_old_content_under_the_next_number(two_versions: Settings) -> None:
    asked = run(two_versions, "rollback", "1", answer="y\n")

    assert asked.exit_code == 0, asked.output
    assert "who would be where" in asked.output
    assert "segment changes would be published at once" in asked.output
    one, two, three = (version(two_versions, n) for n in (1, 2, 3))
    assert (three.segments, three.centres, three.scaling) == (
        one.segments,
        one.centres,
        one.scaling,
    )
    assert three.training.cause == "rollback"
    assert three.training.next_segment_id == two.training.next_segment_id > max(ids(two))
    assert "not sent to model-models: KAFKA_BROKER is not set" in asked.output


def test_a_broken_version_is_named_not_listed_and_got_past_by_a_rollback(
    two_versions: Settings,
) -> None:
    with redis.Redis.from_url(two_versions.redis_url) as client:
        client.hset("model:{models}:history", "3", "{}")
        client.set("model:{models}:latest", 3)

    shown = run(two_versions, "show")
    assert shown.exit_code == 1
    assert "segmenter model rollback" in shown.output
    assert [v["version"] for v in json.loads(done(two_versions, "list", "--json"))] == [2, 1]
    done(two_versions, "rollback", "2", "--yes")

    two, four = version(two_versions, 2), version(two_versions, 4)
    assert four.segments == two.segments
    assert four.training.next_segment_id > two.training.next_segment_id


def test_names_of_the_file_hold_too_and_come_back_when_the_command_takes_its_own_away(
    two_versions: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"3": "From the file"}))
    filed = two_versions.model_copy(update={"names_file": str(path)})

    done(filed, "rename", "3", "By command")
    assert names(version(filed, 3))[3] == "By command"
    done(filed, "rename", "3", "--reset")
    assert names(version(filed, 4))[3] == "From the file"
    done(filed, "rollback", "1", "--yes")
    assert names(version(filed, 5))[3] == "From the file"


def test_what_was_decided_on_another_version_is_not_published(two_versions: Settings) -> None:
    one = version(two_versions, 1)

    async def publish(store: RedisStore) -> None:
        async with asking(two_versions) as (queries, _):
            desk = Desk(two_versions, store, queries, features_of(two_versions))
            await desk.publish(one.model_copy(update={"version": 2}), {1: "Mine"})

    with pytest.raises(typer.Exit) as refused:
        stored(two_versions, publish)

    assert refused.value.exit_code == 1
    assert version(two_versions, 2) != one
    assert names_of(two_versions) == {}


def test_a_name_of_ones_own_is_published_at_once_kept_on_record_and_given_back(
    two_versions: Settings,
) -> None:
    two = version(two_versions, 2)
    first, second = ids(two)[:2]

    done(two_versions, "rename", str(first), " Gold [club] ")

    three = version(two_versions, 3)
    assert names(three) == names(two) | {first: "Gold [club]"}
    assert (three.training.cause, three.centres) == ("rename", two.centres)
    assert names_of(two_versions) == {first: "Gold [club]"}
    assert "Gold [club]" in done(two_versions, "show")
    clash = run(two_versions, "rename", str(second), "gold [CLUB]")
    assert clash.exit_code == 2
    assert f"segment {first} is called 'Gold [club]' already" in clash.output

    done(two_versions, "rename", str(first), "--reset")

    assert names_of(two_versions) == {}
    assert "Gold [club]" not in names(version(two_versions, 4)).values()
    assert len(set(names(version(two_versions, 4)).values())) == 6


def test_a_name_of_ones_own_survives_a_rollback_and_a_new_set_of_segments(
    two_versions: Settings,
) -> None:
    kept = next(i for i in ids(version(two_versions, 2)) if i in ids(version(two_versions, 1)))
    done(two_versions, "rename", str(kept), "Loyal")

    done(two_versions, "rollback", "1", "--yes")
    done(two_versions, "rehearse", "--seed", "3", "--promote", "--yes")

    assert names(version(two_versions, 4))[kept] == "Loyal"
    assert names(version(two_versions, 5))[kept] == "Loyal"
    assert len(set(names(version(two_versions, 5)).values())) == 4


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("show", "9"), 1, "version 9 is not kept"),
        (("diff", "1", "9"), 1, "version 9 is not kept"),
        (("rollback", "9", "--yes"), 1, "version 9 is not kept"),
        (("rollback", "2", "--yes"), 2, "version 2 is the newest"),
        (("rename", "99", "Gold"), 1, "there is no segment 99"),
        (("show", "first"), 2, "neither a version number nor latest"),
        (("rehearse", "--weights", "size=2"), 2, "no feature size"),
        (("rehearse", "--weights", "recency_days=0"), 2, "numbers above 0"),
        (("rehearse", "--weights", "recency_days"), 2, "numbers above 0"),
        (("rehearse", "--k", "21"), 2, "--k"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(
    two_versions: Settings, words: tuple[str, ...], code: int, message: str
) -> None:
    result = run(two_versions, *words)

    assert result.exit_code == code
    assert message in " ".join(result.output.split())


def test_a_store_without_customers_has_nothing_to_rehearse(redis_url: str) -> None:
    empty = small_settings("", redis_url, "empty")

    result = run(empty, "rehearse")

    assert result.exit_code == 1
    assert "no customer" in result.output
    assert everything(empty) == {}


def test_other_features_or_partitions_than_the_stored_ones_are_a_wrong_setting(
    two_versions: Settings,
) -> None:
    other = two_versions.model_copy(update={"half_life_days": 30.0})
    assert "v1-h60" in str(run(other, "diff", "1", "2").exception)
    assert isinstance(run(other, "rollback", "1", "--yes").exception, ConfigError)
    stored(two_versions, lambda store: store.settle({"PARTITIONS": str(PARTITIONS)}))

    more = two_versions.model_copy(update={"partitions": 8})
    answer = subprocess.run(
        [sys.executable, "-m", "stream_app", "model", "list"],
        env=environment(more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert answer.returncode == 78
    assert answer.stderr.startswith("segmenter: SEGMENTER_PARTITIONS must be 2")


def test_a_store_that_does_not_answer_is_a_wrong_setting(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})

    assert "the store does not answer" in str(run(nowhere, "list").exception)


def test_settings_that_the_processes_must_share_are_named(two_versions: Settings) -> None:
    result = run(two_versions, "rehearse", "--k", "5", "--margin", "0.2", "--promote", "--yes")

    assert "set SEGMENTER_K=5 for the trainer, or it returns to 4" in result.output
    assert "set SEGMENTER_MARGIN=0.2" in result.output


def test_the_running_trainer_goes_on_from_a_rollback_with_the_users_names(
    settings: Settings, broker: str, unique: Callable[[str], str]
) -> None:
    announced = settings.model_copy(
        update={"kafka_broker": broker, "topic_models": unique("models"), "k": 0}
    )
    asyncio.run(ensure_topics(announced))
    done(announced, "rehearse", "--k", "4", "--promote", "--yes")
    done(announced, "rehearse", "--k", "6", "--promote", "--yes")

    continued = asyncio.run(_trained_across_a_rollback(announced))

    three, four = version(announced, 3), version(announced, 4)
    assert (three.training.cause, four.training.cause) == ("rollback", "rename")
    assert continued.version == 5
    assert sorted(i for fate in continued.fates for i in fate.old) == ids(four) == ids(three)
    assert names(continued)[3] == names(four)[3] == "Loyal"
    assert len(set(names(continued).values())) == len(continued.segments)
    topic = asyncio.run(read_topic(announced, announced.topic_models, 5))
    assert [int(record.key) for record in topic] == [1, 2, 3, 4, 5]
    assert ModelSnapshot.model_validate_json(topic[2].value) == three


async def _trained_across_a_rollback(settings: Settings) -> ModelSnapshot:
    """Train from version 2 on, roll back and rename in between; return what comes after."""
    process = TrainerProcess(settings)
    values = await _dearer(settings)
    await process._sample(values[0])
    assert process._trainer is not None
    assert "version 2" in process._trainer.status
    await asyncio.to_thread(done, settings, "rollback", "1", "--yes")
    await asyncio.to_thread(done, settings, "rename", "3", "Loyal")
    async with asking(settings) as (_, store):
        for value in values * 40:
            await process._sample(value)
            if found := await store.load_model(5):
                await process._stop()
                return found
    raise AssertionError("the trainer never published again")


async def _dearer(settings: Settings) -> list[bytes]:
    """Population samples in which everybody spends twice as much as is stored."""
    async with asking(settings) as (queries, _):
        people = await queries.draw(300, 1, None, lambda _done, _total: None)
    features = features_of(settings)
    rows = people.vectors.copy()
    rows[:, [features.names.index(f) for f in ("decayed_spend", "average_basket")]] *= 2
    customers = [
        SampledCustomer(customer_id=f"c{i}", vector=tuple(row))
        for i, row in enumerate(rows.tolist())
    ]
    samples = [a_sample(customers[n::3]) for n in range(3)]
    at = to_datetime(people.at)
    return [s.model_copy(update={"event_time": at}).model_dump_json().encode() for s in samples]
