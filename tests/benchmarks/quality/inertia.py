"""Does the serving model fit the whole population as well as batch clustering of it would?"""

import numpy as np

from tests.benchmarks.quality.replay import Observer, Replay
from tests.benchmarks.quality.results import Bar, Findings, Row, Series

MEDIAN = Bar("<=", 1.02)
WORST = Bar("<=", 1.05)


class Inertia(Observer):
    """At the end of each month: inertia of the serving centres ÷ best of ten batch k-means.

    Over everybody stored, in the scaling of that snapshot and with as many centres.
    """

    def __init__(self) -> None:
        self._ratios: list[tuple[float, float]] = []

    def month(self, replay: Replay) -> None:
        """Compare."""
        if replay.snapshot:
            ratio = replay.population().served_ratio(replay.snapshot, replay.settings.seed)
            self._ratios.append((replay.clock, ratio))

    def findings(self, replay: Replay) -> Findings:
        """Median and worst month once warm."""
        seed, data = replay.settings.seed, replay.data
        ratios = [ratio for _, ratio in self._ratios]
        rows = [
            Row(
                "inertia",
                "inertia ratio, median month",
                data,
                seed,
                float(np.median(ratios)),
                MEDIAN,
            ),
            Row("inertia", "inertia ratio, worst month", data, seed, max(ratios), WORST),
        ]
        return Findings(rows, [Series("inertia", data, seed, "ours", self._ratios)])
