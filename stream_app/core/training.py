"""The trainer: population samples in, numbered model snapshots out.

It warms up on the first customers, clusters them in batch, then follows the population online.
A guard compares with batch clustering from time to time and reseeds when that is clearly better.
Time comes in with the samples, randomness from the seed: the same samples give the same snapshots.
"""

from datetime import datetime
from typing import Literal

import numpy as np

from stream_app.contracts import (
    ModelSnapshot,
    PopulationSample,
    SampledCustomer,
    Segment,
    Training,
)
from stream_app.core import clustering, identity
from stream_app.core.features import FeatureSet
from stream_app.core.live import LiveModel
from stream_app.core.model import Matrix, coordinates
from stream_app.core.reservoir import Reservoir
from stream_app.core.segments import name_segments
from stream_app.core.training_config import TrainingConfig

__all__ = ["Trainer", "TrainingConfig"]

Cause = Literal["warm-up", "drift", "reseed"]


class Trainer:
    """Learns segments from a uniform sample of stored customers.

    Parameters
    ----------
    features
        The feature set; samples of another one are ignored.
    config
        How to learn.
    snapshot
        The last published model. Versions and segment ids always continue from it; its centres
        only if it is of the same feature set. After a restart nothing is published until the
        reservoir has filled again.

    Attributes
    ----------
    samples
        Customers learned from, over all restarts.
    history_days
        Longest time since a first purchase among the customers seen.
    ignored
        Customers not learned from because they came with another feature set.

    """

    def __init__(
        self, features: FeatureSet, config: TrainingConfig, snapshot: ModelSnapshot | None = None
    ) -> None:
        self._features, self._config, self._last = features, config, snapshot
        self._weights = [feature.weight for feature in features.features]
        self._recency, self._tenure = map(features.names.index, ("recency_days", "tenure_days"))
        self._seen: set[str] = set()
        self._reservoir = Reservoir(config.window)
        self._live: LiveModel | None = None
        if snapshot is not None and snapshot.feature_set == features.version:
            self._live = LiveModel.resume(config, snapshot)
        self.samples = snapshot.training.samples if snapshot else 0
        self.history_days = 0.0
        self.ignored = 0
        self._pause = config.check_every
        self._guard_at = self.samples + self._pause

    @property
    def state(self) -> Literal["warming", "serving"]:
        """``warming`` until there is a model."""
        return "warming" if self._live is None else "serving"

    @property
    def customers(self) -> int:
        """Distinct customers: all seen while warming, then those in the reservoir."""
        return len(self._seen) if self._live is None else len(self._reservoir)

    @property
    def status(self) -> str:
        """One sentence for people: what the first model waits for, or what is served."""
        if self._live is not None and self._last is not None:
            return f"serving: version {self._last.version}, {len(self._live.ids)} segments"
        config = self._config
        return (
            f"warming: {self.customers} of {config.warmup_customers} customers, "
            f"{self.history_days:.0f} of {config.warmup_days:.0f} days"
        )

    def learn(self, sample: PopulationSample, created_at: datetime) -> ModelSnapshot | None:
        """Learn from one message; return the next version when one is to be published."""
        if sample.feature_set != self._features.version:
            self.ignored += len(sample.customers)
            return None
        before = self.samples
        for customer in sample.customers:
            self._absorb(customer)
        cause = self._advance(before)
        if cause is None or self._live is None:
            return None
        self._last = self._snapshot(self._live, cause, sample.event_time, created_at)
        self._live.mark_published()
        return self._last

    def _absorb(self, customer: SampledCustomer) -> None:
        """Remember one customer and, once there is a model, learn from them."""
        vector = customer.vector
        transformed = self._features.transform(vector)
        self._reservoir.add(customer.customer_id, vector, transformed)
        self.samples += 1
        self.history_days = max(self.history_days, vector[self._recency] + vector[self._tenure])
        if self._live is None:
            self._seen.add(customer.customer_id)
        else:
            self._live.learn(transformed)

    def _advance(self, before: int) -> Cause | None:
        """Do what fell due since ``before`` samples; tell why to publish, None if not to."""
        live, config = self._live, self._config
        if live is None:
            return self._warm_up()
        if not self._reservoir.full and self.customers < config.warmup_customers:
            return None
        cause = self._guard(live) if self.samples >= self._guard_at else None
        checks = self.samples // config.check_every - before // config.check_every
        if cause is None and checks and live.shift() > config.publish_shift:
            return "drift"
        return cause

    def _guard(self, live: LiveModel) -> Cause | None:
        """Guard soon after a reseed, then after pauses that double."""
        cause = live.guard(self._reservoir.transformed())
        longer = min(2 * self._pause, self._config.guard_every)
        self._pause = self._config.check_every if cause == "reseed" else longer
        self._guard_at = self.samples + self._pause
        return cause

    def _warm_up(self) -> Cause | None:
        """Build the first model from the customers seen last, if enough are known."""
        config, last = self._config, self._last
        if self.customers < config.warmup_customers or self.history_days < config.warmup_days:
            return None
        latest = self._reservoir.transformed()[-config.warmup_customers :]
        first_id = last.training.next_segment_id if last else 1
        self._live = LiveModel.start(config, latest, self._weights, first_id)
        gone = [segment.id for segment in last.segments] if last else []
        self._live.fates = identity.replaced(gone, self._live.ids)
        self._seen.clear()
        self._guard_at = self.samples + self._pause
        return "warm-up"

    def _snapshot(
        self, live: LiveModel, cause: Cause, event_time: datetime, created_at: datetime
    ) -> ModelSnapshot:
        return ModelSnapshot(
            version=self._last.version + 1 if self._last else 1,
            feature_set=self._features.version,
            features=self._features.names,
            scaling=live.scaling,
            centres=tuple(tuple(row) for row in live.centres.tolist()),
            segments=self._segments(live),
            fates=live.fates,
            training=Training(
                cause=cause,
                samples=self.samples,
                customers=self.customers,
                counts=tuple(live.counts),
                inertia_ratio=live.ratio,
                silhouette=live.curve,
                next_segment_id=live.next_id,
            ),
            event_time=event_time,
            created_at=created_at,
        )

    def _segments(self, live: LiveModel) -> tuple[Segment, ...]:
        """Share, profile and name of each segment over the reservoir."""
        natural = self._reservoir.natural()
        points = coordinates(self._reservoir.transformed(), live.scaling)
        members = clustering.members(points, live.centres)
        profiles = [self._profile(natural[inside]) for inside in members]
        known = {s.id: s.name for s in self._last.segments} if self._last else {}
        names = name_segments(profiles, self._profile(natural), [known.get(i) for i in live.ids])
        shares = (clustering.sizes(points, live.centres) / len(points)).tolist()
        rows = zip(live.ids, names, shares, profiles, strict=True)
        return tuple(Segment(id=i, name=n, share=s, profile=p) for i, n, s, p in rows)

    def _profile(self, natural: Matrix) -> dict[str, float]:
        """Median of each feature over (n, d) customers in natural units."""
        medians = np.median(natural, axis=0).tolist()
        return dict(zip(self._features.names, medians, strict=True))
