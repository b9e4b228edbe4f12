"""Versions of the model on a real store: looked at, compared, tried in shadow."""

import json
import subprocess
import sys

import pytest

from stream_app.config import ConfigError, Settings, environment
from stream_app.contracts import ModelSnapshot
from tests.harness import small_settings
from tests.model_desk import (
    PARTITIONS,
    a_counted_shop,
    done,
    everything,
    ids,
    rescored,
    run,
    stored,
    version,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return a_counted_shop(redis_url)


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
