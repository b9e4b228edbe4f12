"""A model on a real store is rolled back, and its segments renamed."""

import json
from pathlib import Path

import pytest
import redis
import typer

from stream_app.adapters.redis_store import RedisStore
from stream_app.bootstrap import features_of
from stream_app.cli.desk import Desk
from stream_app.config import Settings
from tests.harness import asking
from tests.model_desk import (
    a_counted_shop,
    done,
    ids,
    names,
    names_of,
    run,
    stored,
    version,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return a_counted_shop(redis_url)


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
