"""How many segments: groups that are apart, useful, and found again in another sample.

Silhouettes tell how well groups are apart; agreement between clusterings of bootstrap resamples
tells whether the same groups would be found again (Ben-Hur et al. 2002; Hennig 2007).
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from stream_app.core import clustering
from stream_app.core.clustering import FEWEST, Labels
from stream_app.core.model import Matrix

POINTS = 600
RESAMPLES = 6
RESTARTS = 2
USEFUL = 6
APART = 0.5
REAL = 0.9
STABLE = 0.6
BEST_PART = 0.9
FAIR_PART = 0.7
PRESENT = 0.1
CLEARER = 0.05


class Choice(NamedTuple):
    """Silhouette and stability (0 as if by chance, 1 always the same) by number of segments."""

    silhouette: dict[int, float]
    stability: dict[int, float]

    def best(self, present: int = 0) -> int:
        """Choose the number of segments; 3 where there are no curves.

        Groups that nearly every resample finds again (agreement ≥ 0.9) are there: of their numbers
        the one with the greatest silhouette times stability. Otherwise behaviour is a continuum:
        the silhouette falls from the start, which says only that few segments are easier to tell
        apart than many. Then usefulness decides: the number nearest to 6, about as many groups as
        a team treats apart, that keeps 70 % of the best silhouette and is stable (agreement ≥ 0.6,
        or nine tenths of the best where nothing reaches that). Three are little to act on: they
        are chosen if they are there and well apart (silhouette ≥ 0.5, "reasonable structure" to
        Kaufman and Rousseeuw 1990), or if there is nothing else. A ``present`` number may fall
        short by 0.1 in stability, a tenth in silhouette and 0.05 in their product.

        >>> Choice({3: 0.3, 4: 0.42, 5: 0.41, 6: 0.40}, {3: 1.0, 4: 0.98, 5: 0.92, 6: 0.8}).best()
        4
        >>> Choice({3: 0.3, 4: 0.27, 6: 0.28}, {3: 0.8, 4: 0.7, 6: 0.2}).best()
        4
        """
        useful = self._useful(present, REAL)
        real = [k for k in useful if k > FEWEST or self.silhouette[k] >= APART]
        if real:
            return max(real, key=lambda k: self._clarity(k) + (k == present) * CLEARER)
        enough = min(STABLE, BEST_PART * self._steadiest)
        stable = [k for k in self._useful(present, enough) if k > FEWEST]
        if present in stable:
            return present
        return min(stable, key=lambda k: (abs(k - USEFUL), k), default=FEWEST)

    def _useful(self, present: int, stability: float) -> list[int]:
        """Numbers that are found again as often as that, and fairly apart."""
        apart = FAIR_PART * max(self.silhouette.values(), default=0.0)
        return [
            k
            for k, value in self.silhouette.items()
            if self.stability[k] >= stability - (k == present) * PRESENT
            and value >= apart * (1 - (k == present) * PRESENT)
        ]

    def _clarity(self, k: int) -> float:
        return self.silhouette[k] * self.stability[k]

    @property
    def _steadiest(self) -> float:
        return max((s for k, s in self.stability.items() if k > FEWEST), default=0.0)


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
