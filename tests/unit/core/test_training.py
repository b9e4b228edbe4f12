from dataclasses import replace
from itertools import pairwise
from math import log
from typing import Any

import numpy as np
import pytest

from stream_app.contracts import ModelSnapshot, SampledCustomer
from stream_app.core.live import LiveModel
from stream_app.core.training import Trainer, TrainingConfig
from tests.builders import FEATURES, START
from tests.populations import FRESH, GROUPS, HEAVY, RARE, SILENT, a_population, a_sample, feed

CONFIG = TrainingConfig(warmup_customers=300, guard_every=500)
LAPSED = (250, 3, 60, 18, 20, 90, 0.4, 0, 5)


def a_trainer(**changes: Any) -> Trainer:
    return Trainer(FEATURES, replace(CONFIG, **changes))


def ids(snapshot: ModelSnapshot) -> list[int]:
    return [segment.id for segment in snapshot.segments]


def transformed(customers: list[SampledCustomer]) -> np.ndarray[tuple[int, int]]:
    return np.array([FEATURES.transform(c.vector) for c in customers])


def test_nothing_is_published_before_enough_customers_are_known() -> None:
    trainer = a_trainer()

    assert trainer.learn(a_sample(a_population(299)), START) is None

    assert trainer.state == "warming"
    assert trainer.status.startswith("warming: 299 of 300 customers, ")


def test_nothing_is_published_before_the_history_is_long_enough() -> None:
    trainer = a_trainer()
    beginners = a_population(600, groups=(FRESH, (3, 2, 50, 25, 5, 9, 0.1, 0, 4)))

    assert trainer.learn(a_sample(beginners), START) is None
    assert "600 of 300 customers" in trainer.status
    assert trainer.history_days < 28

    assert trainer.learn(a_sample([SampledCustomer(customer_id="old", vector=HEAVY)]), START)
    assert trainer.state == "serving"


def test_a_shop_no_larger_than_asked_for_warms_up_although_the_window_is_smaller() -> None:
    customers = a_population(300)

    trainer = a_trainer(window=100)
    trainer.learn(a_sample(customers[:250]), START)
    assert trainer.customers == 250
    assert trainer.learn(a_sample(customers[250:]), START) is not None


def test_the_first_model_finds_the_groups_and_names_them() -> None:
    first = a_trainer().learn(a_sample(a_population()), START)

    assert first is not None
    assert (first.version, first.training.cause) == (1, "warm-up")
    assert ids(first) == [1, 2, 3, 4]
    assert first.training.next_segment_id == 5
    assert {f.kind for f in first.fates} == {"born"}
    assert set(first.training.silhouette) == {3, 4, 5, 6, 7, 8}
    assert sum(s.share for s in first.segments) == pytest.approx(1)
    spend = {round(s.profile["decayed_spend"], -1): s.name for s in first.segments}
    assert spend[max(spend)] == "Champions"
    assert {s.name for s in first.segments} >= {"Champions", "New"}


def test_profiles_are_medians_in_the_users_units() -> None:
    first = a_trainer().learn(a_sample(a_population(spread=0.01)), START)

    assert first is not None
    best = next(s for s in first.segments if s.name == "Champions")
    assert list(best.profile.values()) == pytest.approx(HEAVY, rel=0.02)
    assert tuple(best.profile) == FEATURES.names


def test_the_number_of_segments_can_be_set() -> None:
    first = a_trainer(k=7).learn(a_sample(a_population(spread=0.4)), START)

    assert first is not None
    assert len(first.centres) == len(first.segments) == 7
    assert first.training.silhouette == {}


@pytest.mark.parametrize("k", [0, 6])
def test_identical_customers_give_one_segment_published_once_not_an_error(k: int) -> None:
    same = [SampledCustomer(customer_id=f"c{i}", vector=RARE) for i in range(400)]
    trainer = a_trainer(k=k, check_every=50)

    published = feed(trainer, same, 3000)

    assert [len(s.segments) for s in published] == [1]
    assert trainer.state == "serving"


