"""What learning costs, and how large the segments are."""

from collections import Counter
from collections.abc import Sequence

from stream_app.contracts import SegmentChanged
from stream_app.pipeline import Chunk
from tests.benchmarks.quality.replay import Observer, Replay
from tests.benchmarks.quality.results import Bar, Findings, Row, Series

MICROSECONDS = Bar("<", 200)
WEEK_MS = 7 * 86_400_000


class TrainerCost(Observer):
    """CPU time of the trainer for each sampled vector, its guards and snapshots included."""

    def findings(self, replay: Replay) -> Findings:
        """200 µs are a tenth of a core at 500 vectors a second."""
        cost = replay.cost
        micros = cost.seconds / max(1, cost.vectors) * 1e6
        name = "trainer, CPU µs for each sampled vector"
        where = (replay.data, replay.settings.seed)
        return Findings([Row("cost", name, *where, micros, MICROSECONDS)])


class Sizes(Observer):
    """Customers in each segment by its name at the time, week by week."""

    places = True

    def __init__(self) -> None:
        self._sizes: Counter[int] = Counter()
        self._due = 0
        self._points: dict[str, list[tuple[float, float]]] = {}

    def moved(self, replay: Replay, moves: Sequence[SegmentChanged], chunk: Chunk | None) -> None:  # noqa: ARG002
        """Follow every move."""
        for move in moves:
            self._sizes[move.current.id] += 1
            if move.previous:
                self._sizes[move.previous.id] -= 1
        if replay.snapshot and replay.clock >= self._due:
            self._due = replay.clock + WEEK_MS
            for segment in replay.snapshot.segments:
                points = self._points.setdefault(segment.name, [])
                points.append((replay.clock, self._sizes[segment.id]))

    def findings(self, replay: Replay) -> Findings:
        """Nothing but lines to plot."""
        where = ("sizes", replay.data, replay.settings.seed)
        return Findings([], [Series(*where, name, p) for name, p in self._points.items()])
