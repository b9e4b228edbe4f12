"""Others, fed the same samples: River's k-means as it comes, and scikit-learn's mini-batches.

They start with our first snapshot: same scaling, same number of centres, and the samples of the
warm-up first.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from river.cluster import KMeans
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

from stream_app.contracts import ModelSnapshot, PopulationSample
from tests.benchmarks.quality.population import Matrix, scaled, transform
from tests.benchmarks.quality.replay import Observer, Replay
from tests.benchmarks.quality.results import Findings, Row, Series

BATCH = 100


class Learner(Protocol):
    """An online clusterer of (n, d) scaled points."""

    def learn(self, points: Matrix) -> None:
        """Learn from points, in order."""

    @property
    def centres(self) -> Matrix:
        """The centres now, (k, d)."""


class River:
    """``river.cluster.KMeans``, its own random centres, a constant step."""

    def __init__(self, k: int, seed: int, **options: float) -> None:
        self._kmeans: Any = KMeans(n_clusters=k, seed=seed, **options)

    def learn(self, points: Matrix) -> None:
        """Learn from points one by one."""
        for point in points.tolist():
            self._kmeans.learn_one(dict(enumerate(point)))

    @property
    def centres(self) -> Matrix:
        """The centres now, (k, d)."""
        rows = self._kmeans.centers.values()
        return np.array([[row[i] for i in range(len(row))] for row in rows])


class MiniBatch:
    """``sklearn.cluster.MiniBatchKMeans.partial_fit``; after the first, batches of 100."""

    def __init__(self, k: int, seed: int) -> None:
        self._kmeans = MiniBatchKMeans(k, random_state=seed, n_init=10)
        self._waiting: list[Matrix] = []
        self._ready = False

    def learn(self, points: Matrix) -> None:
        """Keep points until they make a batch."""
        self._waiting.append(points)
        if self._ready and sum(map(len, self._waiting)) < BATCH:
            return
        with threadpool_limits(limits=1):
            self._kmeans.partial_fit(np.concatenate(self._waiting))
        self._waiting.clear()
        self._ready = True

    @property
    def centres(self) -> Matrix:
        """The centres now, (k, d)."""
        return np.asarray(self._kmeans.cluster_centers_, dtype=np.float64)


class Baselines(Observer):
    """Month by month, how well the others fit the population, against the same batch optimum."""

    def __init__(self) -> None:
        self._warm_up: list[Matrix] = []
        self._first: ModelSnapshot | None = None
        self._learners: dict[str, Learner] = {}
        self._ratios: dict[str, list[tuple[float, float]]] = {}

    def sampled(self, replay: Replay, sample: PopulationSample) -> None:
        """Feed the sample to everyone, or keep it for the start."""
        natural = np.array([customer.vector for customer in sample.customers])
        transformed = transform(natural, replay.features)
        if self._first is None:
            self._warm_up.append(transformed)
        else:
            self._feed(transformed)

    def published(self, replay: Replay, snapshot: ModelSnapshot) -> None:
        """Start with the first snapshot."""
        if self._first is None:
            k, seed = len(snapshot.centres), replay.settings.seed
            self._first = snapshot
            self._learners = {
                "River KMeans, step 0.1": River(k, seed, halflife=0.1),
                "River KMeans, default step": River(k, seed),
                "scikit-learn MiniBatchKMeans": MiniBatch(k, seed),
            }
            self._feed(np.concatenate(self._warm_up))

    def month(self, replay: Replay) -> None:
        """Compare."""
        if self._first is None:
            return
        population, scaling = replay.population(), self._first.scaling
        for name, learner in self._learners.items():
            ratio = population.ratio(learner.centres, scaling, replay.settings.seed)
            self._ratios.setdefault(name, []).append((replay.clock, ratio))

    def findings(self, replay: Replay) -> Findings:
        """The median month of each, and the lines to plot."""
        seed = replay.settings.seed
        return Findings(
            [_row(name, replay, points) for name, points in self._ratios.items()],
            [Series("inertia", replay.data, seed, n, p) for n, p in self._ratios.items()],
        )

    def _feed(self, transformed: Matrix) -> None:
        if self._first is not None:
            points = scaled(transformed, self._first.scaling)
            for learner in self._learners.values():
                learner.learn(points)


def _row(name: str, replay: Replay, points: Sequence[tuple[float, float]]) -> Row:
    value = float(np.median([ratio for _, ratio in points]))
    return Row(
        "baselines",
        f"inertia ratio, median month: {name}",
        replay.data,
        replay.settings.seed,
        value,
    )
