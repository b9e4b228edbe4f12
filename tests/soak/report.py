"""A result for people, and as one JSON object."""

import json
from collections.abc import Iterator
from typing import Any

from tests.soak.run import FIRST_SAID, Result


def lines(result: Result) -> Iterator[str]:
    """Yield the problems, the table of faults, and the verdict as the last line."""
    verdict, plan = result.verdict, result.plan
    problems = result.failures + verdict.problems
    yield from problems[:FIRST_SAID]
    if len(problems) > FIRST_SAID:
        yield f"and {len(problems) - FIRST_SAID} more problems"
    yield ""
    yield f"{'fault':<38}{'runs':>5}{'longest recovery':>19}"
    for name, seconds in sorted(result.recoveries.items()):
        yield f"{name:<38}{len(seconds):>5}{max(seconds):>17.1f} s"
    yield ""
    yield (
        f"{verdict.records:,} records of {verdict.customers:,} customers, {verdict.moves:,} moves, "
        f"{verdict.letters:,} dead letters, {verdict.repeated:,} repeats to skip, "
        f"{result.rollbacks} crashes and rollbacks of the store, {result.seconds:.0f} s"
    )
    yield f"ended by themselves (exit code): {result.exits or 'nobody'}"
    yield (
        f"soak: {'PASS' if result.passed else 'FAIL'} broker={plan.broker} seed={plan.seed} "
        f"events={verdict.records} lost={verdict.lost} double={verdict.double} "
        f"wrong chains={verdict.wrong_chains}"
    )


def as_json(result: Result) -> str:
    """Encode everything of a result in one line."""
    verdict, plan = result.verdict, result.plan
    facts: dict[str, Any] = {
        "passed": result.passed,
        "broker": plan.broker,
        "seed": plan.seed,
        "minutes": plan.minutes,
        "rate": plan.rate,
        "seconds": round(result.seconds, 1),
        "faults": {
            name: {"runs": len(seconds), "longest": round(max(seconds), 2)}
            for name, seconds in sorted(result.recoveries.items())
        },
        "exits": result.exits,
        "rollbacks": result.rollbacks,
        "problems": (result.failures + verdict.problems)[:FIRST_SAID],
    }
    names = ("records", "customers", "moves", "letters", "repeated", "lost", "double")
    facts |= {name: getattr(verdict, name) for name in (*names, "wrong_chains")}
    return json.dumps(facts)
