"""Made-up populations: groups of customers around typical vectors, in natural units."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import numpy as np

from stream_app.contracts import ModelSnapshot, PopulationSample, SampledCustomer
from stream_app.core.training import Trainer
from tests.builders import FEATURES, START

Group = tuple[float, ...]

HEAVY: Group = (2, 20, 900, 45, 4, 300, 0.10, 0, 15)
SILENT: Group = (90, 8, 300, 35, 8, 200, 0.10, 0, 10)
RARE: Group = (20, 1.5, 25, 15, 60, 250, 0.10, 0, 4)
FRESH: Group = (2, 1, 25, 25, 180, 0, 0.10, 0, 3)
GROUPS = (HEAVY, SILENT, RARE, FRESH)


def a_population(
    size: int = 600, groups: Sequence[Group] = GROUPS, seed: int = 1, spread: float = 0.15
) -> list[SampledCustomer]:
    """Customers dealt to the groups in turn, each value off by a log-normal factor."""
    noise = np.random.default_rng(seed).lognormal(0, spread, (size, len(groups[0])))
    vectors = noise * np.array([groups[i % len(groups)] for i in range(size)])
    return [
        SampledCustomer(customer_id=f"c{i}", vector=tuple(v))
        for i, v in enumerate(vectors.tolist())
    ]


def a_sample(
    customers: Iterable[SampledCustomer], at: float = 0, feature_set: str = FEATURES.version
) -> PopulationSample:
    """A message with these customers, on day ``at``."""
    return PopulationSample(
        feature_set=feature_set,
        partition=0,
        population=1000,
        event_time=START + timedelta(days=at),
        customers=tuple(customers),
    )


def feed(
    trainer: Trainer, customers: Sequence[SampledCustomer], samples: int, seed: int = 2
) -> list[ModelSnapshot]:
    """Send samples drawn with replacement, 20 a message; return what was published."""
    rng = np.random.default_rng(seed)
    messages = [rng.integers(0, len(customers), 20).tolist() for _ in range(samples // 20)]
    published = (
        trainer.learn(a_sample(customers[i] for i in rows), created_at=START) for rows in messages
    )
    return [snapshot for snapshot in published if snapshot is not None]
