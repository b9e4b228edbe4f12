"""Online k-means: River's estimator with an annealed step for each centre."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from river.cluster import KMeans

from stream_app.core.model import Matrix


class OnlineKMeans:
    """Sequential k-means (MacQueen 1967) on ``river.cluster.KMeans``, started from given centres.

    The step for a centre is 1 / n with n its own effective count (Sculley 2010), so a young centre
    learns fast and an old one settles. Counts forget: with each sample of a centre its count is
    n ← n · 0.5^(1 / half_life) + 1, which makes the centre an exponentially weighted mean of its
    samples and keeps the step above 1 − 0.5^(1 / half_life).

    Parameters
    ----------
    centres
        Shape (k, d), scaled coordinates.
    counts
        Effective count of each centre, k values.
    half_life
        Samples of one centre after which a sample weighs half.

    """

    def __init__(self, centres: Matrix, counts: Iterable[float], half_life: float) -> None:
        keep = 0.5 ** (1 / half_life)
        limit = 1 / (1 - keep)
        self.counts = [min(float(count), limit) for count in counts]
        kmeans: Any = _Annealed(self.counts, keep)
        # River iterates over sets of feature keys; small integers keep their order in any process.
        kmeans.centers = {i: dict(enumerate(row)) for i, row in enumerate(centres.tolist())}
        self._kmeans = kmeans

    def learn(self, point: Sequence[float]) -> None:
        """Move the nearest centre towards one scaled point of d coordinates."""
        self._kmeans.learn_one(dict(enumerate(point)))

    @property
    def centres(self) -> Matrix:
        """The centres now, shape (k, d)."""
        rows = [[row[i] for i in range(len(row))] for row in self._kmeans.centers.values()]
        return np.array(rows, dtype=np.float64)


class _Annealed(KMeans):
    """River's estimator, with the step of the centre that it is about to move."""

    def __init__(self, counts: list[float], keep: float) -> None:
        super().__init__(n_clusters=len(counts))
        self._counts, self._keep = counts, keep

    def predict_one(self, x: Any) -> int:
        """Count the sample; River asks this once for each one it learns, then takes the step."""
        winner: int = super().predict_one(x)  # type: ignore[no-untyped-call]
        self._counts[winner] = self._counts[winner] * self._keep + 1
        self.halflife = 1 / self._counts[winner]
        return winner
