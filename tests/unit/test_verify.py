import asyncio
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.sources import Record
from stream_app.adapters.memory_store import MemoryStore
from stream_app.contracts import SegmentRef
from stream_app.core.events import decode_purchase
from stream_app.core.folds import CustomerState, Order
from stream_app.core.model import Models
from stream_app.demo.verify import History, Verification, histories, verify
from stream_app.demo.watch import Link, Seen
from tests.builders import (
    FAR,
    FEATURES,
    LIMITS,
    PROFILES,
    PURCHASES,
    ARecord,
    a_chunk,
    a_pipeline,
    a_profile_record,
    a_record,
    a_session,
    changes_in,
    serving,
)

CUSTOMERS = ("ann", "bob", "cat")


@dataclass
class Run:
    """What a run leaves behind: the input's histories, the stored states, the published chains."""

    expected: dict[str, History]
    states: dict[str, CustomerState | None]
    chains: dict[str, dict[int, Link]]

    def verified(self, half_life: float = FEATURES.half_life_days) -> Verification:
        return verify(self.expected, self.states, self.chains, half_life)


def ran(records: list[ARecord], models: Models | None = None) -> Run:
    return asyncio.run(_ran(records, models))


async def _ran(records: list[ARecord], models: Models | None) -> Run:
    """Send records through the pipeline and watch what comes out."""
    store, seen = MemoryStore(), Seen()
    pipeline, session = a_pipeline(store, models), await a_session(store)
    for record in records:
        topic = PROFILES if _sent(record).kind == "profile" else PURCHASES
        one = replace(record, offset=session.positions.get(topic, 0))
        outcome = await pipeline.process(session, a_chunk(one, topic=topic), FAR)
        assert outcome.counts["dead"] == 0
        for change in changes_in([pending.message for pending in outcome.outbox]):
            seen.take(change, 0)
    expected = histories([_sent(record) for record in records], LIMITS.rates)
    states = dict(zip(expected, await store.load(0, list(expected)), strict=True))
    return Run(expected, states, seen.chains)


def _sent(record: ARecord) -> Record:
    value = record.value or b""
    kind = "profile" if b"updated_at" in value else "purchase"
    return Record(kind, (record.key or b"").decode(), 0, value)  # type: ignore[arg-type]


def a_busy_run() -> Run:
    items = [{"category": "tea", "unit_price": 4}, {"category": "jam", "unit_price": 2}]
    records = [
        a_record(0, items=items, channel="web", discount=1),
        a_record(1, at=30, total=7.77),
        a_record(2, at=20, type="refund", total=5),
        a_record(3, "bob", at=900),
        a_profile_record(0, attributes={"income": "50K"}, birth_year=1980, interests=["tea"]),
        a_record(4, at=901),
        a_record(4, at=901),
        *[a_record(10 + i, "bob", at=902) for i in range(17)],
        a_record(3, "bob", at=903),  # so long ago that it counts again
    ]
    return ran(records)


def test_an_honest_run_is_verified() -> None:
    verification = a_busy_run().verified()
    assert verification == Verification(customers=2, moves=7, problems=())
    assert verification.verified


@st.composite
def streams(draw: st.DrawFn) -> list[ARecord]:
    """Purchases and refunds of three customers, some late, some twice, up to 20 categories."""
    records = []
    for i in range(draw(st.integers(1, 40))):
        names = draw(st.lists(st.integers(0, 19), max_size=4))
        items = [{"category": f"c{n}", "unit_price": n + 1, "quantity": i % 3} for n in names]
        fields: dict[str, Any] = {
            "type": draw(st.sampled_from(["purchase", "purchase", "refund"])),
            "total": draw(st.integers(0, 10**6)) / 100,
            "discount": draw(st.integers(0, 10**4)) / 100,
            "items": items,
            "channel": draw(st.sampled_from([None, "web", "app"])),
        }
        event = f"e{draw(st.integers(0, 60))}"
        at = draw(st.integers(0, 5000)) / 10
        records.append(a_record(i, draw(st.sampled_from(CUSTOMERS)), event, at, **fields))
    return records


@settings(max_examples=60)
@given(streams(), st.sampled_from([serving, Models]))
def test_the_verification_agrees_with_the_pipeline(
    records: list[ARecord], models: Callable[[], Models]
) -> None:
    assert ran(records, models()).verified().problems == ()


def test_amounts_in_other_currencies_are_verified_to_the_micro() -> None:
    rates = {"EUR": 1.08345}
    for cents in range(100):
        record = a_record(currency="EUR", total=cents / 100)
        order = decode_purchase(record, replace(LIMITS, rates=rates), FAR)
        history = histories([_sent(record)], rates)["ann"]
        assert isinstance(order, Order)
        assert history.bought == [(order.at, order.total)]


