"""Which faults, in which order: every one before any comes again, and some two at a time."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

SECOND = 0.25  # chance of a second fault while the system recovers from the first
PAUSE_S = (0.5, 3.0)


class Step(NamedTuple):
    """A fault, perhaps another one right after it, and the calm before (s)."""

    number: int
    pause: float
    fault: str
    second: str | None

    def __str__(self) -> str:
        """Tell the names."""
        return f"{self.fault}, then {self.second}" if self.second else self.fault


def schedule(names: Sequence[str], seed: int) -> Iterator[Step]:
    """Yield steps for ever; the same names and seed give the same.

    >>> steps = schedule(["a", "b"], seed=1)
    >>> sorted(next(steps).fault for _ in range(2))
    ['a', 'b']
    """
    rng, number = Random(f"{seed}/schedule"), 0
    while True:
        for fault in rng.sample(names, len(names)):
            number += 1
            second = rng.choice(names) if rng.random() < SECOND else None
            yield Step(number, rng.uniform(*PAUSE_S), fault, second)
