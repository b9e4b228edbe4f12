"""Whatever comes in: an event within the documented limits or a refusal, and nobody else notices.

`tests/fuzz` draws the hostile records; hypothesis drives the draw, so what fails is made small.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from random import Random

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_app.adapters.memory_store import MemoryStore
from stream_app.contracts import RejectReason, SegmentChanged
from stream_app.core.events import Rejected, decode_profile, decode_purchase
from stream_app.core.letters import read_letter
from stream_app.core.turn import Rules
from stream_app.pipeline import Pipeline
from stream_app.session import Chunk
from tests.builders import (
    CHANGES,
    DEAD,
    FAR,
    FEATURES,
    LIMITS,
    PROFILES,
    PURCHASES,
    ARecord,
    a_profile_record,
    a_record,
    a_session,
    changes_in,
    serving,
)
from tests.fuzz.material import STAMPS
from tests.fuzz.mutations import Topical, hostile
from tests.fuzz.oracle import judge

GOOD = ("v1", "v2", "v3")
CHUNK = 7
DECODERS = {PURCHASES: decode_purchase, PROFILES: decode_profile}


@settings(max_examples=300)
@given(random=st.randoms(use_true_random=False))
def test_a_hostile_record_becomes_an_event_within_the_limits_or_a_letter(random: Random) -> None:
    judge(*hostile(random))


@settings(max_examples=500)
@given(
    topic=st.sampled_from((PURCHASES, PROFILES)),
    key=st.none() | st.binary(max_size=40),
    value=st.none() | st.binary(max_size=300),
    stamp=st.integers(-(2**63), 2**63 - 1),
)
@example(topic=PROFILES, key=b"ann", value=None, stamp=0)
def test_any_bytes_become_an_event_within_the_limits_or_a_letter(
    topic: str, key: bytes | None, value: bytes | None, stamp: int
) -> None:
    judge(topic, ARecord(0, key, value, stamp))


@pytest.mark.parametrize("stamp", STAMPS)
async def test_a_purchase_is_counted_whatever_kafka_says_of_its_publication(stamp: int) -> None:
    record = replace(a_record(customer="v1"), timestamp=stamp)

    run = await Run().take([(PURCHASES, record)])

    (move,) = run.moves
    assert (move.customer_id, move.source.offset) == ("v1", 0)
    assert (move.source.published_at is None) == (abs(stamp) > 10**14)
    assert not run.letters


class Run:
    """A stream through the real pipeline, in chunks; what it left behind."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        rules = Rules(FEATURES, event_clock=False, changes=CHANGES, dead_letters=DEAD)
        topics = (PURCHASES, PROFILES)
        self._pipeline = Pipeline(self.store, serving(), rules, LIMITS, topics)
        self.letters: Counter[tuple[object, ...]] = Counter()
        self.reasons: set[RejectReason] = set()
        self.moves: list[SegmentChanged] = []
        self.positions: dict[str, int] = {}

    async def take(self, stream: Sequence[Topical]) -> "Run":
        session = await a_session(self.store)
        for topic, chunk in chunks(stream):
            base, following = session.positions.get(topic, 0), chunk[-1].offset + 1
            outcome = await self._pipeline.process(
                session, Chunk(topic, 0, base, following, chunk), FAR
            )
            assert outcome.ok
            messages = [pending.message for pending in outcome.outbox]
            self.moves += changes_in(messages)
            for sent in (message for message in messages if message.topic == DEAD):
                letter = read_letter(ARecord(0, sent.key, sent.value, headers=sent.headers))
                assert letter is not None
                place = (letter.facts.topic, letter.facts.offset)
                self.letters[(*place, letter.key, letter.value, letter.headers)] += 1
                self.reasons.add(letter.facts.reason)
        self.positions = session.positions
        return self

    async def state(self, customers: Sequence[str]) -> tuple[list[bytes], list[dict[str, object]]]:
        """States, and the moves without the ids that all customers share."""
        states = await self.store.load(0, customers)
        moves = [m.model_dump(exclude={"id"}) for m in self.moves if m.customer_id in customers]
        return [msgspec.json.encode(state) for state in states], moves


def chunks(stream: Sequence[Topical]) -> list[tuple[str, list[ARecord]]]:
    """Consecutive records of one topic, a few at a time."""
    cut = []
    for (topic, _), group in groupby(enumerate(stream), lambda e: (e[1][0], e[0] // CHUNK)):
        cut.append((topic, [record for _, (_, record) in group]))
    return cut


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[list[Topical], list[Topical]]:
    """A stream, and of it the records of good customers, at the same offsets."""
    random = Random(draw(st.integers(0, 2**32)))
    offsets: Counter[str] = Counter()
    mixed: list[Topical] = []
    good: list[Topical] = []
    for n, bad in enumerate(draw(st.lists(st.booleans(), min_size=10, max_size=80))):
        topic, record = hostile(random) if bad else a_good_one(random, n)
        at = offsets[topic]
        offsets[topic] += 1
        mixed.append((topic, replace(record, offset=at)))
        good += [] if bad else [mixed[-1]]
    return mixed, good


def a_good_one(random: Random, n: int) -> Topical:
    customer, at = random.choice(GOOD), n / 10
    if random.random() < 0.2:
        return PROFILES, a_profile_record(0, customer, at, age=40, interests=["tea"])
    kind = random.choice(("purchase", "purchase", "refund"))
    return PURCHASES, a_record(0, customer, f"g{n}", at, type=kind, total=random.randint(1, 90))


@settings(max_examples=300)
@given(streams=mixtures())
def test_hostile_records_stop_nothing_and_reach_no_other_customer(
    streams: tuple[list[Topical], list[Topical]],
) -> None:
    asyncio.run(_stop_nothing(*streams))


async def _stop_nothing(mixed: list[Topical], good: list[Topical]) -> None:
    whole, alone = await Run().take(mixed), await Run().take(good)

    ends = Counter(topic for topic, _ in mixed)
    assert whole.positions == ends
    counts = await whole.store.counters(0)
    assert sum(counts.get(kind, 0) for kind in ("applied", "duplicate", "dead")) == len(mixed)
    assert await whole.state(GOOD) == await alone.state(GOOD)
    assert not alone.letters
    assert RejectReason.HANDLER_ERROR not in whole.reasons
    refused = [(t, r) for t, r in mixed if isinstance(DECODERS[t](r, LIMITS, FAR), Rejected)]
    assert counts.get("dead", 0) == len(refused) == whole.letters.total() == len(whole.letters)
    assert {letter[:2] for letter in whole.letters} == {(t, r.offset) for t, r in refused}
    small = [(t, r.offset, r.key, r.value, r.headers) for t, r in refused if is_small(r)]
    assert all(whole.letters[letter] == 1 for letter in small)


def is_small(record: ARecord) -> bool:
    """Far from where a dead letter must be cut."""
    headers = sum(len(value or b"") for _, value in record.headers)
    return headers + len(record.key or b"") + len(record.value or b"") < 900_000
