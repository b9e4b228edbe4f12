"""How many segments: groups that are apart, useful, and found again in another sample.

Silhouettes tell how well groups are apart; agreement between clusterings of bootstrap resamples
tells whether the same groups would be found again (Ben-Hur et al. 2002; Hennig 2007).
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from stream_app.core import clustering
from stream_app.core.clustering import Labels
from stream_app.core.model import Matrix

POINTS = 600
RESAMPLES = 6
RESTARTS = 2
STABLE = 0.6
PRESENT = 0.1
BEST_PART = 0.9


class Choice(NamedTuple):
    """Silhouette and stability (0 as if by chance, 1 always the same) by number of segments."""

    silhouette: dict[int, float]
    stability: dict[int, float]

    def best(self, present: int = 0) -> int:
        """Choose by silhouette among the stable numbers; ``present`` stays where that is as good.

        Stable is an agreement of 0.6, of ``present`` 0.5; or nine tenths of the best where nothing
        reaches that.

        >>> Choice({3: 0.3, 6: 0.28}, {3: 0.9, 6: 0.2}).best()
        3
        """
        enough = min(STABLE, BEST_PART * max(self.stability.values(), default=0.0))
        stable = {
            k: value
            for k, value in self.silhouette.items()
            if self.stability.get(k, enough) >= enough - (k == present) * PRESENT
        }
        return clustering.useful_k(stable, present)


def judge(points: Matrix, seed: int) -> Choice:
    """Compute both curves on the latest 600 of (n, d) points."""
    recent = points[-POINTS:]
    curve = clustering.silhouettes(recent, seed)
    return Choice(curve, {k: agreement(recent, k, seed) for k in curve})


def agreement(points: Matrix, k: int, seed: int) -> float:
    """Mean adjusted Rand index (Hubert and Arabie 1985) between clusterings of six resamples.

    Each resample of the (n, d) points gives k centres, which then label all the points.
    """
    rng = np.random.default_rng(seed)
    labels = [_relabelled(points, k, rng) for _ in range(RESAMPLES)]
    pairs = [float(adjusted_rand_score(a, b)) for a, b in combinations(labels, 2)]
    return round(sum(pairs) / len(pairs), 4)


def _relabelled(points: Matrix, k: int, rng: np.random.Generator) -> Labels:
    sample = points[rng.integers(0, len(points), len(points))]
    seed = int(rng.integers(0, 2**31))
    return clustering.nearest(points, clustering.kmeans(sample, k, seed, RESTARTS))
