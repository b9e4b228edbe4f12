"""Moves and numbers in plain words, for people who read a terminal or a page."""

from collections.abc import Callable

from stream_app.contracts import Driver, ModelSnapshot, Reason, SegmentChanged

PHRASES: dict[str, Callable[[float], str]] = {
    "recency_days": lambda x: f"{days(x)} since last order",
    "decayed_orders": lambda x: f"{x:.1f} recent orders",
    "decayed_spend": lambda x: f"{x:,.0f} recent spend",
    "average_basket": lambda x: f"average basket {x:,.2f}",
    "mean_gap_days": lambda x: f"an order every {days(x)}",
    "tenure_days": lambda x: f"customer for {days(x)}",
    "discount_share": lambda x: f"{x:.0%} discount",
    "refund_share": lambda x: f"{x:.0%} refunded",
    "category_breadth": lambda x: f"{x:.0f} categories",
    "age": lambda x: f"age {x:.0f}",
    "interest_affinity": lambda x: f"{x:.0%} of spend on declared interests",
}
NUMBERS: dict[str, Callable[[float], str]] = {
    "recency_days": lambda x: f"{x:.0f}" if x >= 1 else f"{x:.1f}",
    "decayed_orders": lambda x: f"{x:.1f}",
    "decayed_spend": lambda x: f"{x:,.0f}",
    "average_basket": lambda x: f"{x:,.2f}",
    "discount_share": lambda x: f"{x:.0%}",
    "refund_share": lambda x: f"{x:.0%}",
    "interest_affinity": lambda x: f"{x:.0%}",
}


def days(x: float) -> str:
    """Days as people say them.

    >>> days(61.2), days(1.0), days(0.2)
    ('61 days', '1 day', '5 hours')
    """
    if x < 0.95:  # noqa: PLR2004
        hours = round(x * 24)
        return f"{hours} hour{'' if hours == 1 else 's'}"
    return f"{x:.0f} day{'' if round(x) == 1 else 's'}"


def number(feature: str, x: float) -> str:
    """Write one value of a feature, without its meaning.

    >>> number("discount_share", 0.123), number("mean_gap_days", 12.4)
    ('12%', '12')
    """
    return NUMBERS.get(feature, "{:.0f}".format)(x)


def phrase(feature: str, x: float) -> str:
    """Say what a value means.

    >>> phrase("recency_days", 61)
    '61 days since last order'
    """
    known = PHRASES.get(feature)
    return known(x) if known else f"{feature.replace('_', ' ')} {x:.0f}"


def describe(change: SegmentChanged, model: ModelSnapshot | None = None) -> str:
    """Tell a move in one sentence; with a model, against what was typical where they come from."""
    route = f"{change.customer_id} {_verb(change)}"
    if not change.drivers:
        return route
    driver = change.drivers[0]
    if driver.feature == "recency_days" and driver.before and driver.after < driver.before:
        return f"{route}: bought again after {days(driver.before)}"
    segment, typical = _typical(change, driver, model)
    said = phrase(driver.feature, driver.after)
    return f"{route}: {said}, typical for {segment} {number(driver.feature, typical)}"


def _verb(change: SegmentChanged) -> str:
    if change.previous is None:
        return f"begins as {change.current.name}"
    moved = "was moved by a new model" if change.reason is Reason.MODEL else "moved"
    return f"{moved} {change.previous.name} → {change.current.name}"


def _typical(
    change: SegmentChanged, driver: Driver, model: ModelSnapshot | None
) -> tuple[str, float]:
    for segment in model.segments if model and change.previous else ():
        if change.previous and segment.id == change.previous.id:
            return change.previous.name, segment.profile[driver.feature]
    return change.current.name, driver.typical
