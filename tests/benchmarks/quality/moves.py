"""Are moves calm, and is the reason they give the reason they happened?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from stream_app.contracts import Reason, SegmentChanged
from stream_app.core.events import to_ms
from stream_app.core.model import NOWHERE, SegmentModel
from stream_app.pipeline import Chunk
from tests.benchmarks.quality.replay import Observer, Replay
from tests.benchmarks.quality.results import Bar, Findings, Row

WITHIN = timedelta(days=7)
CALM = Bar("<=", 0.03)
EXPLAINED = Bar(">=", 0.80)
OWN = frozenset({Reason.PURCHASE, Reason.REFUND, Reason.PROFILE})
DRIVEN = (Reason.PURCHASE, Reason.REFUND, Reason.LAPSE)


class Flaps:
    """Counts moves that the customer's next move undoes within 7 days of event time.

    ``undone``: both were caused by an event of the customer's own (purchase, refund, profile), so
    no lapse and no move by a new model lies between them. ``reversed``: lapses count as well, as
    where a purchase lifts a customer for the few days until silence takes them back. First
    assignments are no moves.
    """

    def __init__(self) -> None:
        self._last: dict[str, SegmentChanged] = {}
        self.moves: Counter[Reason] = Counter()
        self.undone = self.reversed = 0

    def add(self, move: SegmentChanged) -> None:
        """Take a customer's next move."""
        before = self._last.get(move.customer_id)
        self._last[move.customer_id] = move
        self.moves[move.reason] += 1
        if before is not None and _is_back(before, move):
            caused = {before.reason, move.reason}
            self.undone += caused <= OWN
            self.reversed += caused <= OWN | {Reason.LAPSE}

    @property
    def total(self) -> int:
        """Moves between segments, first assignments left out."""
        return self.moves.total() - self.moves[Reason.INITIAL]

    @property
    def own(self) -> int:
        """Moves that events of the customer caused."""
        return sum(self.moves[reason] for reason in OWN)


def _is_back(before: SegmentChanged, move: SegmentChanged) -> bool:
    """Tell whether the later of two successive moves leads back within 7 days."""
    back = before.previous is not None and before.previous.id == move.current.id
    return back and move.occurred_at - before.occurred_at <= WITHIN


class Flapping(Observer):
    """The share of moves undone."""

    places = True

    def __init__(self, bar: Bar | None = CALM) -> None:
        self._flaps, self._bar = Flaps(), bar

    def moved(self, replay: Replay, moves: Sequence[SegmentChanged], chunk: Chunk | None) -> None:  # noqa: ARG002
        """Count."""
        for move in moves:
            self._flaps.add(move)

    def findings(self, replay: Replay) -> Findings:
        """Shares of all moves, and of those that the customer's own events caused."""
        where, flaps = (replay.data, replay.settings.seed), self._flaps
        margin, total = f"margin {replay.settings.margin:g}", max(1, flaps.total)
        shares = {
            "moves undone within 7 days": flaps.undone / total,
            "moves undone, as part of purchase, refund and profile moves": flaps.undone
            / max(1, flaps.own),
            "moves undone within 7 days, lapses counted too": flaps.reversed / total,
            "moves": float(flaps.total),
        }
        rows = [Row("flapping", f"{name}, {margin}", *where, v) for name, v in shares.items()]
        return Findings([replace(rows[0], bar=self._bar), *rows[1:]])


class Drivers(Observer):
    """Takes the first driver of each move back to its former value, and asks the model again.

    The driver explains the move if the customer would then have stayed. A move is checked if the
    customer's state at that instant is still at hand: if no later record of the same chunk has
    changed it.
    """

    places = True

    def __init__(self) -> None:
        self._checked: Counter[Reason] = Counter()
        self._explained: Counter[Reason] = Counter()
        self._by_two: Counter[Reason] = Counter()
        self._skipped = 0

    def moved(self, replay: Replay, moves: Sequence[SegmentChanged], chunk: Chunk | None) -> None:
        """Check each."""
        last = _last_offsets(chunk)
        states, model = replay.session.cache, replay.models
        for move in moves:
            if move.reason not in DRIVEN:
                continue
            if chunk is not None and last.get(move.customer_id) != move.source.offset:
                self._skipped += 1
                continue
            vector = replay.features.vector(states[move.customer_id], to_ms(move.occurred_at))
            self._checked[move.reason] += 1
            self._explained[move.reason] += explains(move, vector, model.current)
            self._by_two[move.reason] += explains(move, vector, model.current, drivers=2)

    def findings(self, replay: Replay) -> Findings:
        """The share explained, by reason."""
        where = (replay.data, replay.settings.seed)
        rows = [
            Row(
                "drivers",
                f"{reason} moves undone with their {drivers}",
                *where,
                explained[reason] / self._checked[reason],
                bar,
            )
            for drivers, explained, bar in (
                ("first driver", self._explained, EXPLAINED),
                ("first two drivers", self._by_two, None),
            )
            for reason in DRIVEN
            if self._checked[reason]
        ]
        seen = self._checked.total() + self._skipped
        rows.append(
            Row("drivers", "moves that could not be checked", *where, self._skipped / max(1, seen))
        )
        return Findings(rows)


def explains(
    move: SegmentChanged, vector: Sequence[float], model: SegmentModel, drivers: int = 1
) -> bool:
    """Whether the customer with this vector had stayed without the change of the first drivers."""
    own = model.indices([move.previous.id if move.previous else 0])
    if own[0] == NOWHERE or not move.drivers or move.drivers[0].before is None:
        return False
    changed = list(vector)
    for driver in move.drivers[:drivers]:
        if driver.before is not None:
            changed[model.features.names.index(driver.feature)] = driver.before
    return bool(model.place(model.locate(np.array([changed])), own).segment[0] == own[0])


def _last_offsets(chunk: Chunk | None) -> dict[str, int]:
    records = chunk.records if chunk else ()
    return {(record.key or b"").decode(): record.offset for record in records}
