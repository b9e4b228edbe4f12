"""Writes ``performance.json``, ``performance.md`` and the charts."""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from tests.benchmarks.performance import budget, machine
from tests.benchmarks.performance.plots import draw
from tests.benchmarks.performance.reasons import WHY, Reasons, why
from tests.benchmarks.performance.results import BROKERS, Findings, Row, merged
from tests.benchmarks.quality.report import shown

TITLES = {
    "throughput": "Throughput",
    "CPU": "CPU",
    "latency": "Latency",
    "latency of the broker alone": "Latency of the broker alone",
    "budget": "Where a purchase's microseconds go",
    "": "Resources",
}
CHARTS = {
    "throughput": ("throughput.png", "events a second beside this worker, each in turn with it"),
    "latency": ("latency.png", "distribution of the latency"),
}
HEAD = """# Performance

Broker, store, producer, consumer, trainer and the worker under test share this machine. A value is
the median of several runs, in brackets the least and the greatest; without brackets it is one run.
All contenders take turns on the same broker and the same store. Other guests of the host are heard:
the same run may take 1.6 times as long an hour later, once it took three times, so compare rows of
one workload only; rows of other numbers of events, the peers, and the storms, are of other hours.
Where the normal latency of a row is itself hundreds of milliseconds, worker or broker was at its
limit before the storm, and that the storm did not double it says little. Rows of shops of 100,000
and more customers are of a worker with room for 50,000 in its cache, the default then; CPU, and the
five million events on the embedded broker, are of one with room for 40,000, the default now.

- *this worker*: `segmenter worker` with all it does, `segmenter trainer` beside it. It has worked
  off the beginning of the stream, a model serves and everybody has a segment. Then it is held
  (SIGSTOP) while the rest is put into the topic, and let go. Rate and CPU are taken from 10 % to
  90 % of that backlog, by the watermarks in the store.
- *plain Faust worker*: [plain_worker.py](../tests/benchmarks/performance/plain_worker.py), what one
  would write first: an agent, River's KMeans, Redis GET and SET for each event. It is timed on
  fewer events of the same topic, by the SET commands that the store counts.
- *bare loop*: [bare_loop.py](../tests/benchmarks/performance/bare_loop.py), the limit: the same
  decoding and the same reads and writes on the states that this worker stored, and as many messages
  through the outbox; without framework, cache, scoring, metrics, samples, publishing.
- *latency*: from a checkout's timestamp to its segment change at a listener, purchases sent on
  schedule whatever became of those before. A million customers are stored. At such rates they all
  become other customers within minutes, so the trainer learns but may not publish a model that
  moves anybody: what the walk of a model costs is measured by itself.
- *CPU as the shop grows, two workers*: without trainer and under one model, so that every system
  does the same work: with a model of its own each would move others, and a move costs as much as a
  purchase. As the shop grows everybody is stored before and few move; one worker and two begin with
  an empty shop, in which more than every second purchase moves the customer. They take twelve
  turns: the ratios of single turns went from 0.6 to 1.4. One worker beside a process that keeps the
  other core busy took 1.03 times as much as alone.
- *during lapses, during re-scoring*: the same traffic at a fifth of the rate, while 50,000 silent
  customers are due at one instant (on Apache Kafka three times, each time others), and while a new
  model is walked over all of them. Each is held against the twenty seconds before it.

Reproduce with `make bench`; `make bench ARGS=--help` tells how to run parts of it, the full sizes,
and Apache Kafka. Every row is in [performance.json](performance.json).
"""