def test_a_sample_of_another_feature_set_is_ignored_and_counted() -> None:
    trainer = a_trainer()

    assert trainer.learn(a_sample(a_population(), feature_set="v0"), START) is None

    assert (trainer.ignored, trainer.samples, trainer.customers) == (600, 0, 0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_steady_population_is_tracked_as_well_as_batch_clustering_does(seed: int) -> None:
    trainer = a_trainer(k=4)

    published = feed(trainer, a_population(2000, spread=0.4), 6000, seed)

    assert "reseed" not in {s.training.cause for s in published}
    assert len(published) <= 6
    assert trainer._live is not None
    assert trainer._live.ratio is not None
    assert trainer._live.ratio < 1.05


def test_a_slow_drift_is_published_and_no_segment_changes_its_id() -> None:
    trainer = a_trainer()
    published = feed(trainer, a_population(), 1000)
    for step in range(20):
        recency = 20 * 1.03**step
        groups = (HEAVY, SILENT, (recency, *RARE[1:]), FRESH)
        published += feed(trainer, a_population(groups=groups), 300, seed=step)

    assert len(published) > 1
    assert {s.training.cause for s in published[1:]} == {"drift"}
    assert all(ids(s) == [1, 2, 3, 4] for s in published)
    assert all(f.kind == "kept" for s in published[1:] for f in s.fates)
    moved = next(s for s in published[-1].segments if 20 < s.profile["recency_days"] < 60)
    assert moved.profile["recency_days"] > 28


def test_a_new_group_is_born_with_a_new_id_and_the_others_keep_theirs() -> None:
    trainer = a_trainer(k=5)
    published = feed(trainer, a_population(groups=(*GROUPS, HEAVY)), 1000)
    published += feed(trainer, a_population(groups=(*GROUPS, LAPSED)), 4000)

    last = published[-1]
    assert "reseed" in {s.training.cause for s in published}
    assert max(ids(last)) > 5
    assert len(set(ids(last)) & set(ids(published[0]))) >= 3
    assert any(s.profile["recency_days"] > 200 for s in last.segments)


def test_each_version_accounts_for_every_segment_of_the_one_before() -> None:
    trainer = a_trainer()
    published = feed(trainer, a_population(), 1000)
    published += feed(trainer, a_population(groups=(HEAVY, LAPSED, RARE)), 3000)
    published += feed(trainer, a_population(groups=(*GROUPS, LAPSED)), 3000)

    assert len(published) > 2
    for before, after in pairwise(published):
        assert after.version == before.version + 1
        assert sorted(i for f in after.fates for i in f.old) == sorted(ids(before))
        assert sorted(i for f in after.fates for i in f.new) == sorted(ids(after))
        assert after.training.next_segment_id >= before.training.next_segment_id
        new = set(ids(after)) - set(ids(before))
        assert all(i >= before.training.next_segment_id for i in new)


@pytest.mark.parametrize(("factor", "follows"), [(10, False), (30, True)])
def test_when_the_amounts_of_all_grow_by_over_a_scale_the_scaling_follows_and_segments_stay(
    factor: float, *, follows: bool
) -> None:
    """The amounts of these customers spread over a factor of 20 from quarter to quarter."""
    customers = a_population(spread=0.3)
    inflated = [
        c.model_copy(update={"vector": (*c.vector[:2], c.vector[2] * factor, *c.vector[3:])})
        for c in customers
    ]
    live = LiveModel.start(CONFIG, transformed(customers), [f.weight for f in FEATURES.features], 1)
    scaling, segments = live.scaling, list(live.ids)
    live.mark_published()

    assert live.guard(transformed(inflated)) == "drift"

    grown = live.scaling.centre[2] - scaling.centre[2]
    assert grown == pytest.approx(log(factor) if follows else 0, abs=0.02)
    assert live.ids == segments


def test_a_snapshot_survives_json() -> None:
    first = a_trainer().learn(a_sample(a_population()), START)

    assert first is not None
    assert ModelSnapshot.model_validate_json(first.model_dump_json()) == first