@pytest.mark.parametrize(
    "record",
    [a_record(occurred_at="2026-01-01T12:00:00.000600Z"), a_record(channel=" web ")],
    ids=["microseconds", "padded-channel"],
)
def test_an_unusual_but_valid_purchase_is_no_false_alarm(record: ARecord) -> None:
    assert ran([record]).verified().problems == ()


def test_an_older_profile_that_arrives_late_is_no_false_alarm() -> None:
    profiles = [a_profile_record(n, at=9 - n, attributes={"n": str(n)}) for n in range(2)]
    assert ran([a_record(0), *profiles]).verified().problems == ()


def test_another_half_life_than_the_one_counted_with_is_told() -> None:
    run = ran([a_record(0), a_record(1, at=90)], Models())
    assert run.verified().problems == ()
    assert "decayed_orders" in " ".join(run.verified(half_life=0.5).problems)


@pytest.mark.parametrize(
    "name", ["orders", "first", "last", "spend", "discount", "lines", "refunds", "refunded"]
)
def test_one_number_that_is_off_by_one_is_found(name: str) -> None:
    for by in (1, -1):
        run = a_busy_run()
        _set(**{name: lambda x, by=by: x + by})(run.states["ann"])  # type: ignore[arg-type]

        (problem,) = run.verified().problems
        assert problem.startswith(f"ann: {name} is ")


def _set(**values: Any) -> Callable[[CustomerState], None]:
    """Change fields of a state; a callable makes the new value of the old one."""

    def tamper(state: CustomerState) -> None:
        for name, value in values.items():
            setattr(state, name, value(getattr(state, name)) if callable(value) else value)

    return tamper


def _profile(**values: Any) -> Callable[[CustomerState], None]:
    return _set(profile=lambda profile: msgspec.structs.replace(profile, **values))


@pytest.mark.parametrize(
    ("tamper", "problem"),
    [
        (_set(decayed_orders=lambda x: x + 0.01), "decayed_orders is"),
        (_set(decayed_spend=lambda x: x * 1.01), "decayed_spend is"),
        (_set(categories=lambda c: c | {"tea": c["tea"] + 1}), "categories is"),
        (_set(categories=lambda c: c | {"gin": 0}), "categories is"),
        (_set(channels={"web": 2}), "channels is"),
        (_set(segment=9), "the last move leads to"),
        (_set(segment_name="Lost"), "the last move leads to"),
        (_set(profile=None), "the profile differs"),
        (_profile(attributes={"income": "60K"}), "the profile differs"),
        (_profile(birth_year=1981), "the profile differs"),
        (_profile(interests=("gin",)), "the profile differs"),
        (_profile(gender="female"), "the profile differs"),
        (_profile(consent=True), "the profile differs"),
    ],
)
def test_a_state_that_was_tampered_with_is_found(
    tamper: Callable[[CustomerState], None], problem: str
) -> None:
    run = a_busy_run()
    tamper(run.states["ann"] or CustomerState())

    assert [p[: 5 + len(problem)] for p in run.verified().problems] == [f"ann: {problem}"]


def test_a_customer_who_is_missing_or_was_never_there_is_found() -> None:
    run = a_busy_run()
    run.states["bob"] = None
    run.chains["eve"] = deepcopy(run.chains["bob"])
    assert run.verified().problems == ("bob: not in the store", "eve: moves without an input")


def _link(sequence: int, segment: int, name: str) -> Callable[[dict[int, Link]], None]:
    """Let a move start from another segment."""
    previous = SegmentRef(id=segment, name=name)
    return lambda c: c.update({sequence: replace(c[sequence], previous=previous)})


@pytest.mark.parametrize(
    ("tamper", "problem"),
    [
        (lambda chain: chain.pop(2), "moves were published, the store has counted"),
        (lambda chain: chain.pop(max(chain)), "moves were published, the store has counted"),
        (lambda chain: chain.update({7: chain[6]}), "7 moves were published, the store has cou"),
        (dict.clear, "0 moves were published, the store has counted"),
        (_link(1, 3, "Gone"), "move 1 starts from"),
        (_link(2, 3, "Gone"), "move 2 starts from"),
        (_link(3, 2, "Another name"), "move 3 starts from"),
    ],
)
def test_a_chain_that_was_tampered_with_is_found(
    tamper: Callable[[dict[int, Link]], None], problem: str
) -> None:
    run = a_busy_run()
    assert len(run.chains["ann"]) == 6
    tamper(run.chains["ann"])

    (found,) = run.verified().problems
    assert "ann: " in found
    assert problem in found


def test_the_first_twenty_problems_are_shown() -> None:
    run = a_busy_run()
    run.expected |= {f"c{i}": History() for i in range(50)}
    assert len(run.verified().problems) == 20
