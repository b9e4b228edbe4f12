"""A seeded run of hostile records through decoding; `make fuzz` goes on from there."""

from collections import Counter
from random import Random

import pytest

from stream_app.contracts import RejectReason
from tests.builders import ARecord
from tests.fuzz.mutations import SEEDS, hostile
from tests.fuzz.oracle import judge

INPUTS = 30_000


@pytest.mark.parametrize("seed", range(4))
def test_any_record_becomes_an_event_within_the_limits_or_a_letter_that_says_why(seed: int) -> None:
    random = Random(seed)
    became: Counter[str] = Counter()

    for offset in range(INPUTS):
        topic, record = hostile(random, offset)
        try:
            became[judge(topic, record)] += 1
        except Exception as error:
            error.add_note(f"seed {seed}, input {offset}: {topic}, {str(record)[:2000]}")
            raise

    inner = {RejectReason.HANDLER_ERROR, RejectReason.GAP}
    assert set(became) == {"Order", "ProfileUpdate", "Erasure", *(set(RejectReason) - inner)}
    assert became.total() == INPUTS


def test_the_seeds_are_valid() -> None:
    found = {topic: judge(topic, ARecord(0, b"ann", value)) for topic, value in SEEDS.items()}

    assert list(found.values()) == ["Order", "ProfileUpdate"]
