"""Batch clustering: robust scaling, k-means with restarts, and how well groups are apart.

Matrices are (n customers, d features); "points" are scaled coordinates without a unit.
Everything runs on one thread: sums in a fixed order make results reproducible to the bit.
"""

import warnings
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import silhouette_score
from threadpoolctl import ThreadpoolController

from stream_app.contracts import Scaling
from stream_app.core.model import Matrix

Labels = NDArray[np.int64]

FEWEST, MOST = 3, 8
RESTARTS = 10
QUARTILES = (25, 50, 75)
AROUND = np.arange(-10, 11)
LEAST_IQR = 0.675
CONSTANT = 1e-6
DECIMALS = 4
MEDIAN_SHIFT = 1.0
SCALE_FACTOR = 1.35


def robust_scaling(transformed: Matrix, weights: Sequence[float], clip: float) -> Scaling:
    """Median and interquartile range of each column of an (n, d) matrix of transformed features.

    All three quartiles are means of the percentiles within 10 points of them: between two groups
    apart, a quartile proper jumps from one to the other when their shares change a little. The
    scale is at least 0.675 standard deviations, half the interquartile range of a normal
    distribution, so that a column that is mostly zero does not explode; of a constant column 1.
    A column of zeros and ones tells a category and keeps scale 1: a rare category is no outlier.
    """
    low, median, high = (np.percentile(transformed, q + AROUND, axis=0).mean(0) for q in QUARTILES)
    scale = np.maximum(high - low, transformed.std(axis=0) * LEAST_IQR)
    category = np.all((transformed == 0) | (transformed == 1), axis=0)
    scale = np.where((scale > CONSTANT) & ~category, scale, 1.0)
    return Scaling(
        centre=tuple(median.tolist()), scale=tuple(scale.tolist()), weight=tuple(weights), clip=clip
    )


def has_moved(old: Scaling, new: Scaling) -> bool:
    """Tell whether a scale changed by a factor over 1.35 or a median moved by over one scale.

    Distances depend on the scales; medians matter only for what is clipped.
    """
    scale, fresh = np.array(old.scale), np.array(new.scale)
    shift = np.abs(np.array(new.centre) - np.array(old.centre)) / scale
    factor = np.maximum(fresh / scale, scale / fresh)
    return bool(np.any(shift > MEDIAN_SHIFT) or np.any(factor > SCALE_FACTOR))


def unscale(centres: Matrix, scaling: Scaling) -> Matrix:
    """Map (k, d) centres back to transformed features."""
    natural = centres / np.array(scaling.weight) * np.array(scaling.scale)
    return np.asarray(natural + np.array(scaling.centre), dtype=np.float64)


def nearest(points: Matrix, centres: Matrix) -> Labels:
    """Index of the nearest of (k, d) centres for each of (n, d) points, shape (n,)."""
    return np.asarray(_squared_distances(points, centres).argmin(axis=1), dtype=np.int64)


def sizes(points: Matrix, centres: Matrix) -> Labels:
    """Count the (n, d) points nearest to each of (k, d) centres, shape (k,)."""
    return np.bincount(nearest(points, centres), minlength=len(centres))


def members(points: Matrix, centres: Matrix) -> list[Labels]:
    """Rows of (n, d) points in each of k clusters; the nearest row where a cluster is empty."""
    labels, closest = nearest(points, centres), nearest(centres, points)
    inside = [np.flatnonzero(labels == i) for i in range(len(centres))]
    return [rows if len(rows) else closest[[i]] for i, rows in enumerate(inside)]


def inertia(points: Matrix, centres: Matrix) -> float:
    """Sum of the squared distances of (n, d) points to their nearest centre."""
    return float(_squared_distances(points, centres).min(axis=1).sum())


def _squared_distances(points: Matrix, centres: Matrix) -> Matrix:
    return np.asarray(cdist(points, centres, "sqeuclidean"), dtype=np.float64)


def kmeans(points: Matrix, k: int, seed: int, restarts: int = RESTARTS) -> Matrix:
    """Best of ten k-means++ starts (Arthur and Vassilvitskii 2007), sorted by coordinates, (k, d).

    Fewer rows come back where there are fewer distinct points than ``k``.
    """
    k = min(k, distinct(points))
    centres = _lloyd(points, KMeans(k, n_init=restarts, random_state=seed))
    return centres[np.lexsort(centres.T[::-1])]


def distinct(points: Matrix) -> int:
    """Count the (n, d) points that differ by more than rounding."""
    return len(np.unique(points.round(DECIMALS), axis=0))


def refine(points: Matrix, centres: Matrix) -> Matrix:
    """Lloyd's algorithm from the given (k, d) centres; row i of the result grew out of row i."""
    return _lloyd(points, KMeans(len(centres), init=centres, n_init=1))


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _lloyd(points: Matrix, estimator: KMeans) -> Matrix:
    with _controller().limit(limits=1), warnings.catch_warnings():
        # A population that shrank to fewer distinct points than centres is no cause for alarm.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(estimator.fit(points).cluster_centers_, dtype=np.float64)


def silhouettes(points: Matrix, seed: int) -> dict[int, float]:
    """Mean silhouette (Rousseeuw 1987) of k-means for each k from 3 to 8 that the points allow."""
    most = min(MOST, distinct(points) - 1)
    return {k: _silhouette(points, kmeans(points, k, seed)) for k in range(FEWEST, most + 1)}


def _silhouette(points: Matrix, centres: Matrix) -> float:
    with _controller().limit(limits=1):
        return round(float(silhouette_score(points, nearest(points, centres))), 4)
