"""The oracle of the soak on moves, letters, due times and models: no fault passes."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.builders import (
    a_snapshot,
)
from tests.evidence import left_behind, verdict
from tests.soak.reading import Evidence, Found


@pytest.fixture
async def evidence() -> Evidence:
    return await left_behind()


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
