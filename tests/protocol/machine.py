"""Everything that can happen to partitions and their owners, in any order, and what must hold."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stream_app.core.folds import CustomerState
from stream_app.core.messages import Outgoing
from stream_app.pipeline import Session
from stream_app.ports import Applied, ApplyStatus, Batch, CustomerWrite, Pending
from tests.builders import PROFILES, PURCHASES
from tests.protocol.history import (
    RECORDS,
    Expected,
    Job,
    Ledger,
    consumed,
    moved,
    recomputed,
    seen,
    told,
    told_of,
)
from tests.protocol.owners import Line, Loss, Owner
from tests.protocol.servers import Server

ANY = st.integers(0, 11)
LOSSES = st.sampled_from([Loss.NOTHING, Loss.NOTHING, Loss.ANSWER, Loss.REQUEST])
TOPICS = st.sampled_from([PURCHASES, PURCHASES, PROFILES])
Chosen = TypeVar("Chosen")
Answer = TypeVar("Answer")


def one(some: Sequence[Chosen], number: int) -> Chosen:
    return some[number % len(some)]


class Machine(RuleBasedStateMachine):
    """A few workers on one store; after every step all of it is compared with the ledgers."""

    def __init__(self, open_server: Callable[[], Server]) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._server = open_server()
        self._owners: list[Owner] = []
        self._ledgers: dict[int, Ledger] = {}
        self._epochs: dict[int, int] = {}
        self._topic: dict[int, list[Outgoing]] = {}
        self._copies: list[tuple[int, Any, Ledger]] = []
        self._expected: dict[tuple[int, tuple[Job, ...]], Expected] = {}

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self._runner.run(work)

    @initialize(workers=st.integers(2, 3), partitions=st.integers(1, 2))
    def begin(self, workers: int, partitions: int) -> None:
        self._ledgers = {p: Ledger() for p in range(partitions)}
        self._epochs = dict.fromkeys(self._ledgers, 0)
        self._topic = {p: [] for p in self._ledgers}
        self._owners = [
            Owner(f"w{w}", p, Line(self._server.store, self.answered))
            for w in range(1, workers + 1)
            for p in self._ledgers
        ]

    @property
    def idle(self) -> list[Owner]:
        return [owner for owner in self._owners if not owner.waits]

    @property
    def ready(self) -> list[tuple[Owner, Session]]:
        return [(owner, owner.session) for owner in self.idle if owner.session]

    @property
    def waiting(self) -> list[Owner]:
        return [owner for owner in self._owners if owner.waits]

    @property
    def publishers(self) -> list[Owner]:
        return [owner for owner in self._owners if owner.unsent]

    def answered(self, partition: int, epoch: int, batch: Batch, answer: Applied) -> None:
        """Compare an answer with the ledger's, and enter what was accepted."""
        ledger = self._ledgers[partition]
        note(f"  {batch.topic} [{batch.base}, {batch.next}) in epoch {epoch}: {answer.status}")
        assert answer.status is ledger.verdict(epoch, batch)
        if answer.status is ApplyStatus.OK:
            ledger = self._ledgers[partition] = ledger.after(batch)
        assert answer.position == ledger.positions.get(batch.topic, -1)

    @precondition(lambda self: self.idle)
    @rule(who=ANY)
    def claim(self, who: int) -> None:
        owner = one(self.idle, who)
        p, ledger = owner.partition, self._ledgers[owner.partition]
        claim = self.run(owner.claim())
        note(f"  {owner}, epoch {claim.epoch}")
        assert claim.epoch > self._epochs[p]
        assert claim.positions == ledger.positions
        assert claim.pending == ledger.outbox
        self._epochs[p] = claim.epoch
        self._ledgers[p] = ledger.claimed(claim.epoch)

    @precondition(lambda self: self.ready)
    @rule(who=ANY, topic=TOPICS, records=st.integers(1, 4), loss=LOSSES)
    def write(self, who: int, topic: str, records: int, loss: Loss) -> None:
        owner, session = one(self.ready, who)
        base = session.positions.get(topic, 0)
        job = Job(topic, base, min(base + records, RECORDS))
        self._start(owner, session, job, loss)

    @precondition(lambda self: self.ready)
    @rule(who=ANY, loss=LOSSES)
    def sweep_lapses(self, who: int, loss: Loss) -> None:
        owner, session = one(self.ready, who)
        position = session.positions.get(PURCHASES, 0)
        self._start(owner, session, Job(PURCHASES, position, position), loss)

    def _start(self, owner: Owner, session: Session, job: Job, loss: Loss) -> None:
        note(f"  {owner}, {loss}")
        self.run(owner.start(session, job, loss))

    @precondition(lambda self: self.waiting)
    @rule(who=ANY, loss=LOSSES)
    def repeat(self, who: int, loss: Loss) -> None:
        owner = one(self.waiting, who)
        note(f"  {owner}, {loss}")
        self.run(owner.repeat(loss))

    @precondition(lambda self: self.ready)
    @rule(who=ANY, shift=st.sampled_from([-2, -1, 1, 2]))
    def write_elsewhere(self, who: int, shift: int) -> None:
        """A write with a wrong base changes nothing, whoever sends it."""
        owner, session = one(self.ready, who)
        base = self._ledgers[owner.partition].positions.get(PURCHASES, -shift) + shift
        if base:
            state = CustomerWrite("ann", CustomerState(orders=99), 1)
            entry = Pending(f"{session.epoch}-999", Outgoing("stray", None, None))
            what = ((state,), (entry,), {"stray": 1}, session.last_batch)
            batch = Batch("stray", PURCHASES, base, base + 1, 1, *what)
            answer = self.run(self._server.store.apply(owner.partition, session.epoch, batch))
            self.answered(owner.partition, session.epoch, batch, answer)
            assert answer.status in {ApplyStatus.FENCED, ApplyStatus.MISMATCH}

    @precondition(lambda self: self.publishers)
    @rule(who=ANY, most=st.sampled_from([1, 2, 99]), trim=st.booleans())
    def publish(self, who: int, most: int, trim: bool) -> None:  # noqa: FBT001
        owner = one(self.publishers, who)
        p, entries = owner.partition, owner.unsent[:most]
        owner.unsent = owner.unsent[most:]
        ids = [entry.id for entry in entries]
        note(f"  {owner}: {ids}")
        self._topic[p] += [entry.message for entry in entries]
        if trim:
            self.run(self._server.store.trim(p, ids))
            self._ledgers[p] = self._ledgers[p].trimmed(ids)

    @rule(who=ANY)
    def crash(self, who: int) -> None:
        name = one(self._owners, who).name
        for owner in self._owners:
            if owner.name == name:
                self.run(owner.crash())

    @rule(partition=ANY)
    def copy(self, partition: int) -> None:
        p = one(list(self._ledgers), partition)
        self._copies.append((p, self.run(self._server.copy(p)), self._ledgers[p]))

    @precondition(lambda self: self._copies)
    @rule(which=ANY)
    def roll_back(self, which: int) -> None:
        """An older state is back; superseded owners have noticed by then that they are.

        One that had not would own the partition again, and consumers, who have seen a greater
        epoch, would ignore it until the next claim.
        """
        p, copy, ledger = one(self._copies, which)
        for owner in self._owners:
            if owner.partition == p and owner.session and owner.session.epoch < self._epochs[p]:
                self.run(owner.crash())
        note(f"  partition {p} is at {ledger.positions} again, epoch {ledger.epoch}")
        self.run(self._server.put_back(p, copy, self._epochs[p]))
        self._ledgers[p] = ledger

    @invariant()
    def all_agrees(self) -> None:
        for p, ledger in self._ledgers.items():
            self._check_store(p, ledger)
            self._check_messages(p, ledger)

    def _check_store(self, partition: int, ledger: Ledger) -> None:
        """The store holds the surviving history, each record exactly once."""
        key = (partition, ledger.history)
        if key not in self._expected:
            self._expected[key] = self.run(recomputed(*key))
        assert self.run(seen(self._server.store, partition)) == self._expected[key].seen
        assert self.run(self._server.outbox(partition)) == ledger.outbox
        assert [told(entry.message) for entry in ledger.sent] == self._expected[key].told

    def _check_messages(self, partition: int, ledger: Ledger) -> None:
        """Every message is published or waits, and a consumer sees each move once, in order."""
        sent = [entry.message for entry in ledger.sent]
        reaching = self._topic[partition] + [entry.message for entry in ledger.outbox]
        assert set(sent) <= set(reaching)
        moves = consumed(reaching)
        for move in filter(None, map(moved, sent)):
            assert told_of(moves[move.customer_id][move.sequence - 1]) == told_of(move)

    def teardown(self) -> None:
        for owner in self._owners:
            self.run(owner.crash())
        self.run(self._server.close())
        self._runner.close()
