"""When a simulated customer returns, and with what: the random draws behind `simulate.py`."""

from dataclasses import dataclass
from math import cos, log, tau
from random import Random

from producers.personas import Persona
from producers.sources import DAY_MS, Line

YEAR_DAYS = 365.25
PEAK_DAY = 350
BASKET_SPREAD = 0.35
MAX_DISCOUNT = 0.8
SKUS = 40


@dataclass(frozen=True, slots=True)
class Shock:
    """From ``day`` on, every gap and every basket is multiplied."""

    day: float
    gap: float = 2.0
    basket: float = 0.6


@dataclass(frozen=True, slots=True)
class Market:
    """What holds for everyone. Days count from ``start`` (ms); ``drift``: part of 1 a year."""

    start: int
    drift: float
    shock: Shock | None

    def gap(self, day: float) -> float:
        """Factor on every gap: customers come more seldom as it grows."""
        shock = self.shock.gap if self.shock and day >= self.shock.day else 1.0
        return shock * (1 + self.drift * day / YEAR_DAYS)

    def basket(self, day: float) -> float:
        """Factor on every basket."""
        shock = self.shock.basket if self.shock and day >= self.shock.day else 1.0
        return shock / (1 + self.drift * day / YEAR_DAYS)

    def season(self, day: float, strength: float) -> float:
        """Factor on the frequency of purchases: 1 most of the year, 1 + strength at its end."""
        angle = (self.start / DAY_MS + day - PEAK_DAY) / YEAR_DAYS
        return 1 + strength * max(0.0, cos(tau * angle)) ** 4


@dataclass(frozen=True, slots=True)
class Bought:
    """A drawn basket: what was paid, what was taken off before, and the lines."""

    total: float
    discount: float
    lines: list[Line]


def next_visit(rng: Random, persona: Persona, market: Market, joined: float, day: float) -> float:
    """Day of the purchase after one on ``day``; gaps follow a gamma distribution."""
    fading = 2 ** min(30.0, (day - joined) / persona.fade)
    mean = persona.gap * fading * market.gap(day) / market.season(day, persona.season)
    shape = persona.spread**-2
    return day + rng.gammavariate(shape, mean / shape)


def fill_basket(rng: Random, persona: Persona, factor: float) -> Bought:
    """Draw a basket around the persona's, times ``factor``; prices in whole cents."""
    money = rng.lognormvariate(log(persona.basket * factor), BASKET_SPREAD)
    count = max(1, round(rng.gauss(persona.lines, persona.lines * 0.3)))
    weights = [0.2 + rng.random() for _ in range(count)]
    scale = money / sum(weights)
    lines = [_line(rng, persona, weight * scale) for weight in weights]
    total = round(sum(line.unit_price for line in lines), 2)
    part = min(MAX_DISCOUNT, rng.expovariate(1 / persona.bargain))
    return Bought(total, round(total * part / (1 - part), 2), lines)


def _line(rng: Random, persona: Persona, price: float) -> Line:
    category = rng.choice(persona.categories)
    number = int(SKUS * rng.random() ** 2)  # a few articles sell most
    return Line(f"{category}-{number}", category, 1.0, round(price, 2))
