"""Simulated owners: the real pipeline and session of a worker, on a connection that loses calls."""

import asyncio
from collections.abc import Callable
from enum import StrEnum

from stream_app.adapters.metrics import Metrics
from stream_app.adapters.patient_store import PatientStore
from stream_app.pipeline import Outcome, Session
from stream_app.ports import Applied, Batch, Claim, PartitionStore, Pending
from tests.builders import a_pipeline
from tests.protocol.history import MODELS, Job

CACHED = 2  # fewer than there are customers: some states come from the cache, some from the store
METRICS = Metrics()
Witness = Callable[[int, int, Batch, Applied], None]


class Loss(StrEnum):
    """What a connection does to a call."""

    NOTHING = "nothing is lost"
    REQUEST = "the request is lost"
    ANSWER = "the answer is lost"


class Line(PatientStore):
    """A connection that loses as told; the call then waits for ``again`` and repeats itself."""

    def __init__(self, store: PartitionStore, witness: Witness) -> None:
        super().__init__(store, METRICS)
        self._witness = witness
        self.loss = Loss.NOTHING
        self.stuck, self.again = asyncio.Event(), asyncio.Event()

    async def apply(self, partition: int, epoch: int, batch: Batch) -> Applied:
        """See `PartitionStore.apply`; every answer the store gives is told to the witness."""
        while True:
            loss = self.loss
            if loss is not Loss.REQUEST:
                answer = await super().apply(partition, epoch, batch)
                self._witness(partition, epoch, batch, answer)
                if loss is Loss.NOTHING:
                    return answer
            self.stuck.set()
            await self.again.wait()
            self.again.clear()


class Owner:
    """A worker's hold of one partition: at most one write under way, and what it may publish."""

    def __init__(self, name: str, partition: int, line: Line) -> None:
        self.name, self.partition = name, partition
        self.session: Session | None = None
        self.unsent: list[Pending] = []
        self.job: Job | None = None
        self._line = line
        self._pipeline = a_pipeline(line, MODELS)
        self._work: asyncio.Task[Outcome | None] | None = None

    def __str__(self) -> str:
        return f"{self.name} of partition {self.partition}"

    @property
    def waits(self) -> bool:
        """Whether a write is not answered yet."""
        return self._work is not None

    async def claim(self) -> Claim:
        """Begin a session; what is left in the outbox is to be published first."""
        claim = await self._line.claim(self.partition, self.name)
        self.session = Session.of(self.partition, claim, CACHED)
        self.unsent = list(claim.pending)
        return claim

    async def start(self, session: Session, job: Job, loss: Loss) -> None:
        """Begin a write, up to its answer or its loss."""
        self.job, self._line.loss = job, loss
        self._work = asyncio.create_task(job.run(self._pipeline, session))
        await self._proceed(self._work)

    async def repeat(self, loss: Loss) -> None:
        """Send the very same write again."""
        assert self._work
        self._line.loss = loss
        self._line.again.set()
        await self._proceed(self._work)

    async def _proceed(self, work: asyncio.Task[Outcome | None]) -> None:
        stuck = asyncio.create_task(self._line.stuck.wait())
        await asyncio.wait({work, stuck}, return_when=asyncio.FIRST_COMPLETED)
        stuck.cancel()
        self._line.stuck.clear()
        if not work.done():
            return
        self._work = None
        outcome = work.result()
        if outcome and outcome.ok:
            self.unsent += outcome.outbox
        elif outcome:
            self.session = None

    async def crash(self) -> None:
        """Forget everything."""
        if self._work:
            self._work.cancel()
            await asyncio.wait({self._work})
        self._line.again.clear()
        self._work, self.session, self.unsent = None, None, []
