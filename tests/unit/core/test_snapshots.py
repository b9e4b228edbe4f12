"""Stored snapshots are read, or refused with one sentence."""

import json
from typing import Any

import pytest

from stream_app.core.snapshots import SnapshotError, read_snapshot
from tests.builders import a_snapshot

REST = (0.0,) * 8


def stored(**changes: Any) -> str:
    """A stored snapshot, version 7, with some fields replaced; a dot reaches inside."""
    body = a_snapshot(7, centres=((0.0, *REST), (1.0, *REST)), names=("A", "B")).model_dump_json()
    found: dict[str, Any] = json.loads(body)
    for path, value in changes.items():
        *way, last = path.split("__")
        inside = found
        for step in way:
            inside = inside[step]
        inside[last] = value
    return json.dumps(found)


def test_a_stored_snapshot_is_read_as_it_was() -> None:
    assert read_snapshot(stored()).version == 7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 2}, "model 7 has schema 2; this program reads 1"),
        ({"centres": [[0.0, *REST]]}, "model 7 cannot be used: 1 centres for 2 segments"),
        ({"centres": [[0.0], [1.0, *REST]]}, "model 7 .* a centre has not 9 coordinates"),
        ({"centres": [["x", *REST], [1.0, *REST]]}, r"model 7 is malformed at centres\.0\.0"),
        ({"scaling__scale": [1.0] * 8}, "model 7 .* the scaling has not 9 values"),
        ({"scaling__centre": [1.0] * 10}, "model 7 .* the scaling has not 9 values"),
        ({"scaling__weight": []}, "model 7 .* the scaling has not 9 values"),
        ({"scaling__scale": [1.0] * 8 + [0.0]}, "model 7 .* a scale is not positive"),
        ({"scaling__clip": 0.0}, "model 7 .* the clip is not positive"),
        ({"segments": [], "centres": []}, "model 7 .* it has no segment"),
        ({"version": 0}, "model 0 is malformed at version"),
    ],
)
def test_a_snapshot_that_cannot_score_is_refused_by_version(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(SnapshotError, match=said):
        read_snapshot(stored(**changes))


def test_two_segments_with_one_id_are_refused() -> None:
    twins = json.loads(stored())["segments"]
    twins[1]["id"] = twins[0]["id"]

    with pytest.raises(SnapshotError, match="two segments have the same id"):
        read_snapshot(stored(segments=twins))


@pytest.mark.parametrize("value", ["", "{", "NaN"])
def test_what_is_no_json_is_refused(value: str) -> None:
    with pytest.raises(SnapshotError, match="not JSON"):
        read_snapshot(value)


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(SnapshotError, match=r"model 7 is malformed at centres|not JSON"):
        read_snapshot(stored().replace("1.0", "1e999", 1))
