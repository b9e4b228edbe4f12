"""Dead letters are sent back once after a repair, or put aside."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from aiokafka import ConsumerRecord

from producers.checkout import CheckoutPublisher
from stream_app.adapters.dead_letters import letter_box
from stream_app.adapters.kafka_topics import ensure_topics
from stream_app.adapters.letter_marks import Deed, Mark, letter_marks
from stream_app.config import ClockMode, Settings
from stream_app.contracts import RejectReason
from stream_app.core.events import Rejected
from stream_app.core.messages import MAX_DEAD_LETTER_BYTES
from stream_app.demo.system import running
from tests.builders import purchase_json
from tests.harness import asking, read_topic, small_settings, until
from tests.letters import NOW, a_refusal, command, fill, in_pounds, letter, listed, publish, states

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(broker: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    found = small_settings(broker, redis_url, unique("letters"), clock=ClockMode.WALL)
    asyncio.run(ensure_topics(found))
    return found


def purchases(settings: Settings, count: int) -> list[ConsumerRecord]:
    return asyncio.run(read_topic(settings, settings.topic_purchases, count))


def test_a_dry_run_tells_what_would_happen_and_changes_nothing(settings: Settings) -> None:
    fill(settings)
    repaired = settings.model_copy(update={"rates": {"GBP": 1.3}})

    before = command(settings, "replay", "--all", "--dry-run")
    after = command(repaired, "replay", "--all", "--dry-run")

    assert before.exit_code == after.exit_code == 0
    assert "4 chosen: 3 unknown-currency, 1 not-json" in before.stderr
    assert "would be refused again: 3 unknown-currency, 1 not-json" in before.stderr
    assert "would be refused again: 1 not-json" in after.stderr
    assert set(states(settings).values()) == {"open"}


def test_a_replay_sends_the_original_record_once_and_names_its_letter(settings: Settings) -> None:
    fill(settings)

    first = command(settings, "replay", "--reason", "unknown-currency", "--yes")
    second = command(settings, "replay", "--reason", "unknown-currency", "--yes")
    other = command(settings, "replay", letter(settings, 0))

    assert "3 sent back" in first.stderr
    assert "3 handled before" in second.stderr
    assert "sent back" not in second.stderr
    assert other.exit_code == 0
    found = {record.key: record for record in purchases(settings, 4)}
    assert found.keys() == {b"c0", b"c1", b"c2", b"c3"}
    assert found[b"c2"].value == in_pounds(2)
    assert found[b"c2"].headers == (
        ("trace", b"\x00\xff"),
        ("replayed-from", letter(settings, 2).encode()),
    )
    assert set(states(settings).values()) == {"replayed"}


def test_again_sends_what_was_sent_before(settings: Settings) -> None:
    fill(settings)
    command(settings, "replay", letter(settings, 1))

    answer = command(settings, "replay", letter(settings, 1), "--again", "--yes")

    assert "1 sent back" in answer.stderr
    assert [record.key for record in purchases(settings, 2)] == [b"c1", b"c1"]


def test_more_than_one_letter_is_sent_or_discarded_only_after_a_yes(settings: Settings) -> None:
    fill(settings)

    for words in (["replay", "--all"], ["discard", letter(settings, 1)]):
        declined = command(settings, *words, answer="n\n")
        assert declined.exit_code == 1
    assert set(states(settings).values()) == {"open"}

    assert "1 discarded" in command(settings, "discard", letter(settings, 1), answer="y\n").stderr
    assert states(settings)[letter(settings, 1)] == "discarded"


def test_what_was_discarded_is_left_out_of_a_replay_of_all(settings: Settings) -> None:
    fill(settings)
    command(settings, "discard", "--reason", "not-json", "--yes")

    answer = command(settings, "replay", "--all", "--yes")

    assert "3 sent back" in answer.stderr
    assert "1 handled before" in answer.stderr
    assert {record.key for record in purchases(settings, 3)} == {b"c1", b"c2", b"c3"}


@pytest.mark.parametrize("words", [[], ["x", "--all"], ["x", "--since", "2h"], ["--since", "2h"]])
def test_a_replay_needs_to_be_told_what(settings: Settings, words: list[str]) -> None:
    answer = command(settings, "replay", *words)

    assert answer.exit_code == 2
    assert "either ids, or --reason R, or" in answer.stderr


def test_a_cut_letter_is_left_out_with_the_reason_and_the_others_are_sent(
    settings: Settings,
) -> None:
    huge = Rejected(RejectReason.TOO_LARGE, "960,001 bytes")
    cut = a_refusal(settings, 9, huge, b"x" * (MAX_DEAD_LETTER_BYTES + 1))
    fill(settings)
    publish(settings, cut)

    answer = command(settings, "replay", "--all", "--yes")

    assert answer.exit_code == 1
    assert f"left out: {letter(settings, 9)}: its value was cut" in answer.stderr
    assert "4 sent back" in answer.stderr
    assert states(settings)[letter(settings, 9)] == "open"


def test_of_two_operators_at_once_one_sends(settings: Settings) -> None:
    fill(settings)
    before = listed(settings)["letters"]
    marks = asyncio.run(_claim_one(settings))

    answer = command(settings, "replay", "--reason", "unknown-currency", "--yes")

    assert len(before) == 4
    assert "2 sent back" in answer.stderr
    assert states(settings)[marks] == "sending"
    assert {record.key for record in purchases(settings, 2)} == {b"c1", b"c3"}


async def _claim_one(settings: Settings) -> str:
    """Be the other operator, who has just begun to send letter 2; a second claim must fail."""
    async with letter_box(settings) as box:
        (mine,) = [x async for x in box.letters() if x.offset == 2]
        mark = Mark(Deed.SENDING, NOW)
        assert await box.marks.claim([mine.mark], mark) == [True]
        assert await box.marks.claim([mine.mark], mark) == [False]
        assert await box.replay({mine.mark}) == 0
    return mine.id


def test_marks_of_letters_that_are_gone_are_forgotten_after_a_day(settings: Settings) -> None:
    fill(settings)

    async def mark(name: str, days_ago: float) -> None:
        async with letter_marks(settings) as marks:
            await marks.put([name], Mark(Deed.REPLAYED, NOW - timedelta(days=days_ago)))

    async def name_of(offset: int) -> str:
        async with letter_box(settings) as box:
            (found,) = [x.mark async for x in box.letters() if x.offset == offset]
        return found

    async def left() -> set[str]:
        async with letter_marks(settings) as marks:
            return {name.split(":")[0] for name in await marks.all()}

    asyncio.run(mark("long-gone:1", 2))
    asyncio.run(mark("just-come:1", 0.5))
    asyncio.run(mark(asyncio.run(name_of(2)), 2))

    command(settings, "discard", letter(settings, 1), "--yes")

    assert asyncio.run(left()) == {"just-come", letter(settings, 1), letter(settings, 2)}


async def test_after_the_repair_refused_purchases_are_counted(settings: Settings) -> None:
    with running(settings, workers=1):
        with CheckoutPublisher(
            settings.kafka_broker, topic_purchases=settings.topic_purchases, idempotence=False
        ) as shop:
            for n in range(20):
                value = purchase_json(f"c{n}", f"e{n}", currency="GBP" if n % 2 else "USD")
                shop.send(settings.topic_purchases, f"c{n}", value)
        await read_topic(settings, settings.topic_dead_letters, 10)

    repaired = settings.model_copy(update={"rates": {"GBP": 1.25}})
    words = ("replay", "--reason", "unknown-currency", "--yes")
    answer = await asyncio.to_thread(command, repaired, *words)
    again = await asyncio.to_thread(command, repaired, *words)

    assert "10 sent back" in answer.stderr
    assert "would be refused" not in answer.stderr
    assert "nothing to do" in again.stderr
    with running(repaired, workers=1):
        async with asking(repaired) as (queries, _):

            async def counted() -> bool:
                return (await queries.overview()).records == 30

            await until(counted, "the replayed purchases are counted")
            found = await queries.states([f"c{n}" for n in range(20)])
            counts = (await queries.overview()).counts
    assert [state.orders for state in found.values() if state] == [1] * 20
    assert found["c1"] is not None
    assert found["c1"].spend == 25_000_000
    assert (counts["applied"], counts["dead"]) == (20, 10)
