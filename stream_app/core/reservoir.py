"""The reservoir: the latest vector of each customer among the last samples."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.population import Draws


class _Entry(NamedTuple):
    serial: int
    natural: Sequence[float]
    day: float


class Reservoir:
    """Who was sampled among the last ``window`` samples, each customer once, and when.

    One entry a customer, so heavy buyers do not own the centres; a window of samples rather than
    of customers, so that in a small shop nobody is kept as they were long ago.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._days: deque[float] = deque(maxlen=window)
        self.fed = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, customer_id: str, natural: Sequence[float], day: float) -> None:
        """Keep a customer's vector of d features as of ``day``; forget what left the window."""
        self.fed += 1
        self._days.append(day)
        self._entries[customer_id] = _Entry(self.fed, natural, day)
        self._entries.move_to_end(customer_id)
        oldest = self.fed - self._window
        while next(iter(self._entries.values())).serial <= oldest:
            self._entries.popitem(last=False)

    @property
    def full(self) -> bool:
        """Whether a whole window was seen."""
        return self.fed >= self._window

    def draws(self, day: float, population: int) -> Draws:
        """Everybody as sampled, oldest sample first, with the age of each sample on ``day``."""
        entries = self._entries.values()
        return Draws(
            np.array([entry.natural for entry in entries], dtype=np.float64),
            np.maximum(day - np.array([entry.day for entry in entries]), 0.0),
            np.maximum(day - np.array(self._days), 0.0),
            population,
        )
