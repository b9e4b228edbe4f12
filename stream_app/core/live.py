"""The model in training: scaling, online centres and the identity of each segment."""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

import numpy as np

from stream_app.contracts import ModelSnapshot, Scaling
from stream_app.core import clustering, identity, stability
from stream_app.core.clustering import Labels
from stream_app.core.drift import Centres
from stream_app.core.model import Matrix, coordinates
from stream_app.core.online import OnlineKMeans
from stream_app.core.training_config import TrainingConfig

EXACT = 1e-9
FADED = 0.5

Change = Literal["drift", "reseed"]


class LiveModel:
    """Follows the population; see ``start`` and ``resume``.

    Attributes
    ----------
    ids
        Segment ids in the order of the centres; ``next_id`` is the next free one.
    fates
        What became of the segments since the last published version.
    ratio
        Online inertia ÷ batch inertia at the last guard, before anything was changed.
    choice
        Silhouette and stability by number of segments, where that was last chosen.
    published
        Ids and centres as last published, on the axes of today's scaling.

    """

    def __init__(
        self, config: TrainingConfig, scaling: Scaling, online: OnlineKMeans, ids: Sequence[int]
    ) -> None:
        self._config, self.scaling, self._online = config, scaling, online
        self.ids = list(ids)
        self.next_id = max(self.ids, default=0) + 1
        self.fates = identity.replaced((), self.ids)
        self.ratio: float | None = None
        self.choice = stability.Choice({}, {})
        self._k = config.k or len(self.ids)
        self._learned = self._chosen = 0
        self._choose_at = config.choose_every
        self._doubted = False
        self._peaks: dict[int, float] = {}
        self.published = self.current

    @classmethod
    def start(
        cls, config: TrainingConfig, transformed: Matrix, weights: Sequence[float], first_id: int
    ) -> Self:
        """Cluster (n, d) transformed features in batch; ids run from ``first_id``."""
        scaling = clustering.robust_scaling(transformed, weights, config.clip)
        points = coordinates(transformed, scaling)
        choice = stability.Choice({}, {}) if config.k else stability.judge(points, config.seed)
        centres = clustering.kmeans(points, config.k or choice.best(), config.seed)
        online = OnlineKMeans(centres, clustering.sizes(points, centres), config.half_life)
        live = cls(config, scaling, online, range(first_id, first_id + len(centres)))
        live._rise(_shares(clustering.nearest(points, centres), live.ids))
        live.choice = choice
        return live

    @classmethod
    def resume(cls, config: TrainingConfig, snapshot: ModelSnapshot) -> Self:
        """Continue from a published snapshot."""
        facts = snapshot.training
        online = OnlineKMeans(np.array(snapshot.centres), facts.counts, config.half_life)
        live = cls(config, snapshot.scaling, online, [s.id for s in snapshot.segments])
        live.next_id, live.ratio = facts.next_segment_id, facts.inertia_ratio
        live.choice = stability.Choice(facts.silhouette, facts.stability)
        live._rise({segment.id: segment.share for segment in snapshot.segments})
        live.mark_published()
        return live

    @property
    def centres(self) -> Matrix:
        """The centres now, shape (k, d), scaled coordinates."""
        return self._online.centres

    @property
    def current(self) -> Centres:
        """Ids and centres as they are."""
        return Centres(tuple(self.ids), self.centres)

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
        self._learned += 1

    def mark_published(self) -> None:
        """Measure changes and fates from here on."""
        self.published, self.fates = self.current, identity.all_kept(self.ids)

    def follow(self, transformed: Matrix) -> Change | None:
        """Compare with the population, (n, d); tell whether that should be published.

        Centres refined in batch take over where they fit better by ``polish_ratio``. A new
        version is due when the published centres fit worse than those by ``publish_ratio``,
        beyond the 2 k / n by which k centres fit n other points worse than their own.
        """
        points, config = coordinates(transformed, self.scaling), self._config
        refined = clustering.refine(points, self.centres)
        noise = 2 * len(self.ids) / len(points)
        if _ratio(points, self.published.matrix, refined) > config.publish_ratio + noise:
            return self._adopt(points, refined)
        if _ratio(points, self.centres, refined) > config.polish_ratio:
            self._adopt(points, refined)
        return None

    def guard(self, transformed: Matrix) -> Change | None:
        """Compare with fresh batch clustering, (n, d); tell what is to be published.

        If the population outgrew the scaling, the centres are mapped exactly to a fresh one
        (``drift``). If fresh centres are clearly better, would revive a dying segment, or
        another number of segments is set, they take over (``reseed``).
        """
        rescaled = self._rescale(transformed)
        points, config = coordinates(transformed, self.scaling), self._config
        if self._learned >= self._choose_at:
            self._choose_at *= 2
            self._choose(points)
        fresh = clustering.kmeans(points, len(self.ids), config.seed)
        refined = clustering.refine(points, self.centres)
        self.ratio = _ratio(points, self.centres, fresh)
        worse = _ratio(points, refined, fresh)
        doubted, self._doubted = self._doubted, worse > config.guard_ratio
        sure = worse > config.reseed_ratio or (doubted and self._doubted)
        if sure or self._is_unfit(points, fresh):
            self._doubted = False
            return self._reseed(points, fresh)
        return self._adopt(points, refined) if rescaled else self.follow(transformed)

    def _rescale(self, transformed: Matrix) -> bool:
        old = self.scaling
        new = clustering.robust_scaling(transformed, old.weight, old.clip)
        if not clustering.has_moved(old, new):
            return False
        centres, published = (
            coordinates(clustering.unscale(matrix, old), new)
            for matrix in (self.centres, self.published.matrix)
        )
        self._online = OnlineKMeans(centres, self.counts, self._config.half_life)
        self.published = self.published._replace(matrix=published)
        self.scaling = new
        return True

    def _is_unfit(self, points: Matrix, batch: Matrix) -> bool:
        """Tell whether another k is set, or a segment dies out that the batch would revive."""
        least = self._config.dying * len(points) / len(self.ids)
        now, then = (clustering.sizes(points, c).min() for c in (self.centres, batch))
        wanted = min(self._k, clustering.distinct(points))
        return bool(now < least <= then) or wanted != len(self.ids)

    def _choose(self, points: Matrix) -> None:
        """Choose the number of segments anew, if it is ours to choose."""
        if not self._config.k:
            self.choice, self._chosen = stability.judge(points, self._config.seed), self._learned
            self._k = self.choice.best(len(self.ids))

    def _reseed(self, points: Matrix, batch: Matrix) -> Change:
        """Take over batch centres; how many is chosen anew where enough was learned since."""
        config = self._config
        if self._learned - self._chosen >= config.choose_every:
            self._choose(points)
        same = self._k == len(batch)
        self._adopt(points, batch if same else clustering.kmeans(points, self._k, config.seed))
        return "reseed"

    def _adopt(self, points: Matrix, centres: Matrix) -> Change:
        """Go on from these centres; segments that share their customers keep their ids."""
        old = clustering.nearest(points, self.published.matrix)
        new = clustering.nearest(points, centres)
        ids = self.published.ids
        self.ids, self.fates, self.next_id = identity.trace(
            old, new, ids, len(centres), self.next_id, self._faded(_shares(old, ids))
        )
        self._rise(_shares(new, self.ids))
        self._online = OnlineKMeans(
            centres, clustering.sizes(points, centres), self._config.half_life
        )
        return "drift" if all(fate.kind == "kept" for fate in self.fates) else "reseed"

    def _faded(self, shares: Mapping[int, float]) -> list[int]:
        """Segments with less than half of the share they once had."""
        return [i for i, share in shares.items() if share < FADED * self._peaks.get(i, 0.0)]

    def _rise(self, shares: Mapping[int, float]) -> None:
        self._peaks = {i: max(share, self._peaks.get(i, 0.0)) for i, share in shares.items()}


def _shares(labels: Labels, ids: Sequence[int]) -> dict[int, float]:
    counts = np.bincount(labels, minlength=len(ids)) / len(labels)
    return dict(zip(ids, counts.tolist(), strict=True))


def _ratio(points: Matrix, centres: Matrix, reference: Matrix) -> float:
    """Inertia of centres over that of reference centres; 1 where both fit exactly."""
    pair = clustering.inertia(points, centres), clustering.inertia(points, reference)
    return (pair[0] + EXACT) / (pair[1] + EXACT)
