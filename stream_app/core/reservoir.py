"""The reservoir: the latest vector of each customer among the last samples."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.model import Matrix


class _Entry(NamedTuple):
    serial: int
    natural: Sequence[float]
    transformed: Sequence[float]


class Reservoir:
    """The population as seen in the last ``window`` samples, each customer once.

    One entry a customer, so heavy buyers do not own the centres; a window of samples rather than
    of customers, so that in a small shop nobody is kept as they were long ago.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self.fed = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, customer_id: str, natural: Sequence[float], transformed: Sequence[float]) -> None:
        """Keep a customer's latest vector of d features and forget what left the window."""
        self.fed += 1
        self._entries[customer_id] = _Entry(self.fed, natural, transformed)
        self._entries.move_to_end(customer_id)
        oldest = self.fed - self._window
        while next(iter(self._entries.values())).serial <= oldest:
            self._entries.popitem(last=False)

    @property
    def full(self) -> bool:
        """Whether a whole window was seen."""
        return self.fed >= self._window

    def natural(self) -> Matrix:
        """Vectors in natural units, shape (customers, d), oldest sample first."""
        return np.array([entry.natural for entry in self._entries.values()], dtype=np.float64)

    def transformed(self) -> Matrix:
        """Vectors after the transform, shape (customers, d), oldest sample first."""
        return np.array([entry.transformed for entry in self._entries.values()], dtype=np.float64)
