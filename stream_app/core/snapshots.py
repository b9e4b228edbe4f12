"""Stored snapshots: read, and checked to be of shapes that can score."""

import msgspec
from pydantic import ValidationError

from stream_app.contracts import ModelSnapshot

SNAPSHOT_SCHEMA = 1


class SnapshotError(Exception):
    """A snapshot cannot be used; the message names its version and what is wrong with it."""


class UnknownFeatureSetError(SnapshotError):
    """The snapshot was made for other features than this worker computes; it must not score."""


def read_snapshot(value: bytes | str) -> ModelSnapshot:
    """Read a stored snapshot and check that it can score.

    Raises SnapshotError with one sentence: schema, field or shape that is wrong, and the version.
    """
    try:
        found = msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"a model snapshot is not JSON: {error}") from None
    facts = found if isinstance(found, dict) else {}
    name, schema = f"model {facts.get('version', '?')}", facts.get("schema_version", 1)
    if schema != SNAPSHOT_SCHEMA:
        raise SnapshotError(f"{name} has schema {schema}; this program reads {SNAPSHOT_SCHEMA}")
    try:
        snapshot = ModelSnapshot.model_validate_json(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SnapshotError(f"{name} is malformed at {where}: {first['msg']}") from None
    check(snapshot)
    return snapshot


def check(snapshot: ModelSnapshot) -> None:
    """Raise SnapshotError unless every shape agrees and every number can be computed with."""
    d, k, scaling = len(snapshot.features), len(snapshot.segments), snapshot.scaling
    faults = (
        (not k, "it has no segment"),
        (len(snapshot.centres) != k, f"{len(snapshot.centres)} centres for {k} segments"),
        (any(len(c) != d for c in snapshot.centres), f"a centre has not {d} coordinates"),
        (
            any(len(row) != d for row in (scaling.centre, scaling.scale, scaling.weight)),
            f"the scaling has not {d} values",
        ),
        (min(scaling.scale, default=1.0) <= 0, "a scale is not positive"),
        (scaling.clip <= 0, "the clip is not positive"),
        (len({s.id for s in snapshot.segments}) != k, "two segments have the same id"),
    )
    for wrong, what in faults:
        if wrong:
            raise SnapshotError(f"model {snapshot.version} cannot be used: {what}")
