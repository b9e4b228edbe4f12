"""A rehearsal foretells who would be where, and who would move at once."""

from typing import Any

import numpy as np
import pytest

from stream_app.contracts import ModelSnapshot, Scaling, SegmentRef
from stream_app.core.model import SegmentModel
from stream_app.core.rehearsal import (
    NOWHERE,
    Move,
    Population,
    effect,
    fates,
    migration,
    near_border,
    place,
    shifts,
    triggers,
)
from stream_app.core.versions import candidate
from tests.builders import FEATURES, a_snapshot, axis, day
from tests.placing import a_place, located
from tests.rehearsed import a_plan, ids, people

WIDTH = len(FEATURES.names)


def silent(*days: float, segments: tuple[int, ...] = (), total: int = 0) -> Population:
    """Customers who differ in their days of silence only."""
    vectors = np.zeros((len(days), WIDTH))
    vectors[:, 0] = days
    stored = np.array(segments or (0,) * len(days), dtype=np.int64)
    return Population(vectors, stored, total or len(days), day(0))


def moved(model: ModelSnapshot, *days: float, **fields: Any) -> ModelSnapshot:
    """The next version, with the centres at other days of silence."""
    centres = tuple((axis(x), *[0.0] * (WIDTH - 1)) for x in days)
    return model.model_copy(update={"version": model.version + 1, "centres": centres} | fields)


def ref(model: ModelSnapshot, index: int) -> SegmentRef:
    segment = model.segments[index]
    return SegmentRef(id=segment.id, name=segment.name)


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_everybody_is_placed_as_a_worker_places_them_one_by_one(margin: float, seed: int) -> None:
    population = people(400, seed=seed)
    model = candidate(population, FEATURES, a_plan(k=6), None)
    rng = np.random.default_rng(seed)
    current = rng.integers(0, 9, 400)
    worker = SegmentModel(model, FEATURES, margin)

    together = place(population.vectors, model, FEATURES, current, margin)

    alone = [
        a_place(worker, located(worker, vector), worker.index(segment)).segment
        for vector, segment in zip(population.vectors.tolist(), current.tolist(), strict=True)
    ]
    assert together.tolist() == [model.segments[i].id for i in alone]


def test_the_same_model_moves_nobody() -> None:
    population = people()
    model = candidate(population, FEATURES, a_plan(), None)

    same = migration(population, FEATURES, model, model, 0.1)

    assert same.counts.tolist() == np.diag(same.counts.diagonal()).tolist()
    assert same.counts.sum() == 600
    assert same.moves == []


def test_the_matrix_tells_who_goes_where_and_is_extended_to_all_customers() -> None:
    old = a_snapshot()
    population = silent(1, 4, 12, 25, 40, 210, total=60)

    found = migration(population, FEATURES, old, moved(old, 1, 12, 200), 0.1)

    assert found.counts.tolist() == [[2, 1, 0], [0, 2, 0], [0, 0, 1]]
    assert found.expected == [[20, 10, 0], [0, 20, 0], [0, 0, 10]]
    assert found.shares[0] == [0.6667, 0.3333, 0.0]
    assert found.moves == [Move(ref(old, 0), ref(old, 1), 10)]


def test_hysteresis_holds_who_is_on_the_border_where_they_are_stored() -> None:
    model = a_snapshot()
    middle = 11.6
    population = silent(middle, middle, segments=(1, 2))

    held = triggers(population, FEATURES, model, model, 0.1)
    free = triggers(population, FEATURES, model, model, 0.0)

    assert held == []
    assert len(free) == 1
    assert near_border(population, FEATURES, model, 0.1) == 1.0


def test_more_margin_means_more_customers_near_a_border_and_one_segment_has_none() -> None:
    population = people()
    model = candidate(population, FEATURES, a_plan(k=6), None)

    shares = [near_border(population, FEATURES, model, m) for m in (0, 0.05, 0.2, 0.5, 0.9)]

    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[1] < 0.2 < shares[-1]
    alone = candidate(population, FEATURES, a_plan(k=1), None)
    assert near_border(population, FEATURES, alone, 0.5) == 0.0