def write(found: Findings, folder: Path) -> list[Row]:
    """Merge with the rows in a folder and write everything anew; return all rows."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "performance.json"
    rows = merged(read(place), found.rows)
    rows.sort(key=lambda row: (list(TITLES).index(_family(row)), row.broker))
    body = [row.as_json() | {"why": _why(row)} for row in rows]
    place.write_text(
        json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
    )
    draw(rows, found.curves, folder / "performance")
    charts = {path.name for path in (folder / "performance").glob("*.png")}
    (folder / "performance.md").write_text(markdown(rows, charts, machine.facts()), "utf-8")
    return rows


def read(place: Path) -> list[Row]:
    """Read the rows of an earlier run; none where there is none."""
    if not place.exists():
        return []
    plain = json.loads(place.read_text("utf-8"))
    return [Row.from_json({k: v for k, v in row.items() if k != "why"}) for row in plain]


def markdown(
    rows: Sequence[Row],
    charts: Iterable[str],
    facts: Sequence[tuple[str, str]],
    reasons: Reasons = WHY,
) -> str:
    """Compose the page."""
    charts = set(charts)
    parts = [HEAD, _verdict(rows), _machine(facts)]
    for family, members in groupby(rows, key=_family):
        group = list(members)
        parts.append(f"## {TITLES[family]}\n")
        picture, caption = CHARTS.get(family, ("", ""))
        if picture in charts:
            parts.append(f"![{caption}](performance/{picture})\n")
        parts.append(budget.table(group) if family == "budget" else table(group, reasons))
    return "\n".join(parts)


def table(rows: Iterable[Row], reasons: Reasons = WHY) -> str:
    """Rows as a table, and below it why bars are not met, each reason once."""
    lines = [
        "| what | workload | broker | value | ratio | bar | met |",
        "| --- | --- | --- | --: | --: | --- | --- |",
    ]
    missed: dict[str, list[Row]] = {}
    for row in rows:
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        name = f"{row.name} ({row.note})" if row.note else row.name
        bar = str(row.bar) if row.bar else ""
        cells = (name, row.workload, BROKERS[row.broker], value(row), ratio, bar, met)
        lines.append(f"| {' | '.join(cells)} |")
        if reason := _why(row, reasons):
            missed.setdefault(reason, []).append(row)
    said = [f"- {_subject(missing)}: {reason}" for reason, missing in missed.items()]
    return "\n".join([*lines, "", *said, *([""] if said else [])])


def _subject(rows: Sequence[Row]) -> str:
    """What the rows of one reason are about, each name, kind of workload and broker once."""
    names, kinds, brokers = (
        ", ".join(dict.fromkeys(texts))
        for texts in (
            [row.name for row in rows],
            [row.workload.partition(", ")[0] for row in rows],
            [BROKERS[row.broker] for row in rows],
        )
    )
    return f"**{names}** ({kinds}; {brokers})"


def value(row: Row) -> str:
    """A value with its spread and unit."""
    spread = ""
    if row.low is not None and row.high is not None:
        spread = f" ({_number(row.low)} – {_number(row.high)})"
    return f"{_number(row.value)}{spread} {row.unit}".rstrip()


def _number(found: float) -> str:
    """Whole numbers from a hundred on: no run repeats to the digit."""
    return shown(round(found) if abs(found) >= 100 else found)


def _family(row: Row) -> str:
    head = row.name.partition(":")[0]
    return head if head in TITLES else ""


def _why(row: Row, reasons: Reasons = WHY) -> str:
    return why(row.key, reasons) if row.met is False else ""


def _verdict(rows: Sequence[Row]) -> str:
    """How many bars are met, in all and by name and broker, with the least and the greatest."""
    barred = [row for row in rows if row.met is not None]
    met = sum(1 for row in barred if row.met)
    lines = [
        f"Of {len(barred)} bars {met} are met.\n",
        f"| what | bar | {' | '.join(BROKERS.values())} |",
        f"| --- | --- |{' --- |' * len(BROKERS)}",
    ]
    for name, bar in dict.fromkeys((row.name, str(row.bar)) for row in barred):
        cells = (_cell([r for r in barred if (r.name, r.broker) == (name, b)]) for b in BROKERS)
        lines.append(f"| {name} | {bar} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cell(rows: Sequence[Row]) -> str:
    """How many of these rows of the same bar are met, and what was measured."""
    if not rows:
        return ""
    found = [
        f"{_number(row.value)} {row.unit}".rstrip() if row.ratio is None else f"{row.ratio:.2f} ×"
        for row in sorted(rows, key=lambda row: row.value if row.ratio is None else row.ratio)
    ]
    spread = found[0] if len(found) == 1 else f"{found[0]} – {found[-1]}"
    return f"{sum(1 for row in rows if row.met)} of {len(rows)} ({spread})"


def _machine(facts: Sequence[tuple[str, str]]) -> str:
    lines = [f"| {what} | {found} |" for what, found in facts]
    return "\n".join(["## Machine and versions\n", "| what | |", "| --- | --- |", *lines, ""])
