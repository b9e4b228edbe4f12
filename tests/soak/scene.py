"""What a fault may touch, and what a fault is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from tests.harness import until
from tests.soak.crew import Crew
from tests.soak.load import Load
from tests.soak.stage import Stage

LINK_S = (2.0, 5.0)


@dataclass
class Scene:
    """What a fault may touch; ``rng`` is drawn from for whom it hits and for how long."""

    stage: Stage
    crew: Crew
    load: Load
    rng: Random

    async def applied_more(self, records: int) -> None:
        """Wait until so many more records have had their effect, so that there is work to lose."""
        before = await self.stage.applied()

        async def enough() -> bool:
            return await self.stage.applied() >= before + records

        await until(enough, f"{records} more records are applied")


Fault = Callable[[Scene], Awaitable[None]]
