"""Where a purchase's microseconds go: stacks of the profiler reduced to a few duties."""

from collections.abc import Iterable, Mapping, Sequence

from tests.benchmarks.performance.results import Row

PREFIX = "budget: "
OTHER = "rest"
WHOLE: Mapping[str, Sequence[str]] = {  # all that happens below these is theirs
    "sample for the trainer": ("duties.py:Duties.sample",),
    "re-scoring": ("duties.py:Duties.rescore",),
    "lapses": ("duties.py:Duties.lapse",),
}
DUTIES: Mapping[str, Sequence[str]] = {
    "decode": ("core/events.py:decode_", "core/reading.py", "pipeline.py:Pipeline._decode"),
    "fold": ("core/folds.py",),
    "score": (
        "core/model.py",
        "core/features.py",
        "core/scoring.py",
        "core/transitions.py",
        "core/turn.py",
    ),
    "read": ("redis_store.py:RedisStore.load",),
    "apply": ("redis_store.py:RedisStore.apply", "redis_forms.py"),
    "publish": (
        *("kafka_publisher.py", "core/messages.py", "aiokafka/producer", "Session.enqueue"),
        *("redis_store.py:RedisStore.trim", "lane.py:Lane._send"),
    ),
    "metrics": ("adapters/metrics.py", "prometheus_client"),
    "pipeline": (
        *("stream_app/pipeline.py", "stream_app/lane", "stream_app/session.py"),
        "stream_app/intake.py",
    ),
}
CLIENTS: Mapping[str, Sequence[str]] = {  # where no duty of ours is on the stack
    "store client": ("/redis/", "hiredis"),
    "Kafka client": ("aiokafka", "kafka_transport.py"),
    "framework": ("faust", "/mode/", "asyncio", "uvloop"),
}


def duty_of(stack: Sequence[str]) -> str:
    """Name the duty of a stack, outermost frame first.

    That of a whole duty on it; else that of the innermost frame that has one.

    >>> duty_of(["Lane._chunk (stream_app/lane.py:9)", "fold_order (stream_app/core/folds.py:4)"])
    'fold'
    """
    places = [_place(frame) for frame in reversed(stack)]
    for duties in (WHOLE, DUTIES, CLIENTS):
        for place in places:
            for duty, marks in duties.items():
                if any(mark in place for mark in marks):
                    return duty
    return OTHER


def _place(frame: str) -> str:
    """Write ``function (file:line)`` as ``file:function``.

    >>> _place("RedisStore.load (stream_app/adapters/redis_store.py:120)")
    'stream_app/adapters/redis_store.py:RedisStore.load'
    """
    function, _, rest = frame.rpartition(" (")
    file, _, line = rest.rstrip(")").rpartition(":")
    return f"{file if line.isdigit() else rest.rstrip(')')}:{function}"


def reduced(lines: Iterable[str]) -> dict[str, int]:
    """Count the samples of each duty in py-spy's raw format, ``frame;frame;frame count``.

    >>> reduced(["a (core/folds.py:1) 2", "a (x.py:1);b (core/folds.py:9) 1"])
    {'fold': 3}
    """
    found: dict[str, int] = {}
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        if stack and count.isdigit():
            duty = duty_of(stack.split(";"))
            found[duty] = found.get(duty, 0) + int(count)
    return found


def rows(counts: Mapping[str, int], micros: float, workload: str, broker: str) -> list[Row]:
    """Share ``micros`` of CPU an event out among the duties, the dearest first."""
    total = sum(counts.values())
    dearest = sorted(counts.items(), key=lambda pair: -pair[1])
    return [
        Row(PREFIX + duty, workload, broker, micros * count / total, "µs", count / total)
        for duty, count in dearest
    ]


def table(found: Sequence[Row]) -> str:
    """Write the budget as a table."""
    lines = [
        "| duty | workload | broker | µs per event | share |",
        "| --- | --- | --- | --: | --: |",
    ]
    lines += [
        f"| {row.name.removeprefix(PREFIX)} | {row.workload} | {row.broker} | {row.value:.1f} | "
        f"{row.ratio or 0:.0%} |"
        for row in found
    ]
    return "\n".join([*lines, ""])
