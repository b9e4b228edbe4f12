"""Everybody stored at one instant, as matrices; and how well centres fit them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from stream_app.contracts import ModelSnapshot, Scaling
from stream_app.core.features import FeatureSet
from stream_app.core.folds import CustomerState

Matrix = NDArray[np.float64]
RESTARTS = 10


@dataclass(frozen=True, slots=True)
class Population:
    """n customers in the order of ``ids``.

    ``natural``: (n, d) features in natural units; ``transformed``: the same after the transform,
    before scaling; ``segments``: (n,) ids of the segments they are in, 0 for none.
    """

    ids: list[str]
    natural: Matrix
    transformed: Matrix
    segments: NDArray[np.int64]
    _optima: dict[Any, tuple[float, Matrix]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, states: Mapping[str, CustomerState], features: FeatureSet, now: int
    ) -> "Population":
        """Evaluate states at ``now`` (ms)."""
        natural = np.array([features.vector(state, now) for state in states.values()])
        segments = np.array([state.segment for state in states.values()], dtype=np.int64)
        return cls(list(states), natural, transform(natural, features), segments)

    def optimum(self, scaling: Scaling, k: int, seed: int) -> tuple[float, Matrix]:
        """Inertia and centres (k, d) of the best of ten batch k-means."""
        key = (scaling, k, seed)
        if key not in self._optima:
            self._optima[key] = best_of_ten(scaled(self.transformed, scaling), k, seed)
        return self._optima[key]

    def ratio(self, centres: Matrix, scaling: Scaling, seed: int) -> float:
        """Inertia of (k, d) scaled centres over that of the batch optimum."""
        best, _ = self.optimum(scaling, len(centres), seed)
        return inertia(scaled(self.transformed, scaling), centres) / best

    def served_ratio(self, snapshot: ModelSnapshot, seed: int) -> float:
        """Inertia ratio of a snapshot."""
        return self.ratio(np.array(snapshot.centres), snapshot.scaling, seed)


def transform(natural: Matrix, features: FeatureSet) -> Matrix:
    """Map (n, d) natural units to the axes on which distances are measured, before scaling."""
    logs = np.array([feature.transform == "log" for feature in features.features])
    knees = np.array([feature.knee for feature in features.features])
    return np.where(logs, np.log1p(np.where(logs, natural / knees, 0.0)), natural)


def scaled(transformed: Matrix, scaling: Scaling) -> Matrix:
    """Scale (n, d) transformed features as a snapshot does."""
    units = (transformed - np.array(scaling.centre)) / np.array(scaling.scale)
    clipped = np.clip(units, -scaling.clip, scaling.clip) * np.array(scaling.weight)
    return np.asarray(clipped, dtype=np.float64)


def inertia(points: Matrix, centres: Matrix) -> float:
    """Sum of the squared distances of (n, d) points to the nearest of (k, d) centres."""
    return float(cdist(points, centres, "sqeuclidean").min(axis=1).sum())


def nearest(points: Matrix, centres: Matrix) -> NDArray[np.int64]:
    """Index of the nearest of (k, d) centres for each of (n, d) points."""
    return np.asarray(cdist(points, centres, "sqeuclidean").argmin(axis=1), dtype=np.int64)


def best_of_ten(points: Matrix, k: int, seed: int) -> tuple[float, Matrix]:
    """Batch k-means from ten k-means++ starts: inertia and centres (k, d) of the best."""
    with threadpool_limits(limits=1):
        fitted = KMeans(k, n_init=RESTARTS, random_state=seed).fit(points)
    centres = np.asarray(fitted.cluster_centers_, dtype=np.float64)
    return inertia(points, centres), centres
