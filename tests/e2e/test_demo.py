"""The demo as a stranger runs it, on a file of their own."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from threading import Event

import psutil
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

CUSTOMERS = 700


def a_foreign_file(path: Path) -> int:
    """Day-only dates, a BOM, other names, rows without a customer, negative cancellations."""
    rng = random.Random(5)
    rows = []
    for number in range(CUSTOMERS):
        day, gap = rng.uniform(0, 60), rng.choice([4, 9, 25, 60])
        while day < 240:
            amount = rng.uniform(5, 80) * (-1 if rng.random() < 0.04 else 1)
            rows.append((day, f"K{number:04d}" if rng.random() > 0.02 else "", f"{amount:.2f}"))
            day += rng.expovariate(1 / gap) + 1
    rows.sort()
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Kunde", "Tag", "Bestellung", "Betrag"])
        for number, (at, customer, paid) in enumerate(rows):
            when = date(2024, 1, 1) + timedelta(days=int(at))
            writer.writerow([customer, f"{when:%d.%m.%Y}", f"B{number}", paid.replace(".", ",")])
    return sum(1 for _, customer, _ in rows if customer)


def the_demo(*options: str) -> list[str]:
    return [sys.executable, "-m", "stream_app", "demo", "--once", *options]


def foreign_options(path: Path) -> list[str]:
    columns = {"customer": "Kunde", "date": "Tag", "order": "Bestellung", "amount": "Betrag"}
    named = [word for role, name in columns.items() for word in (f"--{role}-column", name)]
    return ["--data", str(path), "--date-format", "%d.%m.%Y", *named]


def test_a_foreign_file_is_replayed_segmented_and_verified(tmp_path: Path) -> None:
    path, report = tmp_path / "verkauf.csv", tmp_path / "r.json"
    events = a_foreign_file(path)

    command = the_demo(*foreign_options(path), "--speed", "1000000", "--report", str(report))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(report.read_text())
    assert found["verified"] is True
    assert found["problems"] == []
    assert found["events"] == {
        "in": events,
        "applied": events,
        "duplicate": 0,
        "dead_lettered": 0,
        "reconcile": True,
    }
    assert found["customers"] == CUSTOMERS
    assert sum(row["customers"] for row in found["segments"]) == found["moves"]["initial"]
    assert found["moves"]["purchase"] > 0
    assert found["moves"]["lapse"] > 0
    assert 0 < found["latency_seconds"]["p50"] <= found["latency_seconds"]["p99"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_demo_leaves_no_process_behind(tmp_path: Path, how: signal.Signals) -> None:
    path = tmp_path / "verkauf.csv"
    a_foreign_file(path)
    command = the_demo(*foreign_options(path), "--speed", "100000")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        try:
            children = all_four_children(demo.pid)
            demo.send_signal(how)
            code = demo.wait(30)
        finally:
            demo.kill()

    assert code == (130 if how is signal.SIGINT else -how)
    _, left = psutil.wait_procs(children, timeout=30)
    assert left == []


def all_four_children(pid: int) -> list[psutil.Process]:
    """Wait for broker, store, trainer and worker, each with its guard."""
    deadline = time.monotonic() + 60
    while len(found := psutil.Process(pid).children(recursive=True)) < 8:
        assert time.monotonic() < deadline, f"only {len(found)} processes were started"
        Event().wait(0.1)
    return found
