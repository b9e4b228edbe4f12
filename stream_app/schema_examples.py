"""An example or two of every message, for the AsyncAPI document."""

import json
from typing import Any

from stream_app.contracts import SegmentChanged
from stream_app.core.messages import change_headers

_EXAMPLES = r"""{
"Purchase": [{"payload": {"event_id": "o-1", "customer_id": "c-42", "total": 19.9,
   "occurred_at": "2026-01-05T10:00:00Z"}}, {"payload":
  {"schema_version": 1, "event_id": "o-2", "customer_id": "c-42", "type": "refund",
   "occurred_at": "2026-01-06T11:30:00+01:00", "currency": "EUR", "total": 8.5, "discount": 0.0,
   "channel": "web", "items": [{"category": "coffee", "quantity": 1.0, "unit_price": 8.5}]}}],
"Profile": [{"payload":
  {"schema_version": 1, "customer_id": "c-42", "updated_at": "2026-01-05T10:00:00Z",
   "birth_year": 1988, "gender": "female", "interests": ["coffee", "gardening"],
   "attributes": {"loyalty_tier": "gold"}, "marketing_consent": true}}],
"SegmentChanged": [{"payload":
  {"schema_version": 1, "id": "c-42-1767225600000-3", "customer_id": "c-42",
   "epoch": 1767225600000, "sequence": 3, "previous": {"id": 2, "name": "Hibernating"},
   "current": {"id": 1, "name": "Champions"}, "reason": "purchase",
   "occurred_at": "2026-01-05T10:00:00Z", "emitted_at": "2026-01-05T10:00:00.012000Z",
   "model_version": 7, "margin": 0.31, "drivers": [
     {"feature": "recency_days", "unit": "days", "before": 58.0, "after": 0.0, "typical": 9.0}],
   "facts": {"recency_days": 0.0, "orders": 21, "spend": 1210.44, "average_basket": 57.64,
     "top_categories": ["coffee"]}, "next_change": {
     "at": "2026-03-02T04:11:09Z", "segment": {"id": 2, "name": "Hibernating"}},
   "source": {"topic": "purchases", "partition": 3, "offset": 120934,
     "published_at": "2026-01-05T10:00:00.004000Z"}, "replay": false}}],
"ProfileErased": [{"payload": null}], "CustomerErased": [{"payload": null}],
"DeadLetter": [{"headers":
  {"dlq-reason": "invalid", "dlq-detail": "total: Input should be greater than or equal to 0",
   "dlq-topic": "purchases", "dlq-partition": "3", "dlq-offset": "120935",
   "dlq-failed-at": "2026-01-05T10:00:01Z"}, "payload":
  "{\"event_id\":\"o-3\",\"customer_id\":\"c-42\",\"occurred_at\":\"2026-01-05T10:00:00Z\",\"total\":-1}"}],
"PopulationSample": [{"payload":
  {"schema_version": 1, "feature_set": "v1-h60", "partition": 3, "population": 5180,
   "event_time": "2026-01-05T10:00:00Z", "customers": [{"customer_id": "c-42",
     "vector": [9.0, 5.2, 310.0, 57.64, 11.0, 402.0, 0.06, 0.01, 14.0]}]}}],
"ModelSnapshot": [{"payload":
  {"schema_version": 1, "version": 7, "feature_set": "v1-h60", "features": [
     "recency_days", "decayed_orders", "decayed_spend", "average_basket", "mean_gap_days",
     "tenure_days", "discount_share", "refund_share", "category_breadth"],
   "scaling": {"centre": [3.1, 1.1, 4.4, 3.6, 3.0, 5.3, 0.08, 0.01, 2.2],
     "scale": [1.6, 0.9, 1.5, 0.7, 1.0, 1.2, 0.1, 0.05, 0.8],
     "weight": [1.0, 1.0, 1.0, 0.7, 0.5, 0.5, 0.4, 0.4, 0.3], "clip": 3.0},
   "centres": [[-0.5, 0.8, 0.9, 0.2, -0.2, 0.3, -0.1, 0.0, 0.2]],
   "segments": [{"id": 1, "name": "Champions", "share": 1.0, "profile": {"recency_days": 9.0,
     "decayed_orders": 5.2, "decayed_spend": 310.0, "average_basket": 48.0, "mean_gap_days": 11.0,
     "tenure_days": 402.0, "discount_share": 0.06, "refund_share": 0.01,
     "category_breadth": 14.0}}], "fates": [{"kind": "kept", "old": [1], "new": [1]}],
   "renames": [{"id": 1, "old": "Loyal", "new": "Champions"}],
   "training": {"cause": "drift", "samples": 48210, "customers": 2000, "counts": [760.0],
     "inertia_ratio": 1.02, "silhouette": {"3": 0.41, "4": 0.37},
     "stability": {"3": 0.9, "4": 0.7}, "next_segment_id": 2},
   "event_time": "2026-01-05T09:58:00Z", "created_at": "2026-01-05T09:58:01Z"}}],
"ModelNotice": [{"payload":
  {"schema_version": 1, "kind": "frozen", "reason": "a segment holds nearly everybody",
   "value": 0.93, "limit": 0.8, "version": 7, "event_time": "2026-01-05T10:00:00Z"}}]
}"""


def examples() -> dict[str, list[dict[str, Any]]]:
    """Examples by message; the headers of a change are those the worker would send."""
    found: dict[str, list[dict[str, Any]]] = json.loads(_EXAMPLES)
    for example in found["SegmentChanged"]:
        sent = change_headers(SegmentChanged.model_validate(example["payload"]))
        example["headers"] = {name: (value or b"").decode() for name, value in sent}
    return found
