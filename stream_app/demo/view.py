"""The live view in the terminal: event clock, speed, segments, and the last moves in words."""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stream_app.core.events import to_datetime
from stream_app.core.folds import DAY_MS
from stream_app.demo.report import segments
from stream_app.demo.watch import Seen
from stream_app.words import days, describe, number

SPARKS = "▁▂▃▄▅▆▇█"
SPARK_CHARS = 16
TREND_DAYS = 30
RECENT_LATENCIES = 2000
REASON_STYLES = {"lapse": "yellow", "model": "dim", "purchase": "green", "initial": "cyan"}


@dataclass(slots=True)
class Progress:
    """How far the run is."""

    source: str
    total: int
    sent: int = 0
    rate: float = 0.0
    note: str = "starting"
    hint: str = ""


def render(seen: Seen, progress: Progress, height: int) -> RenderableType:
    """Draw everything on a screen of ``height`` lines."""
    rows = len(seen.model.segments) if seen.model else 1
    layout = Layout()
    layout.split_column(
        Layout(_head(seen, progress), size=5),
        Layout(_segments(seen), size=rows + 5),
        Layout(_moves(seen, max(3, height - rows - 12))),
    )
    return layout


def _head(seen: Seen, progress: Progress) -> RenderableType:
    overview = seen.overview
    clock = f"{to_datetime(overview.clock):%a %d %b %Y}" if overview.clock else "–"
    facts = (
        ("event clock", clock),
        ("events", f"{overview.records:,} of {progress.total:,}"),
        ("events/s", f"{progress.rate:,.0f}"),
        ("lag", f"{max(0, progress.sent - overview.records):,}"),
        ("latency p50 / p99", f"{_ms(seen, 0.5)} / {_ms(seen, 0.99)}"),
        ("model", f"version {seen.model.version}" if seen.model else "warming up"),
    )
    table = Table.grid(padding=(0, 3), expand=True)
    for _ in facts:
        table.add_column(no_wrap=True)
    table.add_row(*(Text(name, style="dim") for name, _ in facts))
    table.add_row(*(Text(value, style="bold") for _, value in facts))
    bar = ProgressBar(total=max(1, progress.total), completed=overview.records)
    title = f"{progress.source} · {progress.note}"
    return Panel(Group(table, bar), title=title, title_align="left", subtitle=progress.hint or None)


def _ms(seen: Seen, quantile: float) -> str:
    seconds = seen.latency(quantile, RECENT_LATENCIES)
    return "–" if seconds != seconds else f"{1000 * seconds:,.0f} ms"  # noqa: PLR0124


def _segments(seen: Seen) -> RenderableType:
    table = Table(expand=True, box=None, header_style="dim")
    table.add_column("segment", no_wrap=True)
    for name in ("customers", "share", f"{TREND_DAYS} days"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("so far", no_wrap=True)
    for name in ("last order", "orders*", "spend*", "basket", "every"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in segments(seen):
        profile = row["profile"]
        table.add_row(
            Text(row["name"], style="bold"),
            f"{row['customers']:,}",
            f"{row['share']:.0%}",
            _trend(seen, row["id"]),
            _spark(seen, row["id"]),
            f"{days(profile['recency_days'])} ago",
            number("decayed_orders", profile["decayed_orders"]),
            number("decayed_spend", profile["decayed_spend"]),
            number("average_basket", profile["average_basket"]),
            days(profile["mean_gap_days"]),
        )
    caption = "typical customer of each segment; * recent, older ones fade"
    if seen.model is None:
        caption = "warming up: no segments before enough customers and history are known"
    return Panel(table, title="segments", title_align="left", subtitle=caption)


def _trend(seen: Seen, segment: int) -> Text:
    """Change of a segment's size over the last 30 event days."""
    since = seen.overview.clock - TREND_DAYS * DAY_MS
    before = next((sizes for clock, sizes in seen.history if clock >= since), {})
    change = seen.overview.sizes.get(segment, 0) - before.get(segment, 0)
    style = "green" if change > 0 else "red" if change < 0 else "dim"
    return Text(f"{change:+,}", style=style)


def _spark(seen: Seen, segment: int) -> str:
    """Size over the whole run, scaled to its own greatest value."""
    sizes = [point.get(segment, 0) for _, point in seen.history]
    step = max(1, len(sizes) // SPARK_CHARS)
    shown = sizes[::-step][:SPARK_CHARS][::-1]
    top = max(shown, default=0) or 1
    return "".join(SPARKS[min(7, size * 8 // (top + 1))] for size in shown)


def _moves(seen: Seen, lines: int) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for width in (6, 8, None):
        table.add_column(no_wrap=True, overflow="ellipsis", min_width=width)
    for change in list(seen.recent)[-lines:][::-1]:
        reason = change.reason.value
        model = seen.models.get(change.model_version)
        table.add_row(
            Text(f"{change.occurred_at:%d %b}", style="dim"),
            Text(reason, style=REASON_STYLES.get(reason, "")),
            Text(describe(change, model)),
        )
    counts = " · ".join(f"{n:,} {reason.value}" for reason, n in seen.reasons.most_common())
    return Panel(table, title="last moves", title_align="left", subtitle=counts or None)
