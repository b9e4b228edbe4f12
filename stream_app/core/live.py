"""The model in training: scaling, online centres and the identity of each segment."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np

from stream_app.contracts import ModelSnapshot, Scaling
from stream_app.core import clustering, identity
from stream_app.core.model import Matrix, coordinates
from stream_app.core.online import OnlineKMeans
from stream_app.core.training_config import TrainingConfig

SILHOUETTE_POINTS = 1500
EXACT = 1e-9


class LiveModel:
    """Follows the population; see ``start`` and ``resume``.

    Attributes
    ----------
    ids
        Segment ids in the order of the centres; ``next_id`` is the next free one.
    fates
        What became of the segments since the last published version.
    ratio
        Online inertia ÷ batch inertia at the last guard, before any reseed.
    curve
        Silhouette by number of segments, where that was last chosen.

    """

    def __init__(
        self, config: TrainingConfig, scaling: Scaling, online: OnlineKMeans, ids: Sequence[int]
    ) -> None:
        self._config, self.scaling, self._online = config, scaling, online
        self.ids = list(ids)
        self.next_id = max(self.ids, default=0) + 1
        self.fates = identity.replaced((), self.ids)
        self.ratio: float | None = None
        self.curve: dict[int, float] = {}
        self._published = online.centres

    @classmethod
    def start(
        cls, config: TrainingConfig, transformed: Matrix, weights: Sequence[float], first_id: int
    ) -> Self:
        """Cluster (n, d) transformed features in batch; ids run from ``first_id``."""
        scaling = clustering.robust_scaling(transformed, weights, config.clip)
        points = coordinates(transformed, scaling)
        curve = _curve(points, config)
        centres = clustering.kmeans(points, config.k or clustering.useful_k(curve), config.seed)
        online = OnlineKMeans(centres, clustering.sizes(points, centres), config.half_life)
        live = cls(config, scaling, online, range(first_id, first_id + len(centres)))
        live.curve = curve
        return live

    @classmethod
    def resume(cls, config: TrainingConfig, snapshot: ModelSnapshot) -> Self:
        """Continue from a published snapshot."""
        facts = snapshot.training
        online = OnlineKMeans(np.array(snapshot.centres), facts.counts, config.half_life)
        live = cls(config, snapshot.scaling, online, [s.id for s in snapshot.segments])
        live.next_id = facts.next_segment_id
        live.ratio, live.curve = facts.inertia_ratio, facts.silhouette
        live.mark_published()
        return live

    @property
    def centres(self) -> Matrix:
        """The centres now, shape (k, d), scaled coordinates."""
        return self._online.centres

    @property
    def counts(self) -> list[float]:
        """Effective count of each centre."""
        return self._online.counts

    def learn(self, transformed: Sequence[float]) -> None:
        """Move the nearest centre towards one customer, d transformed features."""
        scaling = self.scaling
        clip = scaling.clip
        axes = zip(transformed, scaling.centre, scaling.scale, scaling.weight, strict=True)
        self._online.learn([min(clip, max(-clip, (x - c) / s)) * w for x, c, s, w in axes])

    def shift(self) -> float:
        """Greatest distance of a centre from its last published place, in scaled units."""
        return float(np.linalg.norm(self.centres - self._published, axis=1).max())

    def mark_published(self) -> None:
        """Measure shifts and fates from here on."""
        self._published, self.fates = self.centres, identity.all_kept(self.ids)

    def guard(self, transformed: Matrix) -> Literal["drift", "reseed"] | None:
        """Compare with batch clustering of the reservoir, (n, d); tell what had to be changed.

        If the population outgrew the scaling, the centres are mapped exactly to a fresh one
        (``drift``). If batch clustering is clearly better, would revive a dying segment, or
        another number of segments is set, its centres take over (``reseed``).
        """
        rescaled = self._rescale(transformed)
        points = coordinates(transformed, self.scaling)
        batch = self._batch(points)
        self.ratio = _ratio(points, self.centres, batch)
        if self.ratio > self._limit(points) or self._is_unfit(points, batch):
            self._reseed(points, batch)
            return "reseed"
        return "drift" if rescaled else None

    def _rescale(self, transformed: Matrix) -> bool:
        old = self.scaling
        new = clustering.robust_scaling(transformed, old.weight, old.clip)
        if not clustering.has_moved(old, new):
            return False
        centres = coordinates(clustering.unscale(self.centres, old), new)
        self._online = OnlineKMeans(centres, self.counts, self._config.half_life)
        self.scaling = new
        return True

    def _batch(self, points: Matrix) -> Matrix:
        """Batch centres for the present k: grown from the present ones where that is as good."""
        fresh = clustering.kmeans(points, len(self.ids), self._config.seed)
        refined = clustering.refine(points, self.centres)
        return refined if _ratio(points, refined, fresh) <= self._limit(points) else fresh

    def _limit(self, points: Matrix) -> float:
        """Greatest inertia ratio tolerated; batch centres fit their own n points k / n better."""
        return self._config.guard_ratio + len(self.ids) / len(points)

    def _is_unfit(self, points: Matrix, batch: Matrix) -> bool:
        """Tell whether another k is set, or a segment dies out that the batch would revive."""
        least = self._config.dying * len(points) / len(self.ids)
        now, then = (clustering.sizes(points, c).min() for c in (self.centres, batch))
        wanted = min(self._config.k or len(self.ids), clustering.distinct(points))
        return bool(now < least <= then) or wanted != len(self.ids)

    def _reseed(self, points: Matrix, batch: Matrix) -> None:
        """Take over batch centres; segments that survive keep their ids."""
        self.curve = _curve(points, self._config)
        k = self._config.k or clustering.useful_k(self.curve, len(self.ids))
        centres = batch if k == len(batch) else clustering.kmeans(points, k, self._config.seed)
        old, new = clustering.nearest(points, self.centres), clustering.nearest(points, centres)
        traced = identity.trace(old, new, self.ids, len(centres), self.next_id)
        self.ids, self.fates, self.next_id = traced
        self._online = OnlineKMeans(
            centres, clustering.sizes(points, centres), self._config.half_life
        )


def _curve(points: Matrix, config: TrainingConfig) -> dict[int, float]:
    """Silhouette curve of the latest 1,500 points; empty where k is set."""
    recent = points[-SILHOUETTE_POINTS:]
    return {} if config.k else clustering.silhouettes(recent, config.seed)


def _ratio(points: Matrix, centres: Matrix, reference: Matrix) -> float:
    """Inertia of centres over that of reference centres; 1 where both fit exactly."""
    pair = clustering.inertia(points, centres), clustering.inertia(points, reference)
    return (pair[0] + EXACT) / (pair[1] + EXACT)
