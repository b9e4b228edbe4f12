"""The pace of the work between chunks: how much of it a lane may do now."""

from dataclasses import dataclass

LEAST_CUSTOMERS, MOST_CUSTOMERS = 48, 256
SAMPLE_CUSTOMERS = 64
WORTH_CUSTOMERS = 32
LONGEST_S = 1.0
SAVED_CUSTOMERS = 256
DAY_MS = 86_400_000
BACKLOG_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Rates of the work between chunks, per partition, and the most records in one write."""

    sample_share: float
    sample_daily: float
    sample_floor: float
    rescore_per_second: float
    chunk_records: int = 512
    rescore_seconds: float = 240.0

    def samples(self, records: int, before: int, after: int) -> float:
        """Count the vectors due for so many records that moved the event clock (ms), if it ran."""
        days = (after - before) / DAY_MS if before else 0.0
        return max(self.sample_share * records, self.sample_daily * days)


class Draws:
    """How many population vectors are due.

    They are drawn when 32 are due or a second has passed: a draw costs the same for few. At most 64
    at a time, and 256 saved up.
    """

    def __init__(self, floor: float) -> None:
        self._floor = floor
        self._due = 0.0
        self._waited = 0.0

    def add(self, vectors: float) -> None:
        """Add what records made due."""
        self._due += vectors

    def wait(self, passed: float) -> None:
        """Add what so many seconds made due."""
        self._due += self._floor * passed
        self._waited += passed

    def take(self) -> int:
        """Take what is due."""
        if self._due < WORTH_CUSTOMERS and self._waited < LONGEST_S:
            return 0
        self._waited = 0.0
        count = min(SAMPLE_CUSTOMERS, int(self._due))
        self._due = min(self._due - count, SAVED_CUSTOMERS)
        return count


class Walk:
    """The walk over all customers after a new model, in portions, at a bounded rate.

    It takes ``seconds``, or less where that would be slower than ``per_second`` customers: no
    faster than it must, since it takes its time from the records. While a backlog is worked off the
    rate is a quarter: whoever buys is judged anew all the same.

    A walk under way is finished before the next begins: models that come fast must not keep it
    from ever reaching the end.
    """

    def __init__(self, per_second: float, seconds: float) -> None:
        self._least = per_second
        self._seconds = seconds
        self._rate = per_second
        self._budget = 0.0
        self._version = 0
        self._cursor: int | None = None

    def begin(self) -> None:
        """Forget which model was walked for."""
        self._version = 0

    def begins(self, version: int) -> bool:
        """Tell whether a new walk is to be started, for this version."""
        return self._cursor is None and self._version != version

    def start(self, version: int, population: int) -> None:
        """Start the walk over so many customers."""
        self._version, self._cursor = version, 0
        self._rate = max(self._least, population / self._seconds)

    def due(
        self, passed: float, portion: int = LEAST_CUSTOMERS, *, backlog: bool = False
    ) -> int | None:
        """Tell where a portion starts if that many are due, ``passed`` seconds after the last."""
        if self._cursor is None:
            return None
        gained = self._rate * passed * (BACKLOG_SHARE if backlog else 1.0)
        self._budget = min(max(self._rate, portion), self._budget + gained)
        if self._budget < portion:
            return None
        self._budget -= portion
        return self._cursor

    def reached(self, cursor: int) -> None:
        """Go on from this cursor; 0 is the end."""
        self._cursor = cursor or None

    def portion(self, least: int) -> int:
        """How many to judge at once: the more, the further the walk is behind."""
        return min(MOST_CUSTOMERS, max(least, round(self._budget / 4)))

    @property
    def is_behind(self) -> bool:
        """Whether another portion is due already."""
        return self._cursor is not None and self._budget >= LEAST_CUSTOMERS
