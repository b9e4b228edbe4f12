"""Results do not depend on how the records were cut into chunks, nor on when lapses are swept."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.adapters.memory_store import MemoryStore
from stream_app.contracts import Reason, SegmentChanged
from stream_app.core.folds import CustomerState
from stream_app.core.messages import Outgoing
from tests.builders import (
    CHANGES,
    DEAD,
    FAR,
    PROFILES,
    PURCHASES,
    ARecord,
    a_chunk,
    a_pipeline,
    a_profile_record,
    a_record,
    a_session,
    changes_in,
    day,
)

CUSTOMERS = ("ann", "bob", "cat")
LAST_DAY = 1500
Topical = tuple[str, ARecord]


@st.composite
def streams(draw: st.DrawFn) -> list[Topical]:
    """Both topics of one partition, interleaved: mostly in order, some late, doubled or broken."""
    records: list[Topical] = []
    offsets: Counter[str] = Counter()
    clock = 0
    for _ in range(draw(st.integers(1, 30))):
        clock += draw(st.sampled_from([0, 1, 1, 9, 40, 300]))
        at = draw(st.sampled_from([clock, clock, clock, max(0, clock - 15)]))
        kind = draw(st.sampled_from("pppppprdbeaa"))
        topic = PROFILES if kind in "ea" else PURCHASES
        record = a_made_up_record(draw, kind, offsets[topic], min(at, LAST_DAY))
        offsets[topic] += 1
        records.append((topic, record))
    return records


def a_made_up_record(draw: st.DrawFn, kind: str, offset: int, at: int) -> ARecord:
    customer = draw(st.sampled_from(CUSTOMERS))
    match kind:
        case "p" | "r":
            fields: dict[str, Any] = {"type": "refund"} if kind == "r" else {}
            fields["items"] = [{"category": draw(st.sampled_from("abc")), "unit_price": 3}]
            return a_record(offset, customer, at=at, total=draw(st.integers(0, 90)), **fields)
        case "d":
            return a_record(offset, customer, event=f"e{draw(st.integers(0, 5))}", at=at)
        case "b":
            return ARecord(offset, customer.encode(), draw(st.sampled_from([None, b"{", b"[]"])))
        case "e":
            return ARecord(offset, customer.encode(), None)
        case _:
            return a_profile_record(offset, customer, at=at, age=draw(st.integers(20, 70)))


@dataclass(frozen=True)
class Result:
    """Everything that must not depend on the cut."""

    states: list[bytes]
    counters: dict[str, int]
    messages: dict[bytes, list[object]]
    dead: list[Outgoing]


def comparable(messages: list[Outgoing]) -> list[object]:
    """A customer's messages without what tells when and by whom they were decided.

    Lapses right before a tombstone are left out: an erasure does not wait for those that are due,
    and the tombstone takes back the ones a sweep was quick enough to find.
    """
    kept: list[Any] = []
    for message in messages:
        while not message.value and kept and kept[-1] and kept[-1]["reason"] is Reason.LAPSE:
            kept.pop()
        kept += [told(m) for m in changes_in([message])] or [None]
    return kept


def told(move: SegmentChanged) -> dict[str, Any]:
    """A move as it must be told; the source only where a record caused it."""
    fields = move.model_dump(exclude={"emitted_at", "epoch", "id"})
    return fields | ({} if move.source.offset is not None else {"source": None})


async def ran(records: Sequence[Topical], cuts: set[int], sweeps: set[int]) -> Result:
    """Process the stream in chunks that end at the cuts, sweeping lapses after some records."""
    store = MemoryStore()
    pipeline, session = a_pipeline(store), await a_session(store)
    sent: list[Outgoing] = []
    part: list[ARecord] = []
    for i, (topic, record) in enumerate(records):
        part.append(record)
        ends = i + 1 == len(records) or records[i + 1][0] != topic
        if ends or i in cuts or i in sweeps:
            outcome = await pipeline.process(session, a_chunk(*part, topic=topic), FAR)
            sent += [pending.message for pending in outcome.outbox]
            part = []
        if i in sweeps or i + 1 == len(records):
            while lapsed := await pipeline.lapse(session, FAR):
                sent += [pending.message for pending in lapsed.outbox]
    return await result(store, sent)


async def result(store: MemoryStore, sent: list[Outgoing]) -> Result:
    states = await store.load(0, CUSTOMERS)
    assert sizes(states) == {
        k: v for k, v in (await store.counters(0)).items() if k.startswith("segment:") and v
    }
    ids = [move.id for move in changes_in(sent)]
    assert len(set(ids)) == len(ids)
    by_customer = {
        c.encode(): comparable([m for m in sent if m.topic == CHANGES and m.key == c.encode()])
        for c in CUSTOMERS
    }
    dead = [m for m in sent if m.topic == DEAD]
    counters = {k: v for k, v in (await store.counters(0)).items() if v}
    encoded = [msgspec.json.encode(s) for s in states]
    return Result(encoded, counters, by_customer, dead)


def sizes(states: Sequence[CustomerState | None]) -> dict[str, int]:
    """The segment sizes as the states say."""
    return dict(Counter(f"segment:{s.segment}" for s in states if s and s.segment))


@settings(max_examples=150)
@given(
    records=streams(),
    one=st.tuples(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30), max_size=4)),
    other=st.tuples(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30), max_size=4)),
)
def test_any_two_cuts_of_a_stream_give_the_same_states_counters_and_moves(
    records: list[Topical],
    one: tuple[set[int], set[int]],
    other: tuple[set[int], set[int]],
) -> None:
    assert asyncio.run(ran(records, *one)) == asyncio.run(ran(records, *other))


@given(records=streams())
def test_every_chain_of_moves_is_whole(records: list[Topical]) -> None:
    outcome = asyncio.run(ran(records, set(), set()))

    for moves in outcome.messages.values():
        sequence, former = 0, None
        for move in moves:
            if move is None:
                sequence, former = 0, None
                continue
            assert isinstance(move, dict)
            assert (move["sequence"], move["previous"]) == (sequence + 1, former)
            assert move["current"] != former
            sequence, former = move["sequence"], move["current"]


def test_the_streams_hold_what_they_are_meant_to_hold() -> None:
    stream = [
        (PURCHASES, a_record(0)),
        (PURCHASES, a_record(1, "bob", at=1000)),
        (PURCHASES, a_record(2, at=1001)),
    ]
    outcome = asyncio.run(ran(stream, set(), set()))

    reasons = [m["reason"] for m in outcome.messages[b"ann"] if isinstance(m, dict)]
    assert reasons == ["initial", "lapse", "lapse", "purchase"]
    assert outcome.counters["clock"] == day(1001)