def test_triggers_start_from_the_stored_segment_and_name_what_is_not_known_any_more() -> None:
    model = a_snapshot()
    population = silent(3, 3, 200, 30, segments=(0, 1, 2, 77))

    found = triggers(population, FEATURES, model, model, 0.1)

    unknown = SegmentRef(id=77, name="segment 77")
    assert found == [
        Move(NOWHERE, ref(model, 0), 1),
        Move(SegmentRef(id=2, name="Quiet"), ref(model, 2), 1),
        Move(unknown, ref(model, 1), 1),
    ]


def test_a_new_name_alone_triggers_nothing() -> None:
    old = a_snapshot()
    new = a_snapshot(2, names=("A", "B", "C"))
    population = silent(3, 30, 200, segments=(1, 2, 3))

    assert triggers(population, FEATURES, old, new, 0.1) == []
    assert migration(population, FEATURES, old, new, 0.1).moves == []


def test_the_whole_effect_is_told_as_json_ready_data_also_without_a_model_before() -> None:
    population = silent(3, 30, 200)
    model = a_snapshot()

    first = effect(population, FEATURES, None, model, 0.1).dump()
    other = effect(
        population, FEATURES, model.model_copy(update={"feature_set": "x"}), model, 0.1
    ).dump()
    same = effect(population, FEATURES, model, model, 0.1).dump()

    assert first["migration"] is None
    assert other["migration"] is None
    assert {(t["old"]["id"], t["customers"]) for t in first["triggers"]} == {(0, 1)}
    assert same["migration"]["customers"] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_without_customers_nothing_happens_to_nobody() -> None:
    nobody = Population(np.zeros((0, WIDTH)), np.zeros(0, dtype=np.int64), 0, 0)
    model = a_snapshot()

    found = effect(nobody, FEATURES, model, moved(model, 1, 2, 3), 0.1)

    assert found.migration is not None
    assert found.migration.counts.tolist() == [[0] * 3] * 3
    assert found.migration.shares == [[0.0] * 3] * 3
    assert (found.triggers, found.near_border) == ([], 0.0)


def test_a_centre_that_only_got_another_scaling_has_not_moved() -> None:
    scaling = Scaling(centre=(1.0,) * WIDTH, scale=(2.0,) * WIDTH, weight=(0.5,) * WIDTH, clip=50.0)
    model = a_snapshot(scaling=scaling)
    finer = scaling.model_copy(update={"centre": (0.0,) * WIDTH, "scale": (1.0,) * WIDTH})
    centres = tuple(tuple((c / 0.5 * 2 + 1) * 0.5 for c in row) for row in model.centres)
    new = a_snapshot(2, centres, names=("Active", "Still", "Gone"), scaling=finer)

    found = shifts(model, new)

    assert [shift.id for shift in found] == [1, 2, 3]
    assert [shift.distance for shift in found] == pytest.approx([0, 0, 0], abs=1e-12)
    assert [shift.names for shift in found][1] == ("Quiet", "Still")


def test_a_shift_is_measured_where_only_the_centre_moved() -> None:
    model = a_snapshot()

    found = shifts(model, moved(model, 3, 60, 200))

    assert [round(s.distance, 6) for s in found] == [0, round(axis(60) - axis(30), 6), 0]


def test_fates_of_neighbours_are_the_published_ones_and_of_others_go_by_id() -> None:
    one = candidate(people(), FEATURES, a_plan(k=3), None)
    two = candidate(people(), FEATURES, a_plan(k=5), one)

    assert fates(one, two) == two.fates
    later = two.model_copy(update={"version": 9})
    kept = set(ids(one)) & set(ids(two))
    assert {f.old for f in fates(one, later) if f.kind == "kept"} == {(i,) for i in kept}
    assert {f.old for f in fates(one, later) if f.kind == "died"} == {
        (i,) for i in set(ids(one)) - kept
    }
    assert {f.new for f in fates(one, later) if f.kind == "born"} == {
        (i,) for i in set(ids(two)) - kept
    }
