"""A replay sends each record once, in order, at the wanted pace, and can be gone on with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from producers.position import Position, load_position
from producers.replay import ReplayOptions, Stop, Totals, replay
from producers.sources import Basket, BasketList, DatedBasket, Facts, SourceError, iso

FIRST = 1_704_067_200_000
GAP = 10_000
COUNT = 200


class NotDeliveredError(Exception):
    """What a sink raises when a flush fails."""


@dataclass
class Memory:
    """A sink that keeps what it gets; ``refuse_at`` fails the flush after so many records."""

    sent: list[str] = field(default_factory=list)
    flushed: list[int] = field(default_factory=list)
    refuse_at: int = 1_000_000

    def send(self, topic: str, key: str, value: bytes | None) -> None:
        assert value is not None
        body = msgspec.json.decode(value)
        assert (topic, key) == ("purchases", body["customer_id"])
        self.sent.append(body["event_id"])

    def flush(self) -> None:
        if len(self.sent) >= self.refuse_at:
            raise NotDeliveredError
        self.flushed.append(len(self.sent))


class Time(Stop):
    """A clock that only waiting moves, or ``per_reading`` seconds at each look."""

    def __init__(self, per_reading: float = 0.0) -> None:
        super().__init__()
        self.now, self.per_reading = 0.0, per_reading
        self.then: Callable[[], None] = lambda: None

    def clock(self) -> float:
        self.now += self.per_reading
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.then()


@pytest.fixture
def source() -> BasketList:
    """Events e0, e1 ... ten seconds apart."""
    dated = [
        DatedBasket(at, Basket(f"e{n}", f"c{n % 7}", iso(at), 1.0))
        for n in range(COUNT)
        for at in [FIRST + n * GAP]
    ]
    return BasketList(Facts("test", COUNT, 0, dated[0].at, dated[-1].at), dated)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "position.json"


def _run(source: BasketList, sink: Memory, options: ReplayOptions, time: Time) -> Totals:
    return replay(source, sink, options, stop=time, clock=time.clock)


def test_everything_is_sent_in_order_and_flushed(source: BasketList) -> None:
    sink = Memory()

    totals = replay(source, sink, ReplayOptions())

    assert sink.sent == [f"e{n}" for n in range(COUNT)]
    assert sink.flushed[-1] == totals.sent == totals.done == COUNT
    assert totals.at == source.facts.last
    assert not totals.stopped


def test_a_limit_ends_the_replay_early(source: BasketList) -> None:
    sink = Memory()

    assert replay(source, sink, ReplayOptions(limit=3)).sent == 3
    assert sink.sent == ["e0", "e1", "e2"]


@pytest.mark.parametrize("speed", [1.0, 10.0, 3_600.0])
def test_a_speed_stretches_or_shrinks_the_event_time(source: BasketList, speed: float) -> None:
    time = Time()

    totals = _run(source, Memory(), ReplayOptions(speed=speed), time)

    assert totals.seconds == pytest.approx((COUNT - 1) * GAP / 1000 / speed)


def test_full_speed_never_waits(source: BasketList) -> None:
    time = Time()

    _run(source, Memory(), ReplayOptions(), time)

    assert time.now == 0.0


def test_waiting_for_a_slow_replay_flushes_every_second(source: BasketList) -> None:
    sink, time = Memory(), Time()

    _run(source, sink, ReplayOptions(speed=1.0, limit=2), time)

    assert 9 <= len(sink.flushed) <= 12


def test_the_position_never_claims_what_was_not_flushed(source: BasketList, file: Path) -> None:
    sink, time = Memory(refuse_at=25), Time(per_reading=0.1)

    with pytest.raises(NotDeliveredError):
        _run(source, sink, ReplayOptions(position=file), time)

    found = load_position(file, source.facts)
    assert found is not None
    assert 0 < found.done == sink.flushed[-1] < 25 <= len(sink.sent)


def test_going_on_sends_the_rest_and_nothing_twice(source: BasketList, file: Path) -> None:
    first, second = Memory(), Memory()
    replay(source, first, ReplayOptions(limit=70, position=file))
    found = load_position(file, source.facts)
    assert found is not None

    totals = replay(source, second, ReplayOptions(start=found.done, position=file))

    assert first.sent + second.sent == [f"e{n}" for n in range(COUNT)]
    assert (totals.sent, totals.done) == (COUNT - 70, COUNT)
    assert load_position(file, source.facts) == Position(
        "test", COUNT, FIRST, source.facts.last, COUNT, source.facts.last
    )


def test_a_stop_ends_cleanly_with_the_position_saved(source: BasketList, file: Path) -> None:
    sink, time = Memory(), Time()
    time.then = lambda: time.request() if len(sink.sent) == 5 else None

    totals = _run(source, sink, ReplayOptions(speed=1.0, position=file), time)

    assert totals.stopped
    assert totals.done == len(sink.sent) == sink.flushed[-1] == 5
    found = load_position(file, source.facts)
    assert found is not None
    assert (found.done, found.at) == (5, totals.at)


def test_a_full_pipeline_holds_the_replay_back(source: BasketList) -> None:
    sink, time, asked = Memory(), Time(), [0]

    def backlog() -> int:
        asked[0] += 1
        return 1_000 if asked[0] < 10 else 0

    _run(source, sink, ReplayOptions(backlog=backlog, backlog_limit=500), time)

    assert len(sink.sent) == COUNT
    assert asked[0] == 10
    assert time.now == pytest.approx(0.9)


def test_a_stop_ends_the_wait_for_the_pipeline(source: BasketList) -> None:
    sink, time = Memory(), Time()
    time.then = time.request

    totals = _run(source, sink, ReplayOptions(backlog=lambda: 9, backlog_limit=5), time)

    assert totals.stopped
    assert not sink.sent


def test_progress_ends_at_the_last_record(source: BasketList) -> None:
    seen: list[tuple[int, int]] = []

    replay(source, Memory(), ReplayOptions(), progress=lambda sent, at: seen.append((sent, at)))

    assert seen[-1] == (COUNT, source.facts.last)


def test_a_position_of_another_source_is_refused(source: BasketList, file: Path) -> None:
    replay(source, Memory(), ReplayOptions(position=file))

    with pytest.raises(SourceError, match=r"is of test with 200 records, not of other with 3"):
        load_position(file, Facts("other", 3, 0, 0, 0))


def test_a_broken_position_file_is_refused(source: BasketList, file: Path) -> None:
    file.write_text("{}")

    with pytest.raises(SourceError, match="holds no replay position"):
        load_position(file, source.facts)


def test_without_a_position_file_there_is_nothing_to_go_on_from(file: Path) -> None:
    assert load_position(file, Facts("test", 1, 0, 0, 0)) is None


def test_a_real_stop_ends_its_wait() -> None:
    stop = Stop()
    stop.request()

    stop.wait(3_600)

    assert stop.requested
