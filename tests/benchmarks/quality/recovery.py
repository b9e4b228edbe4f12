"""After an abrupt change: how many sampled vectors until the model fits again."""

from collections.abc import Sequence
from math import inf

from stream_app.contracts import ModelSnapshot, PopulationSample
from tests.benchmarks.quality.replay import Observer, Replay
from tests.benchmarks.quality.results import Bar, Findings, Row, Series

LIMIT = 1.05
WITHIN = 5_000
EVERY = 500


class Recovery(Observer):
    """Follows the inertia ratio from some time before ``at`` (ms) to the end of the history.

    ``frozen`` is the model that served when the change came: what would happen without learning.
    """

    def __init__(self, at: int) -> None:
        self._at = at
        self._since = 0
        self._looked = 0
        self._frozen: ModelSnapshot | None = None
        self._ratios: list[tuple[float, float]] = []
        self._without: list[tuple[float, float]] = []

    def sampled(self, replay: Replay, sample: PopulationSample) -> None:
        """Look every 500 vectors from the change on."""
        if replay.clock < self._at or replay.snapshot is None:
            return
        self._frozen = self._frozen or replay.snapshot
        self._since += len(sample.customers)
        if self._since >= self._looked:
            self._looked += EVERY
            population, seed = replay.population(), replay.settings.seed
            for points, model in ((self._ratios, replay.snapshot), (self._without, self._frozen)):
                points.append((self._since, population.served_ratio(model, seed)))

    def findings(self, replay: Replay) -> Findings:
        """Vectors until the ratio is back for good, and the highest ratios on the way."""
        seed, data = replay.settings.seed, replay.data
        peak, alone = (max(r for _, r in p) for p in (self._ratios, self._without))
        later = [ratio for since, ratio in self._ratios if since > WITHIN]
        rows = [
            Row(
                "abrupt",
                "sampled vectors until the inertia ratio is back at 1.05",
                data,
                seed,
                vectors_until_back(self._ratios, LIMIT),
                Bar("<=", WITHIN),
            ),
            Row("abrupt", "highest inertia ratio after the change", data, seed, peak),
            Row(
                "abrupt",
                "highest inertia ratio after 5,000 vectors",
                data,
                seed,
                max(later, default=inf),
            ),
            Row("abrupt", "highest inertia ratio had the model not learned", data, seed, alone),
        ]
        series = [
            Series("recovery", data, seed, "ours", self._ratios),
            Series("recovery", data, seed, "without learning", self._without),
        ]
        return Findings(rows, series)


def vectors_until_back(points: Sequence[tuple[float, float]], limit: float) -> float:
    """x of the first of two successive (x, ratio) at or below the limit, after one above it.

    0 if none is above it; infinite if it does not come back.

    >>> vectors_until_back([(1, 1.0), (500, 1.2), (1000, 1.01), (1500, 1.06), (2000, 1.0)], 1.05)
    2000.0
    >>> vectors_until_back([(1, 1.0), (500, 1.2)], 1.05)
    inf
    """
    fine = [ratio <= limit for _, ratio in points]
    if all(fine):
        return 0.0
    start = fine.index(False)
    back = (i for i in range(start, len(fine)) if all(fine[i : i + 2]))
    return next((float(points[i][0]) for i in back), float("inf"))
