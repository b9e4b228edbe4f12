"""The pure parts of the performance benchmark: sums, merging, the budget, the page."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.performance import budget
from tests.benchmarks.performance.plots import beside
from tests.benchmarks.performance.report import markdown, read, value, write
from tests.benchmarks.performance.results import Curve, Findings, Row, merged, percentile
from tests.benchmarks.performance.stage import Sample, speed
from tests.benchmarks.quality.results import Bar

FACTS = [("processor", "a fast one")]


def a_row(name: str = "throughput: this worker", **fields: object) -> Row:
    values = {"workload": "uniform", "broker": "embedded", "value": 1000.0, "unit": "events/s"}
    return Row(name, **(values | fields))  # type: ignore[arg-type]


def test_a_row_sums_up_runs_by_median_and_spread() -> None:
    row = Row.of("x", "uniform", "embedded", "s", [3.0, 1.0, 2.0], ratios=[9.0, 5.0, 7.0])

    assert (row.value, row.low, row.high, row.runs, row.ratio) == (2.0, 1.0, 3.0, 3, 7.0)


def test_a_single_run_has_no_spread() -> None:
    row = Row.of("x", "uniform", "embedded", "s", [3.0])

    assert (row.low, row.high) == (None, None)


@pytest.mark.parametrize(
    ("number", "ratio", "met"), [(25.0, None, True), (19.0, None, False), (19.0, 20.0, True)]
)
def test_a_bar_is_on_the_ratio_where_there_is_one(
    number: float, ratio: float | None, *, met: bool
) -> None:
    assert a_row(value=number, ratio=ratio, bar=Bar(">=", 20)).met is met


def test_a_row_without_a_bar_is_neither_met_nor_missed() -> None:
    assert a_row().met is None


def test_new_rows_replace_the_same_and_leave_the_others() -> None:
    old = [a_row(), a_row(broker="kafka"), a_row("CPU: bare loop")]

    rows = merged(old, [a_row(value=7.0), a_row(workload="zipf")])

    assert [(r.name, r.workload, r.broker, r.value) for r in rows] == [
        ("throughput: this worker", "uniform", "embedded", 7.0),
        ("throughput: this worker", "uniform", "kafka", 1000.0),
        ("CPU: bare loop", "uniform", "embedded", 1000.0),
        ("throughput: this worker", "zipf", "embedded", 1000.0),
    ]


def test_the_percentile_is_the_nearest_rank() -> None:
    values = [float(n) for n in range(1, 101)]

    assert [percentile(values, p) for p in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]


def test_speed_leaves_out_the_beginning_and_the_end() -> None:
    slow_ends = [(0.0, 0), (10.0, 100), (11.0, 500), (12.0, 900), (50.0, 1000)]
    samples = [Sample(at, done, at, 0) for at, done in slow_ends]

    assert speed(samples, 1000).rate == 400.0


def test_speed_of_a_run_between_two_looks_is_taken_from_the_look_before() -> None:
    samples = [Sample(0.0, 0, 0.0, 0), Sample(2.0, 1000, 1.0, 0)]

    assert speed(samples, 1000) == (500.0, 1000.0)


def test_the_innermost_frame_with_a_duty_decides() -> None:
    stack = [
        "Lane.run (stream_app/lane.py:100)",
        "Pipeline.process (stream_app/pipeline.py:98)",
        "RedisStore.load (stream_app/adapters/redis_store.py:130)",
        "Redis.execute_command (site-packages/redis/asyncio/client.py:9)",
    ]

    assert budget.duty_of(stack) == "read"


def test_scoring_for_the_sample_counts_as_the_sample() -> None:
    stack = ["Duties.sample (stream_app/duties.py:9)", "FeatureSet.vector (core/features.py:3)"]

    assert budget.duty_of(stack) == "sample for the trainer"


@pytest.mark.parametrize(
    ("frame", "duty"),
    [
        ("run_once (asyncio/base_events.py:1)", "framework"),
        ("_proc_fetch (site-packages/aiokafka/consumer/fetcher.py:1)", "Kafka client"),
        ("<module> (elsewhere.py:3)", "rest"),
    ],
)
def test_frames_outside_our_code_count_for_the_client_or_the_framework(
    frame: str, duty: str
) -> None:
    assert budget.duty_of(["main (x.py:1)", frame]) == duty


def test_a_budget_shares_the_whole_cost_of_an_event_out() -> None:
    counts = budget.reduced(
        [
            "run (stream_app/lane.py:1);fold_order (stream_app/core/folds.py:3) 30",
            "run (stream_app/lane.py:1);decode_purchase (stream_app/core/events.py:3) 10",
            "",
        ]
    )

    rows = budget.rows(counts, 8.0, "uniform", "embedded")

    assert [(r.name, r.value, r.ratio) for r in rows] == [
        ("budget: fold", 6.0, 0.75),
        ("budget: decode", 2.0, 0.25),
    ]


def test_a_row_survives_being_written_and_read(tmp_path: Path) -> None:
    rows = [a_row(ratio=21.5, bar=Bar(">=", 20), low=900.0, high=1100.0, runs=3, note="n")]

    write(Findings(rows), tmp_path)

    assert read(tmp_path / "performance.json") == rows


def test_a_second_run_adds_its_rows_to_the_report(tmp_path: Path) -> None:
    write(Findings([a_row()]), tmp_path)

    write(Findings([a_row(broker="kafka", value=2000.0)]), tmp_path)

    brokers = [row["broker"] for row in json.loads((tmp_path / "performance.json").read_text())]
    assert brokers == ["embedded", "kafka"]
    page = (tmp_path / "performance.md").read_text()
    assert "Apache Kafka | 2,000 events/s" in page


def beside_the(other: str, ratio: float, **fields: object) -> Row:
    return a_row(f"throughput: this worker ÷ {other}", ratio=ratio, **fields)


def test_the_chart_compares_what_was_measured_in_turn_on_one_broker() -> None:
    rows = [
        a_row("throughput: bare loop", value=9000.0),
        beside_the("bare loop", 0.5, workload="uniform, 20,000 customers"),
        beside_the("bare loop", 0.4, workload="uniform, 100,000 customers"),
        beside_the("bare loop", 0.25, workload="zipf"),
        beside_the("plain Faust worker", 10.0),
        beside_the("plain Faust worker", 20.0, broker="kafka"),
    ]

    assert beside(rows) == {"bare loop": 2.0, "plain Faust worker": 0.1}
    assert beside([]) == {}


def test_charts_are_drawn_and_shown(tmp_path: Path) -> None:
    curve = Curve("normal", "embedded", [1.0, 2.0, 3.0, 40.0])
    rows = [a_row(), beside_the("bare loop", 0.5), a_row("latency: p50", unit="ms")]

    write(Findings(rows, [curve]), tmp_path)

    page = (tmp_path / "performance.md").read_text()
    for name in ("throughput.png", "latency.png"):
        assert f"(performance/{name})" in page
        assert (tmp_path / "performance" / name).read_bytes().startswith(b"\x89PNG")


def test_a_bar_that_is_missed_is_marked_and_explained() -> None:
    bar = Bar(">=", 2000)
    rows = [a_row(bar=bar), a_row(workload="zipf", bar=bar)]
    rows.append(a_row("CPU: this worker", bar=Bar("<=", 5000)))
    reasons: dict[tuple[str, ...], str] = {
        ("throughput: this worker", "embedded"): "the store is the limit"
    }

    page = markdown(rows, (), FACTS, reasons)

    assert "| >= 2000 | **no** |" in page
    subject = "**throughput: this worker** (uniform, zipf; embedded broker)"
    assert f"- {subject}: the store is the limit" in page
    assert "Of 3 bars 1 are met." in page
    assert (
        "| throughput: this worker | >= 2000 | 0 of 2 (1,000 events/s – 1,000 events/s) |" in page
    )
    assert "| CPU: this worker | <= 5000 | 1 of 1 (1,000 events/s) |  |" in page


def test_the_page_names_the_machine() -> None:
    assert "| processor | a fast one |" in markdown([], (), FACTS)


def test_a_value_is_shown_with_its_spread_and_unit() -> None:
    row = a_row(value=54_321.4, low=50_000.2, high=60_000.0)

    assert value(row) == "54,321 (50,000 – 60,000) events/s"
