"""Do segments keep their ids and names, and are real changes published for what they are?"""

from collections import Counter
from collections.abc import Mapping, Sequence

from stream_app.contracts import ModelSnapshot, PopulationSample, Reason, SegmentChanged
from stream_app.pipeline import Chunk
from tests.benchmarks.quality.personas import Truth
from tests.benchmarks.quality.replay import Observer, Replay
from tests.benchmarks.quality.results import Bar, Findings, Row

NONE = Bar("==", 0)
SOME = Bar(">=", 1)


class Steady(Observer):
    """Counts the ids born and died and the names changed after ``since`` (ms), held to ``bar``."""

    def __init__(self, since: int, bar: Bar | None) -> None:
        self._since, self._bar = since, bar
        self._last: ModelSnapshot | None = None
        self._ids = self._names = self._published = 0

    def published(self, replay: Replay, snapshot: ModelSnapshot) -> None:
        """Compare with the snapshot before."""
        if replay.clock >= self._since and self._last:
            self._published += 1
            before, after = _names(self._last), _names(snapshot)
            self._ids += len(before.keys() ^ after.keys())
            self._names += sum(before[i] != after[i] for i in before.keys() & after.keys())
        self._last = snapshot

    def findings(self, replay: Replay) -> Findings:
        """Both counts, and how often anything was published."""
        where = (replay.data, replay.settings.seed)
        return Findings(
            [
                Row("steady", "ids born or died", *where, self._ids, self._bar),
                Row("steady", "names changed", *where, self._names, self._bar),
                Row("steady", "snapshots published meanwhile", *where, self._published),
            ]
        )


class Fates(Observer):
    """What is published of the segments in which most customers of some personas were at ``since``.

    ``expected`` maps a persona to the fate its segment is to have. A segment is followed through
    everything published of it: what it split or merged into counts as well.
    """

    places = True

    def __init__(self, expected: Mapping[str, str], since: int, truth: Truth) -> None:
        self._expected, self._since, self._truth = expected, since, truth
        self._followed: dict[str, set[int]] = {}
        self._fates: dict[str, Counter[str]] = {persona: Counter() for persona in expected}
        self._ever: set[int] = set()
        self._alive: set[int] = set()
        self._reused = self._left = self._wrong = 0

    def moved(self, replay: Replay, moves: Sequence[SegmentChanged], chunk: Chunk | None) -> None:  # noqa: ARG002
        """Whoever leaves a segment that is no more was moved by the model."""
        if replay.models:
            serving = {segment.id for segment in replay.models.current.segments}
            gone = [m for m in moves if m.previous and m.previous.id not in serving]
            self._left += len(gone)
            self._wrong += sum(move.reason is not Reason.MODEL for move in gone)

    def sampled(self, replay: Replay, sample: PopulationSample) -> None:  # noqa: ARG002
        """Find the segments, once, when the change begins."""
        if not self._followed and replay.clock >= self._since:
            states, truth = replay.states(), self._truth(self._since - 1)
            for persona in self._expected:
                homes = Counter(s.segment for c, s in states.items() if truth.get(c) == persona)
                self._followed[persona] = {homes.most_common(1)[0][0]}

    def published(self, replay: Replay, snapshot: ModelSnapshot) -> None:  # noqa: ARG002
        """Note fates, and ids that come back."""
        now = {segment.id for segment in snapshot.segments}
        self._reused += len((now - self._alive) & self._ever)
        self._ever |= now
        self._alive = now
        for persona, followed in self._followed.items():
            fates = [fate for fate in snapshot.fates if followed & set(fate.old)]
            self._fates[persona].update(fate.kind for fate in fates)
            followed.update(*(fate.new for fate in fates))

    def findings(self, replay: Replay) -> Findings:
        """The fates are published, ids are never reused, moves carry the reason ``model``."""
        where = (replay.data, replay.settings.seed)
        published = [
            Row("fates", f"published as {kind}", *where, self._fates[persona][kind], SOME)
            for persona, kind in self._expected.items()
        ]
        return Findings(
            [
                *published,
                Row("fates", "ids reused", *where, self._reused, NONE),
                Row("fates", "moves out of vanished segments", *where, self._left),
                Row("fates", "of these, not with reason model", *where, self._wrong, NONE),
            ]
        )


def _names(snapshot: ModelSnapshot) -> dict[int, str]:
    return {segment.id: segment.name for segment in snapshot.segments}
