"""The oracle of the soak: content with what the product did, and with nothing else."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from stream_app.adapters.memory_store import MemoryStore
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
    a_snapshot,
    day,
)
from tests.soak.history import ErasureError, Terms
from tests.soak.oracle import Verdict, judge
from tests.soak.reading import Evidence, Found, Shelf, named

WALL = day(400)
TERMS = Terms(rates={"USD": 1.0, "EUR": 1.1})
BASKET = [
    {"sku": "a", "category": name, "quantity": 2, "unit_price": price}
    for price, name in enumerate(["tea", "coffee", "milk", "bread", "fish", "rice", "salt"], 1)
]
MORE = [{"category": name, "unit_price": 50} for name in ("wine", "beer", "soap")]


def sent() -> list[ARecord]:
    """Two customers, one of whom lapses and comes back; a duplicate, a late event, two bad."""
    return [
        a_record(0, event="a", channel="web", items=BASKET),
        a_record(1, "bob", event="b", currency="EUR", discount=1.5),
        a_record(2, at=2, event="c", items=MORE, channel="app"),
        a_record(3, at=2, event="c"),
        ARecord(4, b"ann", b"{"),
        a_record(5, "bob", at=100, event="d"),
        a_record(6, at=90, event="e", type="refund"),
        a_record(7, "bob", at=50, event="f"),
        ARecord(8, b"eve", a_record(0).value),
        a_record(9, at=101, event="g"),
    ]


def declared() -> list[ARecord]:
    return [
        a_profile_record(0, age=40, interests=["tea"], gender="female", marketing_consent=True),
        a_profile_record(1, at=-1, age=50),
        ARecord(2, b"ann", b"[]"),
    ]


@pytest.fixture
async def evidence() -> Evidence:
    """What a healthy product leaves behind, from the pipeline over the store in memory."""
    store = MemoryStore()
    pipeline, session = a_pipeline(store), await a_session(store)
    messages: list[Outgoing] = []
    for topic, records in ((PURCHASES, sent()), (PROFILES, declared())):
        outcome = await pipeline.process(session, a_chunk(*records, topic=topic), FAR)
        messages += [pending.message for pending in outcome.outbox]
    held = store._of(0)
    mark = {f"count:{name}": str(n) for name, n in held.counts.items()}
    mark |= {f"next:{topic}": str(at) for topic, at in held.positions.items()}
    shelf = Shelf(
        mark | {"clock": str(held.clock), "epoch": str(held.epoch)},
        {customer: named(msgspec.json.decode(state)) for customer, state in held.customers.items()},
        dict(held.due),
        0,
    )
    return Evidence(
        [Found(PURCHASES, 0, r.offset, r.key, r.value, r.headers) for r in sent()],
        [Found(PROFILES, 0, r.offset, r.key, r.value, r.headers) for r in declared()],
        published(CHANGES, messages),
        published(DEAD, messages),
        {0: shelf},
        a_snapshot().model_dump(mode="json"),
    )


def published(topic: str, messages: list[Outgoing]) -> list[Found]:
    ours = [m for m in messages if m.topic == topic]
    return [Found(topic, 0, i, m.key, m.value, m.headers) for i, m in enumerate(ours)]


def verdict(evidence: Evidence, *, rolled_back: bool = False) -> Verdict:
    return judge(evidence, TERMS, WALL, rolled_back=rolled_back)


def test_what_the_product_left_behind_is_right(evidence: Evidence) -> None:
    found = verdict(evidence)

    assert found.problems == []
    assert (found.records, found.customers, found.letters) == (13, 2, 3)
    assert found.moves > 4
    assert (found.lost, found.double, found.wrong_chains) == (0, 0, 0)


def ann(evidence: Evidence) -> dict[str, Any]:
    return evidence.shelves[0].customers["ann"]


def change_of(record: Found, **fields: Any) -> Found:
    """The same segment change with other fields."""
    body = json.loads(record.value or b"") | fields
    return record._replace(value=json.dumps(body).encode())


def letter_of(record: Found, **fields: bytes) -> Found:
    """The same dead letter with other headers."""
    own = {f"dlq-{name}": value for name, value in fields.items()}
    return record._replace(headers=[(name, own.get(name, value)) for name, value in record.headers])


def changes(evidence: Evidence) -> list[Found]:
    return evidence.changes  # type: ignore[return-value]


def letters(evidence: Evidence) -> list[Found]:
    return evidence.letters  # type: ignore[return-value]


Corruption = Callable[[Evidence], object]

FEATURES: dict[str, tuple[str, Any]] = {
    "orders": ("orders is 4, the input says 3", 4),
    "first": ("first is 1", 1),
    "last": ("last is 1", 1),
    "spend": ("spend is 60000001, the input says 60000000", 60_000_001),
    "lines": ("lines is 11", 11),
    "refunds": ("refunds is 2, the input says 1", 2),
    "refunded": ("refunded is 1", 1),
    "discount": ("discount is 1, the input says None", 1),
    "d_orders": ("d_orders is 1.5", 1.5),
    "d_spend": ("d_spend is 1.5", 1.5),
    "categories": ("categories is {'tea': 1.0}", {"tea": 1.0}),
    "sketch": ("sketch is 1", 1),
    "channels": ("channels is {'web': 2}", {"web": 2}),
    "ring": ("ring is 'abcdefgh'", "abcdefgh"),
    "profile": ("profile is {'updated': 1}", {"updated": 1}),
    "unheard_of": ("unheard_of is 1, the input says None", 1),
}


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_that_differs_is_told(evidence: Evidence, name: str) -> None:
    sentence, value = FEATURES[name]
    ann(evidence)[name] = value

    (problem,) = verdict(evidence).problems

    assert problem.startswith(f"ann: {sentence}")


def test_two_events_stored_in_the_other_order_are_told(evidence: Evidence) -> None:
    ring = ann(evidence)["ring"]
    ann(evidence)["ring"] = ring[6:12] + ring[:6] + ring[12:]

    assert [p.split(" is ")[0] for p in verdict(evidence).problems] == ["ann: ring"]


def test_a_lost_customer_and_one_too_many_are_counted(evidence: Evidence) -> None:
    customers = evidence.shelves[0].customers
    customers["joe"] = customers.pop("ann")

    found = verdict(evidence)

    assert (found.lost, found.double) == (4, 4)
    assert any(p.startswith("joe: orders is 3, the input says None") for p in found.problems)


MARKS: dict[str, tuple[str, str]] = {
    f"next:{PURCHASES}": ("9", "the watermark of purchases is 9, the topic ends at 10"),
    f"next:{PROFILES}": ("4", "the watermark of profiles is 4, the topic ends at 3"),
    "count:applied": ("7", "7 records counted as applied, the input has 8"),
    "count:duplicate": ("3", "3 records counted as duplicate, the input has 2"),
    "count:dead": ("2", "2 records counted as dead, the input has 3"),
    "clock": ("1", "the clock is 1, the latest event's time"),
    "count:segment:1": ("7", "segment sizes are counted as {"),
}


@pytest.mark.parametrize("name", MARKS)
def test_a_counter_that_differs_is_told(evidence: Evidence, name: str) -> None:
    value, sentence = MARKS[name]
    evidence.shelves[0].watermark[name] = value

    (problem,) = verdict(evidence).problems

    assert problem.startswith(f"partition 0: {sentence}")


def _no_change(evidence: Evidence) -> None:
    changes(evidence).pop(1)


def _other_start(evidence: Evidence) -> None:
    found = changes(evidence)
    last = json.loads(found[-1].value or b"")
    found[-1] = change_of(found[-1], previous=last["previous"] | {"id": 9})


def _other_end(evidence: Evidence) -> None:
    found = changes(evidence)
    found[-1] = change_of(found[-1], current={"id": 9, "name": "Nowhere"})


def _beyond(evidence: Evidence) -> None:
    found = changes(evidence)
    last = json.loads(found[-1].value or b"")
    more = {"sequence": last["sequence"] + 1, "previous": last["current"], "id": "0-9-9"}
    found.append(change_of(found[-1], **more))


def _too_late(evidence: Evidence) -> None:
    changes(evidence).append(change_of(changes(evidence)[0], id="0-0-99"))


def _wrong_key(evidence: Evidence) -> None:
    changes(evidence)[0] = changes(evidence)[0]._replace(key=b"joe")


def _tombstone(evidence: Evidence) -> None:
    changes(evidence).append(changes(evidence)[0]._replace(value=None))


def _unplaced(evidence: Evidence) -> None:
    evidence.changes = []
    for state in evidence.shelves[0].customers.values():
        for name in ("segment", "segment_name", "sequence"):
            state.pop(name)
    for name in list(evidence.shelves[0].watermark):
        if "segment:" in name:
            del evidence.shelves[0].watermark[name]


def _no_letter(evidence: Evidence) -> None:
    letters(evidence).pop()


def _letter_of_a_good_record(evidence: Evidence) -> None:
    letters(evidence).append(letter_of(letters(evidence)[0], offset=b"5"))


def _other_reason(evidence: Evidence) -> None:
    letters(evidence)[0] = letter_of(letters(evidence)[0], reason=b"too-old")


def _other_bytes(evidence: Evidence) -> None:
    letters(evidence)[0] = letters(evidence)[0]._replace(value=b"[")


def _no_facts(evidence: Evidence) -> None:
    letters(evidence)[0] = letters(evidence)[0]._replace(headers=())


def _left_in_the_outbox(evidence: Evidence) -> None:
    evidence.shelves[0].outbox = 2


def _due_differs(evidence: Evidence) -> None:
    evidence.shelves[0].due["bob"] += 1


def _not_due(evidence: Evidence) -> None:
    del evidence.shelves[0].due["bob"]


def _no_model(evidence: Evidence) -> None:
    evidence.model = None


CORRUPTIONS: dict[str, tuple[Corruption, str]] = {
    "a move is missing": (_no_change, "the store has counted"),
    "a move starts elsewhere": (_other_start, "starts from (9,"),
    "the last move leads elsewhere": (_other_end, "the last move leads to (9, 'Nowhere')"),
    "a move is not stored": (_beyond, "the store has counted"),
    "an unknown move comes too late": (_too_late, "came too late"),
    "a move has another key": (_wrong_key, "the key is b'joe'"),
    "a move is a tombstone": (_tombstone, "no segment change"),
    "nobody has a segment": (_unplaced, "has no segment although there is a model"),
    "a dead letter is missing": (_no_letter, "no dead letter of"),
    "a good record has a dead letter": (_letter_of_a_good_record, "which is a good record"),
    "a dead letter has another reason": (_other_reason, "says too-old, not not-json"),
    "a dead letter has other bytes": (_other_bytes, "has other bytes than its record"),
    "a dead letter says nothing": (_no_facts, "no dead letter: "),
    "the outbox is not empty": (_left_in_the_outbox, "2 messages are still in the outbox"),
    "a due time differs": (_due_differs, "due times of 1 customers differ, first bob"),
    "a due time is missing": (_not_due, "due times of 1 customers differ, first bob"),
    "there is no model": (_no_model, "no model was ever stored"),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_other_fault_is_told(evidence: Evidence, name: str) -> None:
    corrupt, sentence = CORRUPTIONS[name]
    corrupt(evidence)

    problems = verdict(evidence).problems

    assert any(sentence in problem for problem in problems), problems


def test_a_repeated_move_and_letter_are_counted_and_forgiven(evidence: Evidence) -> None:
    changes(evidence).append(changes(evidence)[0])
    letters(evidence).append(letters(evidence)[0])

    found = verdict(evidence)

    assert (found.problems, found.repeated) == ([], 2)


def test_a_move_of_forgotten_history_is_forgiven_only_after_a_rollback(evidence: Evidence) -> None:
    _beyond(evidence)
    evidence.shelves[0].watermark["epoch"] = "10"

    assert verdict(evidence, rolled_back=True).problems == []
    assert verdict(evidence).wrong_chains == 1


def test_a_move_decided_anew_takes_the_place_of_what_followed(evidence: Evidence) -> None:
    former = [change_of(c) for c in changes(evidence) if c.key == b"bob"]
    lost = [change_of(c, id=f"lost-{i}", epoch=0) for i, c in enumerate(former)]
    wrong = change_of(lost[-1], current={"id": 9, "name": "Forgotten"})
    evidence.changes = [*lost[:-1], wrong, *changes(evidence)]

    assert verdict(evidence, rolled_back=True).problems == []


def test_a_null_profile_is_beyond_the_oracle(evidence: Evidence) -> None:
    evidence.profiles = [Found(PROFILES, 0, 0, b"ann", None, ())]

    with pytest.raises(ErasureError):
        verdict(evidence)


def _model(**fields: Any) -> dict[str, Any]:
    return a_snapshot().model_dump(mode="json") | fields


SEGMENTS = a_snapshot().segments
CENTRES = a_snapshot().centres
MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "width": (_model(centres=[row[:-1] for row in CENTRES]), "rows of another width"),
    "ids": (
        _model(segments=[s.model_dump() | {"id": 1} for s in SEGMENTS]),
        "3 centres and the segments [1, 1, 1]",
    ),
    "number": (_model(centres=CENTRES[:2]), "2 centres and the segments [1, 2, 3]"),
    "reuse": (
        _model(training=a_snapshot().training.model_dump() | {"next_segment_id": 3}),
        "would give a segment id a second time",
    ),
    "shares": (
        _model(segments=[s.model_dump() | {"share": 0.3} for s in SEGMENTS]),
        "do not sum to 1",
    ),
    "finite": (_model(centres=[["Infinity", *CENTRES[0][1:]], *CENTRES[1:]]), "finite"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_makes_no_sense_is_told(evidence: Evidence, name: str) -> None:
    model, sentence = MODELS[name]

    (problem,) = verdict(replace(evidence, model=model)).problems

    assert sentence in problem
