"""Readable test data with defaults."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from stream_app.contracts import (
    ModelSnapshot,
    Reason,
    Scaling,
    Segment,
    SegmentChanged,
    Training,
)
from stream_app.core.events import Limits, Record, to_ms
from stream_app.core.features import FeatureSet
from stream_app.core.folds import CustomerState, Order, fold_order, remember
from stream_app.core.messages import Outgoing
from stream_app.core.model import Models, SegmentModel
from stream_app.core.scoring import Case
from stream_app.core.transitions import Judge
from stream_app.core.turn import Rules, Turn
from stream_app.pipeline import Chunk, Pipeline, Session
from stream_app.ports import PartitionStore

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = 86_400_000
FEATURES = FeatureSet.build(60.0)
LIMITS = Limits(
    max_bytes=65_536,
    max_skew=300_000,
    oldest=to_ms(datetime(1990, 1, 1, tzinfo=UTC)),
    rates={"USD": 1.0, "EUR": 1.1},
)
FAR = to_ms(datetime(2030, 1, 1, tzinfo=UTC))
PURCHASES = "purchases"
PROFILES = "profiles"
CHANGES = "segment-changes"
DEAD = "dead-letters"
ROOM = 1_000  # customers a session remembers


@dataclass(frozen=True)
class ARecord:
    """A Kafka record as decoding sees it."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = to_ms(START)
    headers: tuple[tuple[str, bytes | None], ...] = field(default=())


def day(n: float) -> int:
    """Milliseconds of the n-th day after START."""
    return to_ms(START) + round(n * DAY)


def purchase_json(customer: str = "ann", event: str = "e1", at: float = 0, **fields: Any) -> bytes:
    """A valid purchase as a checkout sends it, on day ``at``."""
    moment = START + timedelta(days=at)
    body = {
        "event_id": event,
        "customer_id": customer,
        "occurred_at": moment.isoformat(),
        "total": 20.0,
    }
    return json.dumps(body | fields).encode()


def a_record(
    offset: int = 0, customer: str = "ann", event: str | None = None, at: float = 0, **fields: Any
) -> ARecord:
    """A record of the purchases topic; the event id defaults to the offset."""
    body = purchase_json(customer, event or f"e{offset}", at, **fields)
    return ARecord(offset, customer.encode(), body)


def an_order(event: str = "e1", at: float = 0, total: float = 20.0, **fields: Any) -> Order:
    """A decoded purchase of ann."""
    values: dict[str, Any] = {
        "refund": False,
        "discount": 0,
        "lines": 1,
        "categories": (),
        "channel": None,
    }
    return Order(
        event_id=event, customer_id="ann", at=day(at), total=round(total * 1e6), **(values | fields)
    )


def axis(days: float) -> float:
    """Where a silence of so many days lies on the recency axis of `a_snapshot`."""
    return FEATURES.transform((days, *[0.0] * 8))[0]


def a_snapshot(
    version: int = 1,
    centres: tuple[tuple[float, ...], ...] = (),
    names: tuple[str, ...] = ("Active", "Quiet", "Gone"),
    **fields: Any,
) -> ModelSnapshot:
    """Three segments along recency: around 3, 30 and 200 days of silence."""
    width = len(FEATURES.names)
    rows = centres or tuple((axis(x), *[0.0] * (width - 1)) for x in (3, 30, 200))
    segments = tuple(
        Segment(
            id=i + 1, name=name, share=1 / len(names), profile=dict.fromkeys(FEATURES.names, 1.0)
        )
        for i, name in enumerate(names)
    )
    values: dict[str, Any] = {
        "version": version,
        "feature_set": FEATURES.version,
        "features": FEATURES.names,
        "scaling": Scaling(
            centre=(0.0,) * width,
            scale=(1.0,) * width,
            weight=(1.0, *[0.0] * (width - 1)),
            clip=10.0,
        ),
        "centres": rows,
        "segments": segments,
        "training": Training(
            cause="warm-up",
            samples=0,
            customers=0,
            counts=(),
            inertia_ratio=None,
            next_segment_id=4,
        ),
        "event_time": START,
        "created_at": START,
    }
    return ModelSnapshot(**(values | fields))


def a_profile_record(
    offset: int = 0, customer: str = "ann", at: float = 0, **fields: Any
) -> ARecord:
    """A record of the profiles topic."""
    moment = START + timedelta(days=at)
    body = {"customer_id": customer, "updated_at": moment.isoformat()}
    return ARecord(offset, customer.encode(), json.dumps(body | fields).encode())


def a_state(*orders: Order, features: FeatureSet = FEATURES) -> CustomerState:
    """The state after some orders; without any, after one on day 0."""
    state = CustomerState()
    for order in orders or (an_order(),):
        remember(state, order.event_id)
        fold_order(state, order, features.half_life_ms)
    return state


def serving(
    *snapshots: ModelSnapshot, margin: float = 0.1, features: FeatureSet = FEATURES
) -> Models:
    """Models in service; without snapshots, `a_snapshot`."""
    models = Models()
    for snapshot in snapshots or (a_snapshot(),):
        models.add(SegmentModel(snapshot, features, margin))
    return models


def a_turn(
    states: dict[str, CustomerState | None] | None = None,
    models: Models | None = None,
    clock: float = 0,
    *,
    event_clock: bool = True,
) -> Turn:
    """A turn over the states given, of ann alone by default, at so many days by the clock."""
    models = serving() if models is None else models
    judge = Judge(models, 7, FAR, "purchases", 3, replay=event_clock)
    rules = Rules(FEATURES, event_clock, CHANGES, DEAD)
    return Turn(rules, judge, states or {"ann": None}, day(clock), FAR)


def judged(
    judge: Judge,
    state: CustomerState,
    at: int,
    cause: Reason = Reason.PURCHASE,
    customer: str = "ann",
    former: tuple[CustomerState, int] | None = None,
    record: Record | None = None,
) -> SegmentChanged | None:
    """Judge one customer at ``at`` (ms) and return their move."""
    case = Case(customer, state, at, cause, record, former)
    judge.judge([case])
    return case.moves[0] if case.moves else None


def lapsed(
    judge: Judge, state: CustomerState, until: int, customer: str = "ann"
) -> list[SegmentChanged]:
    """Let silence move one customer until then (ms) and return the moves."""
    case = Case(customer, state, until, Reason.MODEL)
    judge.catch_up([case])
    return case.moves


def a_pipeline(
    store: PartitionStore,
    models: Models | None = None,
    features: FeatureSet = FEATURES,
    *,
    event_clock: bool = True,
) -> Pipeline:
    """A pipeline on a store, by the event clock; without models given, `a_snapshot` serves."""
    rules = Rules(features, event_clock, CHANGES, DEAD)
    models = serving(features=features) if models is None else models
    return Pipeline(store, models, rules, LIMITS, (PURCHASES, PROFILES))


async def a_session(store: PartitionStore, owner: str = "w1", room: int = ROOM) -> Session:
    """Own partition 0 from now on."""
    return Session.of(0, await store.claim(0, owner), room)


def a_chunk(*records: ARecord, topic: str = PURCHASES, base: int | None = None) -> Chunk:
    """Consecutive records, from the first one's offset or from ``base``."""
    first = records[0].offset if base is None else base
    return Chunk(topic, 0, first, records[-1].offset + 1, records)


def changes_in(messages: list[Outgoing]) -> list[SegmentChanged]:
    """The segment changes among messages, in order."""
    return [
        SegmentChanged.model_validate_json(m.value)
        for m in messages
        if m.topic == CHANGES and m.value
    ]
