"""What keeps a model back, what it is called, and what is told of both."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from stream_app.contracts import ModelSnapshot
from stream_app.core.drift import Limits
from stream_app.core.training import Trainer, TrainingConfig
from tests.builders import FEATURES, START
from tests.populations import FRESH, GROUPS, HEAVY, RARE, SILENT, a_population, a_sample, feed

CONFIG = TrainingConfig(warmup_customers=300, guard_every=500)
STRICT = Limits(largest=0.5, calm=1500)
CROWD = (HEAVY, HEAVY, HEAVY, HEAVY, HEAVY, HEAVY, SILENT, RARE, FRESH)


def a_trainer(
    snapshot: ModelSnapshot | None = None, names: dict[int, str] | None = None, **changes: Any
) -> Trainer:
    return Trainer(FEATURES, replace(CONFIG, **changes), snapshot, names)


def crowded(**changes: Any) -> tuple[Trainer, list[ModelSnapshot]]:
    """A trainer that saw one group grow to two thirds of the population."""
    trainer = a_trainer(k=4, **changes)
    before = feed(trainer, a_population(), 1000)
    after = feed(trainer, a_population(groups=CROWD), 2000)
    return trainer, before + after


def test_the_default_limits_let_a_growing_group_pass() -> None:
    trainer, published = crowded()

    assert max(s.share for s in published[-1].segments) > 0.6
    assert trainer.state == "serving"
    assert trainer.notices() == []


def test_beyond_the_budget_the_last_good_version_goes_on_and_one_notice_says_why() -> None:
    trainer, published = crowded(limits=STRICT)
    (notice,) = trainer.notices()

    assert trainer.state == "frozen"
    assert trainer.status.startswith("frozen, a segment holds nearly everybody: 0.")
    assert max(s.share for s in published[-1].segments) <= 0.5
    assert (notice.kind, notice.version) == ("frozen", published[-1].version)
    assert (notice.reason, notice.limit) == ("a segment holds nearly everybody", 0.5)
    assert notice.value > 0.5
    assert trainer.notices() == []


def test_when_it_was_calm_for_long_enough_learning_goes_on_by_itself() -> None:
    trainer, published = crowded(limits=STRICT)
    trainer.notices()

    later = feed(trainer, a_population(seed=5), 4000)

    assert [n.kind for n in trainer.notices()] == ["thawed"]
    assert trainer.state == "serving"
    assert later[0].version == published[-1].version + 1
    assert later[0].training.samples > published[-1].training.samples + 1500


def test_an_operator_thaws_and_the_model_that_was_held_back_is_published() -> None:
    trainer, published = crowded(limits=STRICT)

    trainer.thaw()
    later = feed(trainer, a_population(groups=CROWD), 500)

    assert later[0].version == published[-1].version + 1
    assert [n.kind for n in trainer.notices()] == ["frozen", "thawed"]


def test_a_start_with_the_thaw_flag_accepts_the_first_excess_and_only_that() -> None:
    trainer, published = crowded(limits=STRICT, thaw=True)

    crowded_in = [max(s.share for s in p.segments) > 0.5 for p in published]
    (notice,) = trainer.notices()
    assert crowded_in == [False] * (len(published) - 1) + [True]
    assert trainer.state == notice.kind == "frozen"
    assert notice.value > max(s.share for s in published[-1].segments)


def test_a_frozen_model_accounts_for_the_segments_that_were_last_published() -> None:
    trainer = a_trainer(k=4, limits=STRICT)
    before = feed(trainer, a_population(), 1000)
    before += feed(trainer, a_population(groups=CROWD), 3000)
    trainer.thaw()
    after = feed(trainer, a_population(groups=CROWD), 1000)[0]

    known = sorted(s.id for s in before[-1].segments)
    assert sorted(i for f in after.fates for i in f.old) == known


def test_a_name_that_changes_is_told_as_a_rename_of_that_version() -> None:
    trainer = a_trainer(k=4)
    published = feed(trainer, a_population(), 1000)
    for step in range(40):
        later = (40.0 + 6 * step, *SILENT[1:])
        published += feed(trainer, a_population(groups=(HEAVY, later, RARE, FRESH)), 400, step)

    told = 0
    for old, new in pairwise(published):
        known = {s.id: s.name for s in old.segments}
        turned = {s.id: (known[s.id], s.name) for s in new.segments if s.id in known}
        expected = {i: pair for i, pair in turned.items() if pair[0] != pair[1]}
        assert {r.id: (r.old, r.new) for r in new.renames} == expected
        told += len(expected)
    assert told


def test_on_a_steady_population_no_segment_is_born_dies_or_is_renamed() -> None:
    published = feed(a_trainer(), a_population(2000, spread=0.3), 8000)

    assert {f.kind for s in published[1:] for f in s.fates} <= {"kept"}
    assert [r for s in published for r in s.renames] == []


def test_the_users_names_hold_and_a_learned_name_that_clashes_gives_way() -> None:
    learned = a_trainer().learn(a_sample(a_population()), START)
    assert learned is not None
    champions = next(s.id for s in learned.segments if s.name == "Champions")
    other = next(s.id for s in learned.segments if s.id != champions)

    named = a_trainer(names={other: "Champions"}).learn(a_sample(a_population()), START)

    assert named is not None
    names = {s.id: s.name for s in named.segments}
    assert names[other] == "Champions"
    assert len(set(names.values())) == len(names)
    assert names[champions] != "Champions"


def test_names_given_later_show_in_the_next_version_and_survive_a_reseed() -> None:
    trainer = a_trainer(k=4)
    first = feed(trainer, a_population(), 1000)[-1]
    kept = next(s.id for s in first.segments if s.profile["decayed_spend"] > 600)

    trainer.rename({kept: "VIP"})
    lapsed = (250, 3, 60, 18, 20, 90, 0.4, 0, 5)
    published = feed(trainer, a_population(groups=(HEAVY, lapsed, RARE, FRESH)), 3000)

    assert published
    assert all({s.id: s.name for s in p.segments}[kept] == "VIP" for p in published)
    assert [(r.id, r.new) for r in published[0].renames if r.id == kept] == [(kept, "VIP")]


def test_after_another_program_published_a_version_learning_goes_on_from_it_at_once() -> None:
    trainer = a_trainer()
    last = feed(trainer, a_population(), 1000)[-1]
    theirs = last.model_copy(update={"version": last.version + 1})

    trainer.go_on_from(theirs, {1: "Ours"})
    published = feed(trainer, a_population(groups=(*GROUPS[:3], RARE)), 1500)

    assert published[0].version == theirs.version + 1
    assert {s.id: s.name for s in published[0].segments}.get(1) == "Ours"


@pytest.mark.parametrize("group", range(4))
def test_a_group_that_leaves_is_told_and_the_others_stay(group: int) -> None:
    trainer = a_trainer()
    first = feed(trainer, a_population(), 1000)[-1]
    rest = [g for i, g in enumerate(GROUPS) if i != group]

    published = feed(trainer, a_population(groups=rest), 6000)

    before = {s.id for s in first.segments}
    (gone,) = before - {s.id for s in published[-1].segments}
    assert {s.id for s in published[-1].segments} == before - {gone}
    assert [f.kind for p in published for f in p.fates if f.old == (gone,)][-1] == "died"
