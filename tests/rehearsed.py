"""Populations and plans for rehearsals."""

from datetime import timedelta

import numpy as np

from stream_app.contracts import ModelSnapshot
from stream_app.core.rehearsal import (
    Population,
)
from stream_app.core.versions import Plan
from tests.builders import START, day
from tests.populations import GROUPS, Group, a_population

LATER = START + timedelta(days=3)


def people(size: int = 600, groups: tuple[Group, ...] = GROUPS, seed: int = 1) -> Population:
    vectors = np.array([c.vector for c in a_population(size, groups, seed)])
    return Population(vectors, np.zeros(size, dtype=np.int64), size, day(0))


def a_plan(k: int = 4, names: dict[int, str] | None = None, **weights: float) -> Plan:
    return Plan(k, 42, weights, names or {}, LATER)


def ids(model: ModelSnapshot) -> list[int]:
    return [segment.id for segment in model.segments]


def names(model: ModelSnapshot) -> list[str]:
    return [segment.name for segment in model.segments]
