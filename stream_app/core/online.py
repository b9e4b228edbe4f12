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
        self._keep = 0.5 ** (1 / half_life)
        limit = 1 / (1 - self._keep)
        self.counts = [min(float(count), limit) for count in counts]
        kmeans: Any = KMeans(n_clusters=len(centres))
        # River iterates over sets of feature keys; small integers keep their order in any process.
        kmeans.centers = {i: dict(enumerate(row)) for i, row in enumerate(centres.tolist())}
        self._kmeans = kmeans

    def learn(self, point: Sequence[float]) -> None:
        """Move the nearest centre towards one scaled point of d coordinates."""
        x = dict(enumerate(point))
        winner = self._kmeans.predict_one(x)
        self.counts[winner] = self.counts[winner] * self._keep + 1
        self._kmeans.halflife = 1 / self.counts[winner]
        self._kmeans.learn_one(x)

    @property
    def centres(self) -> Matrix:
        """The centres now, shape (k, d)."""
        rows = [[row[i] for i in range(len(row))] for row in self._kmeans.centers.values()]
        return np.array(rows, dtype=np.float64)
