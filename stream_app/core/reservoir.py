"""The reservoir: the latest vector of each customer among the last samples."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.model import Matrix


class _Entry(NamedTuple):
    serial: int
    natural: Sequence[float]


class Reservoir:
    """Who was sampled among the last ``window`` samples, each customer once.

    One entry a customer, so heavy buyers do not own the centres; a window of samples rather than
    of customers, so that in a small shop nobody is kept as they were long ago.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self.fed = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, customer_id: str, natural: Sequence[float]) -> None:
        """Keep a customer's vector of d features; forget what left the window."""
        self.fed += 1
        self._entries[customer_id] = _Entry(self.fed, natural)
        self._entries.move_to_end(customer_id)
        oldest = self.fed - self._window
        while next(iter(self._entries.values())).serial <= oldest:
            self._entries.popitem(last=False)

    @property
    def full(self) -> bool:
        """Whether a whole window was seen."""
        return self.fed >= self._window

    @property
    def natural(self) -> Matrix:
        """Everybody as sampled, in natural units, oldest sample first, shape (n, d)."""
        return np.array([entry.natural for entry in self._entries.values()], dtype=np.float64)
