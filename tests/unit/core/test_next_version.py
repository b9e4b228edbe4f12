"""The version that comes next: rolled back, renamed, or learned anew from everybody."""

import pytest

from stream_app.contracts import ModelSnapshot, SegmentRename
from stream_app.core.features import FeatureSet
from stream_app.core.rehearsal import (
    migration,
)
from stream_app.core.versions import candidate, renamed, rolled_back, with_name
from tests.builders import FEATURES, a_snapshot
from tests.populations import FRESH, HEAVY, RARE, SILENT
from tests.rehearsed import LATER, a_plan, ids, names, people


def test_a_rollback_judges_as_the_old_version_and_never_gives_an_id_twice() -> None:
    old = candidate(people(), FEATURES, a_plan(k=4), None)
    latest = candidate(people(), FEATURES, a_plan(k=7), old)

    new = rolled_back(old, latest, {}, LATER)

    assert new.version == 3
    assert (new.centres, new.scaling, new.segments) == (old.centres, old.scaling, old.segments)
    assert new.training.cause == "rollback"
    assert new.training.next_segment_id == latest.training.next_segment_id > max(ids(latest))
    assert new.created_at == LATER
    assert sorted(i for f in new.fates for i in f.old) == sorted(ids(latest))
    assert sorted(i for f in new.fates for i in f.new) == sorted(ids(old))
    assert ModelSnapshot.model_validate_json(new.model_dump_json()) == new


def test_a_rollback_keeps_the_names_the_user_gave_since() -> None:
    old, latest = a_snapshot(), a_snapshot(2)

    new = rolled_back(old, latest, {2: "My people", 9: "Others"}, LATER)

    assert names(new) == ["Active", "My people", "Gone"]
    assert new.renames == (SegmentRename(id=2, old="Quiet", new="My people"),)


def test_names_stay_unique_when_a_users_name_is_taken() -> None:
    segments = a_snapshot(names=("Loyal", "Lost", "Loyal 2")).segments

    assert [s.name for s in renamed(segments, {2: "Loyal"})] == ["Loyal 2", "Loyal", "Loyal 2 2"]
    assert [s.name for s in renamed(segments, {})] == ["Loyal", "Lost", "Loyal 2"]


def test_a_new_name_changes_nothing_else() -> None:
    latest = a_snapshot(4)

    new = with_name(latest, 2, "Quietly loyal", LATER)

    assert names(new) == ["Active", "Quietly loyal", "Gone"]
    assert (new.version, new.training.cause) == (5, "rename")
    assert {f.kind for f in new.fates} == {"kept"}
    assert new.renames == (SegmentRename(id=2, old="Quiet", new="Quietly loyal"),)
    kept = {"centres", "scaling", "features", "feature_set", "event_time"}
    assert new.model_dump(include=kept) == latest.model_dump(include=kept)


def test_without_the_users_name_a_segment_gets_the_one_it_would_have_learned() -> None:
    learned = candidate(people(), FEATURES, a_plan(), None)
    for one in learned.segments:
        named = with_name(learned, one.id, "Mine", LATER)

        reset = with_name(named, one.id, None, LATER)

        assert "Mine" in names(named)
        assert names(reset) == names(learned)


def test_a_candidate_finds_the_groups_and_speaks_of_them_in_natural_units() -> None:
    population = people()

    found = candidate(population, FEATURES, a_plan(), None)

    assert (found.version, found.training.cause, ids(found)) == (1, "rehearsal", [1, 2, 3, 4])
    assert found.training.next_segment_id == 5
    recency = sorted(s.profile["recency_days"] for s in found.segments)
    assert recency == pytest.approx([2, 2, 20, 90], rel=0.1)
    assert sum(s.share for s in found.segments) == pytest.approx(1)


def test_a_candidate_continues_the_segments_that_share_its_customers() -> None:
    population = people()
    current = candidate(population, FEATURES, a_plan(), None)
    current = with_name(current, 2, "My people", LATER)

    again = candidate(population, FEATURES, a_plan(), current)

    assert again.version == 3
    assert ids(again) == ids(current)
    assert names(again) == names(current)
    assert {f.kind for f in again.fates} == {"kept"}
    assert migration(population, FEATURES, current, again, 0.1).moves == []


def test_a_candidate_gives_new_ids_to_segments_nobody_had() -> None:
    current = candidate(people(groups=(HEAVY, SILENT, RARE)), FEATURES, a_plan(k=3), None)
    current = current.model_copy(
        update={"training": current.training.model_copy(update={"next_segment_id": 40})}
    )

    found = candidate(people(groups=(HEAVY, SILENT, RARE, FRESH)), FEATURES, a_plan(), current)

    assert set(ids(found)) == {1, 2, 3, 40}
    assert found.training.next_segment_id == 41


def test_after_other_features_nobody_continues() -> None:
    current = a_snapshot(feature_set=FeatureSet.build(30.0).version)

    found = candidate(people(), FEATURES, a_plan(), current)

    assert ids(found) == [4, 5, 6, 7]
    assert sorted(i for f in found.fates if f.kind == "died" for i in f.old) == [1, 2, 3]


def test_a_candidate_wears_the_users_names() -> None:
    current = candidate(people(), FEATURES, a_plan(), None)

    found = candidate(people(), FEATURES, a_plan(names={3: "Loyal"}), current)

    assert found.segments[ids(found).index(3)].name == "Loyal"
    assert len(set(names(found))) == 4


def test_weights_decide_what_segments_are_about() -> None:
    cheap = tuple((*group[:6], 0.6, *group[7:]) for group in (HEAVY, SILENT))
    population = people(groups=(HEAVY, SILENT, *cheap))

    def apart(found: ModelSnapshot, feature: str) -> float:
        one, other = (segment.profile[feature] for segment in found.segments)
        return abs(one - other)

    light = candidate(population, FEATURES, a_plan(k=2, discount_share=0.01), None)
    heavy = candidate(population, FEATURES, a_plan(k=2, discount_share=9.0), None)

    assert apart(light, "recency_days") > 80
    assert apart(heavy, "discount_share") > 0.4
    assert heavy.scaling.weight[FEATURES.names.index("discount_share")] == 9.0
    assert heavy.scaling.weight[0] == 1.0
