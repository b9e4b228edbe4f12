"""The plots of the report, 900 pixels wide."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from tests.benchmarks.quality.results import Findings, Series

COLOURS = ("#0b6e99", "#d9730d", "#9b51e0", "#6b7280")
AREAS = (
    "#0b6e99",
    "#4aa3c7",
    "#a6d0e4",
    "#d9730d",
    "#f2b279",
    "#2f855a",
    "#8fcfa6",
    "#9b51e0",
    "#c9a7ee",
    "#6b7280",
    "#b3b8c2",
    "#b7791f",
    "#e8c77a",
    "#7f1d1d",
)
BAR = 1.05
REAL = ("complete-journey", "cdnow")


def draw(found: Findings, folder: Path) -> list[str]:
    """Write every plot there is something to show for; return the files' names."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, plot in PLOTS.items():
        figure = plot(found)
        if figure:
            figure.savefig(folder / f"{name}.png", dpi=100)
            written.append(f"{name}.png")
    return written


def _inertia(found: Findings) -> Figure | None:
    lines = [s for s in found.series if s.plot == "inertia"]
    if not lines:
        return None
    figure, axes = _figure("Inertia of the serving model ÷ batch optimum, by month", 2)
    for ax, data in zip(axes, REAL, strict=True):
        same = [line for line in lines if line.data == data]
        for colour, label in zip(COLOURS, _labels(same), strict=False):
            _band(ax, [line for line in same if line.label == label], label, colour, _day)
        ax.set_title(data, fontsize=10)
        ax.set_yscale("log")
        ax.set_yticks([1, 1.2, 1.5, 2, 3], ["1", "1.2", "1.5", "2", "3"])
        ax.minorticks_off()
        _dates(ax)
        _bar(ax)
    axes[0].set_ylabel("inertia ratio (log scale)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _recovery(found: Findings) -> Figure | None:
    lines = [s for s in found.series if s.plot == "recovery"]
    if not lines:
        return None
    figure, (ax,) = _figure("After the abrupt change", 1)
    for colour, label in zip((COLOURS[0], COLOURS[3]), _labels(lines), strict=False):
        _band(ax, [line for line in lines if line.label == label], label, colour, float)
    _bar(ax)
    ax.axvline(5000, color="#b91c1c", linewidth=0.8, linestyle=":")
    ax.set_xlabel("sampled vectors since the change")
    ax.set_ylabel("inertia ratio")
    ax.legend(frameon=False)
    return figure


def _sizes(found: Findings) -> Figure | None:
    lines = [s for s in found.series if s.plot == "sizes" and s.data == REAL[0]]
    lines = [line for line in lines if line.seed == min(s.seed for s in lines)]
    if not lines:
        return None
    figure, (ax,) = _figure(f"Customers by segment name, {REAL[0]}, seed {lines[0].seed}", 1)
    weeks = sorted({x for line in lines for x, _ in line.points})
    lines.sort(key=lambda line: -sum(y for _, y in line.points))
    heights = [[dict(line.points).get(week, 0.0) for week in weeks] for line in lines]
    labels = [line.label for line in lines]
    ax.stackplot([_day(week) for week in weeks], heights, labels=labels, colors=AREAS)
    ax.set_ylabel("customers")
    ax.margins(x=0, y=0)
    _dates(ax)
    handles, names = ax.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside right center", frameon=False)
    return figure


def _flapping(found: Findings) -> Figure | None:
    rows = [row for row in found.rows if row.row == "flapping"]
    if not rows:
        return None
    data = sorted({row.data for row in rows})
    figure, axes = _figure("Moves undone within 7 days, with and without hysteresis", 2)
    titles = ("moves undone within 7 days", "moves undone within 7 days, lapses counted too")
    for ax, title in zip(axes, titles, strict=True):
        margins = sorted({r.name.rsplit(" ", 1)[1] for r in rows}, reverse=True)
        for i, margin in enumerate(margins):
            values = [
                float(
                    np.median(
                        [
                            r.value
                            for r in rows
                            if r.data == d and r.name == f"{title}, margin {margin}"
                        ]
                    )
                )
                * 100
                for d in data
            ]
            at = np.arange(len(data)) + (i - 0.5) * 0.38
            drawn = ax.bar(
                at, values, 0.36, color=(COLOURS[0], COLOURS[3])[i], label=f"margin {margin}"
            )
            ax.bar_label(drawn, fmt="%.2f %%", fontsize=8, padding=2)
        ax.set_xticks(range(len(data)), [d.replace(", ", ",\n") for d in data], fontsize=8)
        ax.set_title(
            title.removeprefix("moves undone within 7 days, ").capitalize()
            if "lapses" in title
            else "Purchase, refund and profile moves",
            fontsize=10,
        )
        ax.margins(y=0.15)
    axes[0].set_ylabel("% of moves, median of the seeds")
    axes[0].legend(frameon=False)
    return figure


PLOTS: dict[str, Callable[[Findings], Figure | None]] = {
    "inertia": _inertia,
    "recovery": _recovery,
    "sizes": _sizes,
    "flapping": _flapping,
}


def _figure(title: str, columns: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    figure.suptitle(title, fontsize=12)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#e5e7eb", linewidth=0.8)
        ax.set_axisbelow(True)
    return figure, axes


def _band(
    ax: Axes, lines: Sequence[Series], label: str, colour: str, place: Callable[[float], float]
) -> None:
    """Median line of the seeds, and from the least to the greatest of them."""
    length = min(len(line.points) for line in lines)
    x = [place(point[0]) for point in lines[0].points[:length]]
    y = np.array([[ratio for _, ratio in line.points[:length]] for line in lines])
    ax.plot(x, np.median(y, axis=0), color=colour, label=label, linewidth=1.8)
    ax.fill_between(x, y.min(axis=0), y.max(axis=0), color=colour, alpha=0.15, linewidth=0)


def _labels(lines: Sequence[Series]) -> list[str]:
    return list(dict.fromkeys(line.label for line in lines))


def _bar(ax: Axes) -> None:
    ax.axhline(BAR, color="#b91c1c", linewidth=0.8, linestyle="--")


def _dates(ax: Axes) -> None:
    locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _day(ms: float) -> float:
    return float(date2num(datetime.fromtimestamp(ms / 1000, UTC)))  # type: ignore[no-untyped-call]
