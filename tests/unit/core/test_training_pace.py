"""When the trainer looks at the population: the gates of a first model, follows and guards."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from stream_app.contracts import ModelSnapshot, SampledCustomer
from stream_app.core.drift import Limits
from stream_app.core.training import Trainer, TrainingConfig
from tests.builders import FEATURES, START
from tests.populations import FRESH, GROUPS, HEAVY, RARE, a_population, a_sample

CONFIG = TrainingConfig(
    k=4, warmup_customers=100, warmup_days=28, window=200, check_every=40, guard_every=160
)
CUSTOMERS = a_population(2000, spread=0.3)
LAPSED = (250, 3, 60, 18, 20, 90, 0.4, 0, 5)
FIVE_GROUPS = a_population(1200, groups=(*GROUPS, LAPSED), seed=9)


def a_trainer(snapshot: ModelSnapshot | None = None, **changes: Any) -> Trainer:
    return Trainer(FEATURES, replace(CONFIG, **changes), snapshot)


def one_by_one(
    trainer: Trainer, customers: list[SampledCustomer]
) -> tuple[list[int], list[ModelSnapshot]]:
    """After how many samples there was a guard, and what was published."""
    guards, published = [], []
    for customer in customers:
        before = trainer._live and trainer._live.ratio
        snapshot = trainer.learn(a_sample([customer]), START)
        if (trainer._live and trainer._live.ratio) is not before:
            guards.append(trainer.samples)
        if snapshot:
            published.append(snapshot)
    return guards, published


def test_a_trainer_that_knows_nobody_says_what_it_waits_for() -> None:
    assert a_trainer().status == "warming: 0 of 100 customers, 0 of 28 days"


def test_the_first_model_comes_with_the_customer_that_was_missing() -> None:
    _, published = one_by_one(a_trainer(), CUSTOMERS[:100])

    assert [(p.training.samples, p.training.customers) for p in published] == [(100, 100)]


def test_a_customer_who_is_sampled_again_counts_once_towards_the_first_model() -> None:
    trainer = a_trainer()

    assert one_by_one(trainer, CUSTOMERS[:99] * 3) == ([], [])

    assert (trainer.customers, trainer.samples, trainer.state) == (99, 297, "warming")


@pytest.mark.parametrize(("days", "known"), [(27.9, False), (28.0, True)])
def test_the_history_must_span_the_days_asked_for_from_a_first_purchase_until_now(
    days: float, *, known: bool
) -> None:
    """The longest history is that of one customer: 20 days of purchases, then silence."""
    trainer = a_trainer()
    customers = [
        SampledCustomer(customer_id=f"c{i}", vector=(1.0, *HEAVY[1:5], 10.0, *HEAVY[6:]))
        for i in range(120)
    ]
    oldest = SampledCustomer(customer_id="old", vector=(days - 20, *HEAVY[1:5], 20.0, *HEAVY[6:]))

    published = trainer.learn(a_sample([oldest, *customers]), START)

    assert trainer.history_days == pytest.approx(days)
    assert (published is not None) is known
    assert f"{days:.0f} of 28 days" in trainer.status or known


def test_guards_come_after_one_check_and_then_after_pauses_that_double_up_to_the_longest() -> None:
    guards, published = one_by_one(a_trainer(), CUSTOMERS[:900])

    assert guards == [140, 220, 380, 540, 700, 860]
    assert "reseed" not in {p.training.cause for p in published}


def test_after_a_reseed_guards_come_soon_again() -> None:
    trainer = a_trainer()
    one_by_one(trainer, CUSTOMERS[:700])

    guards, published = one_by_one(trainer, FIVE_GROUPS[:600])

    assert [p.training.samples for p in published if p.training.cause == "reseed"] == [860]
    assert guards == [860, 900, 980, 1140, 1300]


def test_between_guards_a_version_is_published_no_sooner_than_after_one_check() -> None:
    _, published = one_by_one(a_trainer(), CUSTOMERS[:300] + FIVE_GROUPS[:900])

    pauses = [b.training.samples - a.training.samples for a, b in pairwise(published)]
    assert len(pauses) > 3
    assert min(pauses) == CONFIG.check_every


def a_snapshot(customers: list[SampledCustomer]) -> ModelSnapshot:
    snapshot = a_trainer(warmup_customers=60, warmup_days=0).learn(a_sample(customers), START)
    assert snapshot is not None
    return snapshot


def test_after_a_restart_nothing_is_judged_before_as_many_customers_are_known_again() -> None:
    trainer = a_trainer(a_snapshot(CUSTOMERS[:300]))

    guards, _ = one_by_one(trainer, CUSTOMERS[300:450])

    assert guards[0] == 300 + 100


def test_after_a_restart_a_shop_too_small_for_that_is_judged_when_the_window_has_filled() -> None:
    trainer = a_trainer(a_snapshot(CUSTOMERS[:60]))

    guards, _ = one_by_one(trainer, CUSTOMERS[:60] * 5)

    assert guards[0] == 60 + 200


def test_the_reservoir_says_how_many_customers_are_known_once_there_is_a_model() -> None:
    trainer = a_trainer()

    one_by_one(trainer, CUSTOMERS[:350])

    assert trainer.customers == 200


STRICT = Limits(moved=0.1, ratio=100)
REPLACED = a_population(groups=(HEAVY, LAPSED, RARE, FRESH))


def learned(trainer: Trainer, customers: list[SampledCustomer], at: float) -> list[ModelSnapshot]:
    """What is published when these customers are sampled a thousand times on that day."""
    drawn = np.random.default_rng(2).integers(0, len(customers), (50, 20)).tolist()
    samples = (a_sample([customers[i] for i in row], at) for row in drawn)
    return [snapshot for sample in samples if (snapshot := trainer.learn(sample, START))]


def a_watched_trainer(snapshot: ModelSnapshot | None = None) -> Trainer:
    usual = {"window": 2000, "check_every": 250, "guard_every": 500}
    return a_trainer(snapshot, warmup_customers=300, limits=STRICT, **usual)


@pytest.mark.parametrize(("day", "passes"), [(1, False), (30, True)])
def test_more_may_change_the_more_days_went_by_since_the_last_version(
    day: float, *, passes: bool
) -> None:
    trainer = a_watched_trainer()
    learned(trainer, a_population(), at=0)

    assert bool(learned(trainer, REPLACED, at=day)) is passes


def test_after_a_restart_days_count_from_the_last_version_too() -> None:
    last = learned(a_watched_trainer(), a_population(), at=30)[-1]

    assert learned(a_watched_trainer(last), FIVE_GROUPS, at=30.5) == []
    assert learned(a_watched_trainer(last), FIVE_GROUPS, at=60)


def test_a_message_that_comes_late_does_not_turn_back_the_day() -> None:
    trainer = a_watched_trainer()
    learned(trainer, a_population(20), at=30)
    learned(trainer, a_population(), at=0)

    assert learned(trainer, REPLACED, at=30) == []
    assert trainer.state == "frozen"
