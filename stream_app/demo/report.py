"""The report of a run: what went in, what came out, how fast, and whether it is right."""

import math
from dataclasses import dataclass
from typing import Any

from stream_app.contracts import Reason
from stream_app.demo.verify import Verification
from stream_app.demo.watch import Seen

OUTCOMES = ("applied", "duplicate", "dead")


@dataclass(frozen=True, slots=True)
class Run:
    """How a replay went. ``seconds``: from the first record sent to the last one applied."""

    source: str
    events: int
    seconds: float
    verification: Verification


def report(run: Run, seen: Seen) -> dict[str, Any]:
    """Build the report as JSON-ready data. Times in seconds, money in the base currency."""
    counts = {name: seen.overview.counts.get(name, 0) for name in OUTCOMES}
    return {
        "source": run.source,
        "events": {
            "in": run.events,
            "applied": counts["applied"],
            "duplicate": counts["duplicate"],
            "dead_lettered": counts["dead"],
            "reconcile": run.events == sum(counts.values()),
        },
        "customers": run.verification.customers,
        "segments": segments(seen),
        "moves": {reason.value: seen.reasons[reason] for reason in Reason},
        "flaps_avoided": seen.overview.counts.get("held", 0),
        "seconds": round(run.seconds, 3),
        "events_per_second": round(run.events / max(run.seconds, 1e-9), 1),
        "latency_seconds": {
            "p50": _rounded(seen.latency(0.5)),
            "p99": _rounded(seen.latency(0.99)),
        },
        "model_versions": seen.model.version if seen.model else 0,
        "verified": run.verification.verified,
        "problems": list(run.verification.problems),
    }


def segments(seen: Seen) -> list[dict[str, Any]]:
    """List the segments, largest first, with sizes and profiles in the user's units."""
    if seen.model is None:
        return []
    sizes = seen.overview.sizes
    total = max(1, sum(sizes.values()))
    rows = [
        {
            "id": segment.id,
            "name": segment.name,
            "customers": sizes.get(segment.id, 0),
            "share": round(sizes.get(segment.id, 0) / total, 4),
            "profile": {name: round(value, 4) for name, value in segment.profile.items()},
        }
        for segment in seen.model.segments
    ]
    return sorted(rows, key=lambda row: (-row["customers"], row["id"]))


def _rounded(seconds: float) -> float | None:
    return None if math.isnan(seconds) else round(seconds, 4)
