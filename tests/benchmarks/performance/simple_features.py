"""The few features that the plain worker and the peers keep of a customer."""

import math
from datetime import datetime
from typing import Any

HALF_LIFE_DAYS = 60.0


def features(old: dict[str, Any], purchase: dict[str, Any]) -> dict[str, Any]:
    """Count a purchase in."""
    at = datetime.fromisoformat(purchase["occurred_at"]).timestamp() / 86_400
    decay = 0.5 ** (max(0.0, at - old.get("last", at)) / HALF_LIFE_DAYS)
    categories = set(old.get("categories", ()))
    categories.update(item["category"] for item in purchase["items"] if "category" in item)
    return {
        "first": old.get("first", at),
        "last": at,
        "gap": at - old.get("last", at),
        "orders": old.get("orders", 0.0) * decay + 1,
        "spend": old.get("spend", 0.0) * decay + purchase["total"],
        "categories": sorted(categories)[:8],
    }


def vector(customer: dict[str, Any]) -> dict[str, float]:
    """What the model sees."""
    return {
        "gap": math.log1p(max(0.0, customer["gap"])),
        "orders": math.log1p(customer["orders"]),
        "spend": math.log1p(customer["spend"]),
        "basket": math.log1p(customer["spend"] / customer["orders"]),
        "tenure": customer["last"] - customer["first"],
        "breadth": float(len(customer["categories"])),
    }
