"""The charts, 900 pixels wide."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks.performance.results import BROKERS, Curve, Row, percentile

OURS = "this worker"
BESIDE = f"throughput: {OURS} ÷ "
COLOURS = {OURS: "#0b6e99", "bare loop": "#b3b8c2"}
OTHERS = "#d9730d"
LINES = ("#0b6e99", "#d9730d", "#9b51e0", "#6b7280")
ALONE = "alone"  # in the label of what is not us


def draw(rows: Sequence[Row], curves: Sequence[Curve], folder: Path) -> None:
    """Write each chart there is something to show for."""
    folder.mkdir(parents=True, exist_ok=True)
    if others := beside(rows):
        _speeds(others).savefig(folder / "throughput.png", dpi=100)
    if curves:
        _latencies(curves).savefig(folder / "latency.png", dpi=100)


def beside(rows: Sequence[Row]) -> dict[str, float]:
    """How many times as fast as this worker the others are, with even customers.

    Of one broker and the first of several sizes. Each was measured in turn with this worker: rates
    of different hours can't stand in one chart.
    """
    found = [r for r in rows if r.name.startswith(BESIDE) and r.workload.startswith("uniform")]
    broker = min((row.broker for row in found), default="")
    ratios = {r.name: r.ratio for r in reversed(found) if r.broker == broker and r.ratio}
    return {name.removeprefix(BESIDE): 1 / ratio for name, ratio in ratios.items()}


def _speeds(others: Mapping[str, float]) -> Figure:
    """How many times as fast as this worker each is, the fastest at the top."""
    speeds = sorted([*others.items(), (OURS, 1.0)], key=lambda pair: pair[1])
    names, values = [name for name, _ in speeds], [speed for _, speed in speeds]
    title = "Events a second beside this worker, each in turn with it on the same machine"
    figure, ax = _figure(title, 0.9 + 0.8 * len(names))
    bars = ax.barh(names, values, 0.62, color=[COLOURS.get(name, OTHERS) for name in names])
    ax.bar_label(bars, [f"{value:.2g} ×" for value in values], padding=6)
    ax.margins(x=0.14)
    ax.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    ax.xaxis.set_major_formatter("{x:g} ×")
    return figure


def _latencies(curves: Sequence[Curve]) -> Figure:
    """Share of the events that took longer, over the latency, both in decades; of one broker.

    A colour for each rate, the last words of a label.
    """
    broker = BROKERS[curves[0].broker]
    figure, ax = _figure(f"From checkout to the segment change being readable, {broker}", 4.8)
    rates = list(dict.fromkeys(curve.label.rpartition(", ")[2] for curve in curves))
    for curve in curves:
        colour = LINES[rates.index(curve.label.rpartition(", ")[2]) % len(LINES)]
        style = "--" if ALONE in curve.label else "-"
        values = sorted(curve.values)
        beyond = 1 - np.arange(len(values)) / len(values)
        p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
        name = curve.label.removeprefix("latency, ").removeprefix("latency of the ")
        label = f"{name}: p50 {p50:,.0f} ms, p99 {p99:,.0f} ms"
        ax.plot(np.maximum(values, 0.5), 100 * beyond, style, color=colour, label=label, lw=1.8)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("ms")
    ax.set_ylabel("% of the changes that took longer")
    ax.xaxis.set_major_formatter("{x:,g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.grid(color="#e5e7eb", linewidth=0.8)
    figure.legend(frameon=False, loc="outside lower left", ncols=2, fontsize=9)
    return figure


def _figure(title: str, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, height), layout="constrained")
    ax = figure.add_subplot()
    ax.set_title(title, fontsize=12)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    return figure, ax
