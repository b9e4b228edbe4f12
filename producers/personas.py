"""The ways to shop that a simulated shop is made of."""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Persona:
    """A way to shop.

    ``share``: weight among new customers. ``gap``: mean days between purchases; ``spread`` its
    coefficient of variation. ``basket``: median basket in money; ``lines``: mean lines in it.
    ``bargain``: mean part of the price that is discounted. ``refund``: chance that a purchase is
    partly given back. ``season``: how much more often at the year's end (0: not at all). ``fade``:
    days in which the gap doubles since joining. ``once``: buys a single time.
    """

    name: str
    share: float
    gap: float
    basket: float
    lines: float
    categories: tuple[str, ...]
    spread: float = 0.35
    bargain: float = 0.03
    refund: float = 0.01
    season: float = 0.1
    fade: float = inf
    once: bool = False
    channel: str = "store"
    age: int = 45


STANDARD = (
    Persona("loyal-weekly", 0.25, 7, 45, 9, ("grocery", "produce", "dairy", "bakery"), age=52),
    Persona("big-monthly", 0.15, 30, 240, 24, ("grocery", "household", "drinks"), spread=0.25),
    Persona(
        "bargain-hunter", 0.15, 12, 24, 5, ("grocery", "clothes"), bargain=0.35, refund=0.06, age=34
    ),
    Persona("one-timer", 0.2, 30, 35, 2, ("gifts", "toys", "clothes"), once=True, channel="web"),
    Persona("lapsing", 0.15, 6, 40, 7, ("grocery", "produce", "drinks"), fade=40, age=41),
    Persona("gift-giver", 0.1, 60, 90, 3, ("gifts", "toys"), season=3.0, channel="web", age=38),
    Persona("premium", 0.0, 9, 160, 12, ("wine", "deli", "produce"), channel="app", age=48),
)
