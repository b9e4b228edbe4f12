"""The trainer: population samples in, numbered model snapshots out.

It warms up on the first customers, clusters them in batch, then follows the population online.
Comparisons with batch clustering polish the centres, or reseed them when that is clearly better;
a drift budget freezes learning when the model moves too much. Time comes in with the samples,
randomness from the seed: the same samples give the same snapshots.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import numpy as np

from stream_app.contracts import (
    ModelNotice,
    ModelSnapshot,
    PopulationSample,
    SampledCustomer,
    Training,
)
from stream_app.core import identity
from stream_app.core.drift import DAY_S
from stream_app.core.features import FeatureSet
from stream_app.core.live import LiveModel
from stream_app.core.model import Matrix, coordinates
from stream_app.core.portrait import Sight, portray, renames
from stream_app.core.reservoir import Reservoir
from stream_app.core.review import Review
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
    names
        The user's own names by segment id; they hold whatever is learned.

    Attributes
    ----------
    samples
        Customers learned from, over all restarts.
    history_days
        Longest time since a first purchase among the customers seen.
    ignored
        Customers that came with another feature set.

    """

    def __init__(
        self,
        features: FeatureSet,
        config: TrainingConfig,
        snapshot: ModelSnapshot | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        self._features, self._config, self._last = features, config, snapshot
        self._weights = [feature.weight for feature in features.features]
        self._recency, self._tenure = map(features.names.index, ("recency_days", "tenure_days"))
        self._names = dict(names or {})
        self._seen: set[str] = set()
        self._reservoir = Reservoir(config.window)
        self._live: LiveModel | None = None
        if snapshot is not None and snapshot.feature_set == features.version:
            self._live = LiveModel.resume(config, snapshot)
        self.samples = snapshot.training.samples if snapshot else 0
        self.history_days = 0.0
        self.ignored = 0
        self._day = snapshot.event_time.timestamp() / DAY_S if snapshot else 0.0
        self._review = Review(config.limits, self.samples, self._day, thaw=config.thaw)
        self._looked = self._guarded = self.samples
        self._pause = config.check_every

    @property
    def state(self) -> Literal["warming", "serving", "frozen"]:
        """``warming`` until there is a model, ``frozen`` beyond the drift budget."""
        if self._live is None:
            return "warming"
        return "frozen" if self._review.reason else "serving"

    @property
    def customers(self) -> int:
        """Distinct customers: all seen while warming, then those in the reservoir."""
        return len(self._seen) if self._live is None else len(self._reservoir)

    @property
    def status(self) -> str:
        """One sentence for people: what the first model waits for, or what is served."""
        config, reason = self._config, self._review.reason
        if self._live is None or self._last is None:
            return (
                f"warming: {self.customers} of {config.warmup_customers} customers, "
                f"{self.history_days:.0f} of {config.warmup_days:.0f} days"
            )
        served = f"version {self._last.version}, {len(self._last.segments)} segments"
        if reason:
            return f"frozen, {reason.reason}: {reason.value:.3g}, limit {reason.limit:g}; {served}"
        return f"serving: {served}"

    def go_on_from(self, snapshot: ModelSnapshot, names: Mapping[int, str]) -> None:
        """Take over a version that was made elsewhere, with what is known of the population."""
        self._last, self._names = snapshot, dict(names)
        if snapshot.feature_set == self._features.version:
            self._live = LiveModel.resume(self._config, snapshot)
        self._review.passed(self.samples, self._day)

    def rename(self, names: Mapping[int, str]) -> None:
        """Replace the user's own names, by segment id; they show in the next version."""
        self._names = dict(names)

    def thaw(self) -> None:
        """Accept the next version beyond the drift budget: an operator has looked."""
        self._review.thaw()

    def notices(self) -> list[ModelNotice]:
        """Hand over what is to be published about freezing and thawing since the last call."""
        return self._review.notices()

    def learn(self, sample: PopulationSample, created_at: datetime) -> ModelSnapshot | None:
        """Learn from one message; return the next version when one is to be published."""
        if sample.feature_set != self._features.version:
            self.ignored += len(sample.customers)
            return None
        self._day = max(self._day, sample.event_time.timestamp() / DAY_S)
        vectors = np.array([customer.vector for customer in sample.customers])
        rows = self._features.transform_all(vectors).tolist() if sample.customers else []
        for customer, transformed in zip(sample.customers, rows, strict=True):
            self._absorb(customer, transformed)
        if not self._is_time():
            return None
        natural = self._reservoir.natural
        transformed = self._features.transform_all(natural)
        cause, live = self._look(transformed), self._live
        if live is None or (cause is None and not self._review.reason):
            return None
        if not self._passes(live, transformed, sample.event_time):
            return None
        sight = Sight(natural, coordinates(transformed, live.scaling), self._features.names)
        self._last = self._snapshot(live, sight, cause or "drift", sample.event_time, created_at)
        self._review.passed(self.samples, self._day)
        live.mark_published()
        return self._last

    def _absorb(self, customer: SampledCustomer, transformed: Sequence[float]) -> None:
        """Remember one customer and, once there is a model, learn from them."""
        vector = customer.vector
        self._reservoir.add(customer.customer_id, vector)
        self.samples += 1
        self.history_days = max(self.history_days, vector[self._recency] + vector[self._tenure])
        if self._live is None:
            self._seen.add(customer.customer_id)
        else:
            self._live.learn(transformed)

    def _is_time(self) -> bool:
        """Tell whether enough is known, and new, for a look at the whole population."""
        config = self._config
        if self._live is None:
            known = self.customers >= config.warmup_customers
            return known and self.history_days >= config.warmup_days
        filled = self._reservoir.full or self.customers >= config.warmup_customers
        return filled and self.samples - self._looked >= config.check_every

    def _look(self, transformed: Matrix) -> Cause | None:
        """Follow or guard; guards come soon after a reseed, then after pauses that double."""
        self._looked = self.samples
        live, config = self._live, self._config
        if live is None:
            return self._start(transformed)
        if self.samples - self._guarded < self._pause:
            return live.follow(transformed)
        cause = live.guard(transformed)
        longer = min(2 * self._pause, config.guard_every)
        self._pause = config.check_every if cause == "reseed" else longer
        self._guarded = self._looked
        return cause

    def _start(self, transformed: Matrix) -> Cause:
        """Build the first model from the customers seen last."""
        config, last = self._config, self._last
        first_id = last.training.next_segment_id if last else 1
        self._live = LiveModel.start(config, transformed, self._weights, first_id)
        gone = [segment.id for segment in last.segments] if last else []
        self._live.fates = identity.replaced(gone, self._live.ids)
        self._seen.clear()
        self._guarded = self._looked
        return "warm-up"

    def _passes(self, live: LiveModel, transformed: Matrix, event_time: datetime) -> bool:
        """Hold what would be published against the model that serves, if it can be compared."""
        last = self._last
        if last is None or last.feature_set != self._features.version:
            return True
        return self._review.passes(live, transformed, last, self.samples, event_time)

    def _snapshot(
        self,
        live: LiveModel,
        sight: Sight,
        cause: Cause,
        event_time: datetime,
        created_at: datetime,
    ) -> ModelSnapshot:
        segments = portray(sight, live.current, self._last, self._names)
        return ModelSnapshot(
            version=self._last.version + 1 if self._last else 1,
            feature_set=self._features.version,
            features=self._features.names,
            scaling=live.scaling,
            centres=tuple(tuple(row) for row in live.centres.tolist()),
            segments=segments,
            fates=live.fates,
            renames=renames(self._last, segments),
            training=self._facts(live, cause),
            event_time=event_time,
            created_at=created_at,
        )

    def _facts(self, live: LiveModel, cause: Cause) -> Training:
        return Training(
            cause=cause,
            samples=self.samples,
            customers=self.customers,
            counts=tuple(live.counts),
            inertia_ratio=live.ratio,
            silhouette=live.choice.silhouette,
            stability=live.choice.stability,
            next_segment_id=live.next_id,
        )
