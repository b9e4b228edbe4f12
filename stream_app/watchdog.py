"""The watchdog's rule: where work waits and nothing has moved for too long.

Pure: the moment is an argument, from a clock that never jumps (monotonic seconds). What a stall
leads to is decided elsewhere (`health.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

PATIENCE = 10


class StallError(Exception):
    """Work waits and nothing moves; the message says where, for how long, and doing what."""


class Place(NamedTuple):
    """Somewhere work is done in order: all before ``position`` is done, ``end`` is still to come.

    ``position`` is None where the work was given to us and nobody has taken it up yet.
    """

    name: str
    position: int | None
    end: int
    unit: str = "records"
    partition: int | None = None

    @property
    def waits(self) -> int:
        """How much there is to do; 1 where nobody knows."""
        return 1 if self.position is None else max(0, self.end - self.position)

    def __str__(self) -> str:
        if self.position is None:
            return f"{self.name} is assigned to this process, and is not read yet"
        return f"{self.name} stands at {self.position}, {self.unit} waiting: {self.waits:,}"


@dataclass(frozen=True, slots=True)
class Stall:
    """A place where work has waited for so many seconds without any movement."""

    place: Place
    seconds: float

    def __str__(self) -> str:
        return f"{self.place}, and nothing has moved for {self.seconds:.0f} s"


class Watchdog:
    """Remembers since when each place has stood still.

    ``limit``: seconds that work may wait without movement. While a service is out nothing can
    move, so nothing counts as a stall; an outage itself may last `PATIENCE` times the limit.

    >>> dog = Watchdog(60)
    >>> dog.look(0, [Place("purchases/3", 7, 9)]), dog.look(10, [Place("purchases/3", 8, 9)])
    (None, None)
    >>> for moment in (24, 38, 52, 66):
    ...     found = dog.look(moment, [Place("purchases/3", 8, 9)])
    >>> print(dog.look(70, [Place("purchases/3", 8, 9)]))
    purchases/3 stands at 8, records waiting: 1, and nothing has moved for 60 s
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since: dict[str, tuple[int | None, float]] = {}
        self._looked: float | None = None
        self.longest: Stall | None = None

    def look(
        self, now: float, places: Iterable[Place], outages: Mapping[str, float] | None = None
    ) -> Stall | str | None:
        """Look at every place that is ours; tell of a stall, or of an outage beyond patience.

        ``outages``: seconds for which a service has not answered, by its name. Call it several
        times within the limit: a longer pause is not held against anybody, because this process
        was then stopped as a whole.
        """
        for service, seconds in (outages or {}).items():
            if seconds >= PATIENCE * self._limit:
                return f"{service} has not answered for {seconds:.0f} s"
        paused = 0.0 if self._looked is None else now - self._looked
        forgiven = paused if paused > self._limit / 4 else 0.0
        self._looked = now
        moved = {place: self._moved(place, now, forgiven, out=bool(outages)) for place in places}
        self._since = {place.name: (place.position, since) for place, since in moved.items()}
        stalls = [Stall(place, now - since) for place, since in moved.items()]
        self.longest = max(stalls, key=lambda stall: stall.seconds, default=None)
        return self.longest if self.longest and self.longest.seconds >= self._limit else None

    def _moved(self, place: Place, now: float, forgiven: float, *, out: bool) -> float:
        """Tell when the place moved last, or had nothing to do."""
        position, since = self._since.get(place.name, (place.position, now))
        still = place.waits and position == place.position and not out
        return min(now, since + forgiven) if still else now
