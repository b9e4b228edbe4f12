"""A Prometheus histogram that takes many observations at once, at a tenth of the usual cost."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import inf

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Ages(Collector):
    """Seconds, counted in buckets up to the given bounds; register it as a collector."""

    def __init__(self, name: str, meaning: str, bounds: Sequence[float]) -> None:
        self._name, self._meaning = name, meaning
        self._bounds = [*bounds, inf]
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0

    def add(self, ages: Iterable[float]) -> None:
        """Observe each of them."""
        counts, bounds = self._counts, self._bounds
        for age in ages:
            counts[bisect_left(bounds, age)] += 1
            self._sum += age

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Show the counts up to each bound."""
        labels = map(floatToGoString, self._bounds)
        buckets = list(zip(labels, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._meaning, buckets, self._sum)
