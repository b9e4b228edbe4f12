"""Faults on a schedule while purchases flow, then everything is counted anew: ``make soak``.

Exit codes: 0 passed, 1 failed, 2 wrong use, 3 Apache Kafka can't be had here.
"""

import argparse
import asyncio
import logging
import sys
import time
from itertools import islice
from pathlib import Path

from tests.kafka.libraries import KafkaUnavailableError, libraries
from tests.soak.faults import faults_for
from tests.soak.report import as_json, lines
from tests.soak.run import Plan, soak
from tests.soak.schedule import schedule

FAILED, UNAVAILABLE = 1, 3


def main() -> int:
    """Run one soak and tell its verdict."""
    options = _parser().parse_args()
    logging.disable()  # the clients' own, of every connection refused while a service is down
    seed = int(time.time()) % 100_000 if options.seed is None else options.seed
    plan = Plan(options.broker, options.minutes, seed, options.rate, options.only or ())
    names = [name for name in faults_for(plan.broker) if not plan.only or name in plan.only]
    if set(plan.only) - set(names):
        _say(f"with {plan.broker} there is {', '.join(faults_for(plan.broker))}")
        return 2
    _say(f"seed {plan.seed}, {plan.minutes:g} minutes, {plan.broker}; the schedule begins:")
    for step in islice(schedule(names, plan.seed), len(names)):
        _say(f"  {step.number}: {step}")
    try:
        if plan.broker != "embedded":
            libraries()
        result = asyncio.run(soak(plan, _say))
    except KafkaUnavailableError as error:
        _say(f"Apache Kafka can't be had here: {error}")
        return UNAVAILABLE
    if options.json:
        with options.json.open("a") as file:
            file.write(as_json(result) + "\n")
    for line in lines(result):
        _say(line)
    return 0 if result.passed else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Start a broker, a store, two workers and two trainers, publish purchases "
        "without a pause, and let one fault after another happen. Then read the topics from the "
        "beginning, count everything anew and compare it with what is stored and was published.",
        epilog="Exit codes: 0 passed, 1 failed, 2 wrong use, 3 Apache Kafka can't be had here. "
        "The embedded broker has everything in memory, so only its links fail; kafka1 and kafka3 "
        "(Java 17, Maven) are killed and stopped too. The same seed gives the same schedule and "
        "the same purchases; how far each fault gets depends on the machine.",
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="of faults (default: 20)")
    parser.add_argument("--seed", type=int, help="of schedule and load (default: from the clock)")
    parser.add_argument("--broker", choices=("embedded", "kafka1", "kafka3"), default="embedded")
    parser.add_argument("--rate", type=float, default=100.0, help="events a second (default: 100)")
    parser.add_argument("--only", action="append", metavar="FAULT", help="may be given repeatedly")
    parser.add_argument("--json", type=Path, metavar="FILE", help="append the result as one line")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
