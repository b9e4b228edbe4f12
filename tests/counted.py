"""A shop that was counted once, and `segmenter rebuild`."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from producers.simulate import Simulation
from stream_app.config import Settings, environment
from stream_app.core.folds import CustomerState
from stream_app.demo.system import running
from stream_app.demo.verify import histories, verify
from tests.harness import a_run, a_shop, asking, until

PLACE = {"segment": 0, "segment_name": "", "entered": 0, "sequence": 0, "model": 0, "due": 0}

States = dict[str, CustomerState | None]


@dataclass
class Shop:
    """A shop whose purchases were counted once, and how everybody stood then."""

    settings: Settings
    simulation: Simulation
    states: States
    total: int = 0

    async def now(self, settings: Settings | None = None) -> States:
        async with asking(settings or self.settings) as (queries, _):
            return await queries.states(self.states)


async def a_counted_shop(settings: Settings) -> Shop:
    """Replayed as fast as it goes: hardly anybody is placed yet."""
    simulation = a_shop()
    with running(settings, workers=1) as system:
        result = await a_run(settings, system, simulation).run(lambda: None)
    assert result.verification.problems == ()
    everybody = dict.fromkeys(histories(simulation, {"USD": 1.0}))
    shop = Shop(settings, simulation, everybody, result.events)
    shop.states = await shop.now()
    return shop


async def placed(shop: Shop) -> Shop:
    """Left running until there is a model and everybody who ever bought has a segment."""
    with running(shop.settings, workers=1):
        async with asking(shop.settings) as (queries, _):

            async def all_placed() -> bool:
                customers = sum((await queries.overview()).sizes.values())
                return customers == await queries.buyers() and not await queries.outbox_length()

            await until(all_placed, "everybody is placed")
    shop.states = await shop.now()
    return shop


def rebuild(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stream_app", "rebuild", *words],
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def features(states: States) -> States:
    """States without their place in a model, which depends on the path there."""
    return {c: msgspec.structs.replace(s, **PLACE) if s else None for c, s in states.items()}


def problems(source: Iterable[object], states: States, half_life: float = 60) -> tuple[str, ...]:
    expected = histories(source, {"USD": 1.0})  # type: ignore[arg-type]
    return verify(expected, features(states), {}, half_life).problems
