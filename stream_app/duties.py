"""What a lane does between chunks: lapses, re-scoring after a new model, samples for the trainer.

Each is done in small portions, so that no record waits long behind them; the portions grow with
the chunks, so that a busy lane does not fall behind with them.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from stream_app.contracts import PopulationSample
from stream_app.pace import LEAST_CUSTOMERS, MOST_CUSTOMERS, Draws, LaneSettings, Walk
from stream_app.pipeline import Outcome, Pipeline, Session

PublishSample = Callable[[PopulationSample], Coroutine[Any, Any, None]]


class Duties:
    """The work between the chunks of one partition. ``wall``: the present in ms.

    ``pressing``: whether more is to be done at once; ``has_backlog``: whether the last chunk and
    what waited behind it would be half of a full one: in steady traffic some always wait.
    """

    def __init__(
        self, pipeline: Pipeline, publish_sample: PublishSample, settings: LaneSettings, wall: int
    ) -> None:
        self.pressing = False
        self._pipeline = pipeline
        self._publish_sample = publish_sample
        self._settings = settings
        self._walk = Walk(settings.rescore_per_second, settings.rescore_seconds)
        self._draws = Draws(settings.sample_floor)
        self._sampling: asyncio.Task[None] | None = None
        self._portion = LEAST_CUSTOMERS
        self.has_backlog = False
        self._last = wall

    def begin(self) -> None:
        """Start anew: the partition was claimed."""
        self._walk.begin()

    def chunk(self, records: int, before: int, after: int, *, waiting: int = 0) -> None:
        """Note a chunk that moved the event clock (ms); ``waiting``: records behind it."""
        self._portion = min(MOST_CUSTOMERS, max(LEAST_CUSTOMERS, records // 2))
        self.has_backlog = records + waiting >= self._settings.chunk_records // 2
        self._draws.add(self._settings.samples(records, before, after))

    async def lapse(self, session: Session, wall: int) -> Outcome | None:
        """Let some customers lapse whose silence is due."""
        outcome = await self._pipeline.lapse(session, wall, self._portion)
        self.pressing = outcome is not None
        return outcome

    async def rescore(self, session: Session, wall: int) -> Outcome | None:
        """Judge some customers by a new model, if its walk has a portion due."""
        passed, self._last = (wall - self._last) / 1000, wall
        self._draws.wait(passed)
        models = self._pipeline.models
        portion, self._portion = self._walk.portion(self._portion), LEAST_CUSTOMERS
        backlog, self.has_backlog = self.has_backlog, False
        if models and self._walk.begins(version := models.current.version):
            self._walk.start(version, await self._pipeline.population(session))
        start = self._walk.due(passed, portion, backlog=backlog) if models else None
        if start is None:
            return None
        cursor, outcome = await self._pipeline.rescore(session, start, portion, wall)
        self._walk.reached(cursor)
        self.pressing = self.pressing or self._walk.is_behind
        return outcome

    async def sample(self, session: Session, wall: int) -> None:
        """Draw the stored customers that are due for the trainer."""
        if self._sampling and self._sampling.done():
            self._sampling.result()
        count = self._draws.take()
        sample = await self._pipeline.sample(session, count, wall) if count else None
        if sample:
            if self._sampling:
                await self._sampling
            sending = self._publish_sample(sample)
            self._sampling = asyncio.create_task(sending, name=f"lane-{session.partition}")

    async def finish(self) -> None:
        """Wait for the sample that is being published."""
        if self._sampling:
            await self._sampling
