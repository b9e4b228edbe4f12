"""Rows of the quality report are met or missed, and the replay under it is the whole path."""

import json
from dataclasses import replace
from math import inf
from pathlib import Path

from producers.simulate import ShopConfig, Simulation
from stream_app.config import Settings
from tests.benchmarks.quality.inertia import Inertia
from tests.benchmarks.quality.moves import Drivers
from tests.benchmarks.quality.replay import Replay
from tests.benchmarks.quality.report import markdown, write
from tests.benchmarks.quality.results import Bar, Findings, Row, summaries
from tests.benchmarks.quality.shops import Erasing


def test_a_row_that_misses_its_bar_is_not_met() -> None:
    row = Row("inertia", "ratio", "cdnow", 1, 1.06, Bar("<=", 1.05))

    assert row.met is False
    assert row.as_json()["met"] is False
    assert replace(row, value=1.05).met is True
    assert replace(row, bar=None).met is None
    assert replace(row, value=inf).as_json()["value"] is None


def test_the_worst_seed_is_the_least_where_more_is_better() -> None:
    rows = [
        Row("a", "more", "x", seed, value, Bar(">=", 1)) for seed, value in enumerate((1, 3, 2))
    ]
    rows += [
        Row("a", "less", "x", seed, value, Bar("<=", 1)) for seed, value in enumerate((1, 3, 2))
    ]

    found = {(row.name, row.seed): row.value for row in summaries(rows)}

    assert found == {
        ("more", "median"): 2,
        ("more", "worst"): 1,
        ("less", "median"): 2,
        ("less", "worst"): 3,
    }


def test_a_bar_that_holds_for_some_seeds_is_judged_on_those() -> None:
    rows = [
        Row("a", "agreement", "x", 1, 0.95, Bar(">=", 0.9)),
        Row("a", "agreement", "x", 2, 0.5),
    ]

    worst = next(row for row in summaries(rows) if row.seed == "worst")

    assert (worst.value, worst.met) == (0.95, True)


def test_the_report_says_what_was_missed(tmp_path: Path) -> None:
    found = Findings([Row("cost", "trainer", "cdnow", 1, 250.0, Bar("<", 200))])

    write(found, [1], tmp_path)

    page = (tmp_path / "quality.md").read_text("utf-8")
    assert "0 are met by every seed" in page
    assert "| trainer | cdnow | 250 | 250 | < 200 | **no** |" in page
    rows = json.loads((tmp_path / "quality.json").read_text("utf-8"))
    assert [(row["seed"], row["met"]) for row in rows] == [
        (1, False),
        ("median", False),
        ("worst", False),
    ]
    assert "1 are met by every seed" in markdown(
        summaries([replace(found.rows[0], value=150.0)]), [1], []
    )


async def test_a_replay_is_the_whole_path_and_gives_the_same_twice() -> None:
    shop = Simulation(ShopConfig(seed=3, customers=150, days=70, join_days=20))
    settings = Settings(seed=3, k=3, warmup_customers=60)
    found = []
    for _ in range(2):
        replay = Replay(settings, [Inertia(), Drivers()], "a small shop")
        found.append((await replay.run(shop), replay.snapshot, len(replay.states())))

    assert found[0] == found[1]
    findings, snapshot, customers = found[0]
    assert snapshot is not None
    assert customers == 150
    assert all(row.value >= 0.99 for row in findings.rows if row.row == "inertia")


async def test_erased_customers_leave_the_population() -> None:
    shop = Simulation(ShopConfig(seed=3, customers=50, days=40, join_days=5))
    replay = Replay(Settings(seed=3))

    await replay.run(Erasing(shop, {"c000001": 20.0, "c000002": 30.0}))

    assert len(replay.states()) == 48
    assert "c000001" not in replay.states()
