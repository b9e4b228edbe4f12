"""The verdict: what is stored and what was published, compared with the input counted anew."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from pydantic import ValidationError

from stream_app.contracts import DeadLetter, ModelSnapshot
from tests.soak.chains import Follower, broken_links
from tests.soak.history import Input, Ledger, Terms, recount
from tests.soak.reading import Evidence, Found, Shelf

TOLERANCE = 1e-3  # what is decayed is rounded at every purchase
PLACE = {"segment", "segment_name", "sequence", "model", "entered", "due"}


@dataclass
class Verdict:
    """``problems``: one sentence each. ``lost`` and ``double``: records, by their effect."""

    records: int = 0
    customers: int = 0
    moves: int = 0
    letters: int = 0
    repeated: int = 0
    lost: int = 0
    double: int = 0
    wrong_chains: int = 0
    problems: list[str] = field(default_factory=list)


def judge(evidence: Evidence, terms: Terms, wall: int, *, rolled_back: bool) -> Verdict:
    """Compare everything. ``rolled_back``: the store was, so moves may have been decided anew.

    ``wall`` is a time (ms) between the latest good event and the earliest future-dated one.
    """
    records = chain(evidence.purchases, evidence.profiles)
    found = recount(records, len(evidence.shelves), terms, wall)
    verdict = Verdict(found.records, sum(len(part.ledgers) for part in found.parts.values()))
    for partition, shelf in evidence.shelves.items():
        verdict.problems += _counters(found, partition, shelf, terms)
        verdict.problems += _indexes(partition, shelf)
        _features(found.parts[partition].ledgers, shelf, terms, verdict)
    _chains(evidence, verdict, rolled_back=rolled_back)
    _letters(evidence, found, verdict)
    verdict.problems += _model(evidence.model)
    return verdict


def _counters(found: Input, partition: int, shelf: Shelf, terms: Terms) -> Iterator[str]:
    """Watermark, counters, clock and outbox of one partition."""
    part, mark, where = found.parts[partition], shelf.watermark, f"partition {partition}"
    for topic in (terms.purchases, terms.profiles):
        end, stored = part.ends.get(topic, 0), int(mark.get(f"next:{topic}", 0))
        if stored != end:
            yield f"{where}: the watermark of {topic} is {stored}, the topic ends at {end}"
    for name in ("applied", "duplicate", "dead"):
        stored = int(mark.get(f"count:{name}", 0))
        if stored != part.counts[name]:
            yield f"{where}: {stored} records counted as {name}, the input has {part.counts[name]}"
    if int(mark.get("clock", 0)) != part.clock:
        yield f"{where}: the clock is {mark.get('clock')}, the latest event's time {part.clock}"
    if shelf.outbox:
        yield f"{where}: {shelf.outbox} messages are still in the outbox"


def _indexes(partition: int, shelf: Shelf) -> Iterator[str]:
    """What is kept beside the customers to find and count them."""
    where = f"partition {partition}"
    sizes = Counter(str(s["segment"]) for s in shelf.customers.values() if "segment" in s)
    name = "count:segment:"
    mark = {k.removeprefix(name): int(v) for k, v in shelf.watermark.items() if k.startswith(name)}
    if {k: v for k, v in mark.items() if v} != sizes:
        yield f"{where}: segment sizes are counted as {mark}, the customers say {dict(sizes)}"
    due = {c: float(s.get("due") or math.inf) for c, s in shelf.customers.items() if "orders" in s}
    wrong = sorted(c for c in due.keys() | shelf.due if due.get(c) != shelf.due.get(c))
    if wrong:
        yield f"{where}: due times of {len(wrong)} customers differ, first {wrong[0]}"


def _features(ledgers: Mapping[str, Ledger], shelf: Shelf, terms: Terms, verdict: Verdict) -> None:
    for customer in sorted(ledgers.keys() | shelf.customers):
        wanted = ledgers.get(customer, Ledger()).features(terms.half_life_days)
        stored = shelf.customers.get(customer, {})
        events = [s.get("orders", 0) + s.get("refunds", 0) for s in (wanted, stored)]
        verdict.lost += max(0, events[0] - events[1])
        verdict.double += max(0, events[1] - events[0])
        for name in sorted((wanted.keys() | stored) - PLACE):
            if not _equal(wanted.get(name), stored.get(name)):
                verdict.problems.append(
                    f"{customer}: {name} is {stored.get(name)!r}, the input says "
                    f"{wanted.get(name)!r}"
                )


def _equal(wanted: Any, stored: Any) -> bool:
    if isinstance(wanted, float) and isinstance(stored, int | float):
        return math.isclose(wanted, stored, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(wanted, dict) and isinstance(stored, dict):
        return wanted.keys() == stored.keys() and all(
            _equal(value, stored[name]) for name, value in wanted.items()
        )
    return bool(wanted == stored)


def _chains(evidence: Evidence, verdict: Verdict, *, rolled_back: bool) -> None:
    follower = Follower(rolled_back=rolled_back)
    for record in evidence.changes:
        problem = follower.take(record)
        if problem:
            verdict.problems.append(problem)
    verdict.moves, verdict.repeated = follower.moves, follower.repeated
    homes = {c: shelf for shelf in evidence.shelves.values() for c in shelf.customers}
    for customer in sorted(follower.chains.keys() | homes):
        shelf = homes.get(customer)
        state = shelf.customers[customer] if shelf else {}
        epoch = int(shelf.watermark.get("epoch", 0)) if shelf and rolled_back else 0
        links = follower.chains.get(customer, [])
        problems = list(broken_links(links, state, epoch, served=evidence.model is not None))
        verdict.wrong_chains += bool(problems)
        verdict.problems += [f"{customer}: {problem}" for problem in problems]


def _letters(evidence: Evidence, found: Input, verdict: Verdict) -> None:
    """Every bad record has a letter, with its bytes and reason, and no other record has one."""
    seen: set[tuple[str, int, int]] = set()
    for record in evidence.letters:
        try:
            facts = _facts(record)
        except ValidationError as error:
            verdict.problems.append(f"{record.place}: no dead letter: {error.errors()[0]['msg']}")
            continue
        place = facts.topic, facts.partition, facts.offset
        verdict.letters += place not in seen
        verdict.repeated += place in seen
        seen.add(place)
        if place not in found.bad:
            verdict.problems.append(f"a dead letter of {place}, which is a good record")
            continue
        reason, original = found.bad[place]
        if facts.reason != reason:
            verdict.problems.append(f"the dead letter of {place} says {facts.reason}, not {reason}")
        if (record.key, record.value) != (original.key, original.value):
            verdict.problems.append(f"the dead letter of {place} has other bytes than its record")
    for place in sorted(found.bad.keys() - seen):
        verdict.lost += 1
        verdict.problems.append(f"no dead letter of {place}: {found.bad[place][0]}")


def _facts(record: Found) -> DeadLetter:
    ours = {
        k[4:].replace("-", "_"): (v or b"").decode() for k, v in record.headers if k[:4] == "dlq-"
    }
    ours.pop("truncated", None)
    return DeadLetter.model_validate(ours)


def _model(stored: dict[str, Any] | None) -> Iterator[str]:
    """The newest checkpoint: finite, of one shape, ids unique, shares of one whole."""
    if stored is None:
        yield "no model was ever stored"
        return
    try:
        model = ModelSnapshot.model_validate(stored)  # refuses what is not finite
    except ValidationError as error:
        yield f"the newest model breaks its contract: {error.errors()[0]['msg']}"
        return
    rows = [*model.centres, model.scaling.centre, model.scaling.scale, model.scaling.weight]
    if {len(row) for row in rows} != {len(model.features)}:
        yield f"model {model.version} has rows of another width than its features"
    ids = [segment.id for segment in model.segments]
    if len(set(ids)) != len(ids) or len(ids) != len(model.centres):
        yield f"model {model.version} has {len(model.centres)} centres and the segments {ids}"
    if max(ids, default=0) >= model.training.next_segment_id:
        yield f"model {model.version} would give a segment id a second time"
    if abs(sum(segment.share for segment in model.segments) - 1) > 1e-6:
        yield f"the shares of model {model.version} do not sum to 1"
