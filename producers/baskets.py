"""Lines to baskets: one per order id, else one per customer and time."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from producers.columns import ColumnMap
from producers.lines import TableLine
from producers.parsing import short_id
from producers.sources import Basket, DatedBasket, Line, iso

MAX_ITEMS = 1000


@dataclass(slots=True)
class _Order:
    """A basket being put together; ``total`` and ``quantity`` are negative when taken back."""

    first: TableLine
    at: int
    total: float = 0.0
    quantity: float = 0.0
    discount: float = 0.0
    bought: list[Line] = field(default_factory=list)
    returned: list[Line] = field(default_factory=list)


def baskets(lines: Iterable[TableLine], columns: ColumnMap) -> list[DatedBasket]:
    """Group lines and sort the baskets by time.

    A basket has the time of its earliest line and the sum of its amounts; below zero, or with an
    order id that begins with ``columns.refund_prefix``, it is a refund. Items beyond 1,000 are
    left out.
    """
    orders: dict[tuple[object, ...], _Order] = {}
    for line in lines:
        key = _key(line)
        order = orders.get(key)
        if order is None:
            order = orders[key] = _Order(line, line.at)
        _add(order, line, order_total=columns.order_total)
    owners: dict[str, str] = {}
    made = [_basket(order, columns.refund_prefix, owners) for order in orders.values()]
    return sorted(made, key=lambda basket: basket.at)


def _key(line: TableLine) -> tuple[object, ...]:
    if line.order:
        return line.customer, line.order
    return line.customer, line.at, line.amount < 0


def _add(order: _Order, line: TableLine, *, order_total: bool) -> None:
    order.at = min(order.at, line.at)
    order.total = line.amount if order_total else order.total + line.amount
    order.quantity += line.quantity
    order.discount += line.discount
    if line.item is not None:
        taken_back = line.amount < 0 or line.quantity < 0
        (order.returned if taken_back else order.bought).append(line.item)


def _basket(order: _Order, refund_prefix: str, owners: dict[str, str]) -> DatedBasket:
    first, total = order.first, round(order.total, 6)
    prefixed = bool(refund_prefix) and first.order.startswith(refund_prefix)
    refund = prefixed or total < 0 or (not total and order.quantity < 0)
    items = (order.returned or order.bought) if refund else order.bought
    basket = Basket(
        _event_id(first, owners, refund=refund),
        first.customer,
        iso(order.at),
        abs(total),
        type="refund" if refund else "purchase",
        currency=first.currency,
        discount=round(order.discount, 6),
        channel=first.channel,
        items=items[:MAX_ITEMS],
    )
    return DatedBasket(order.at, basket)


def _event_id(line: TableLine, owners: dict[str, str], *, refund: bool) -> str:
    """Return the order id; where it is missing or another customer's too, one from the data."""
    if not line.order:
        return short_id(f"{line.customer}:{line.at}" + (":refund" if refund else ""))
    owner = owners.setdefault(line.order, line.customer)
    return short_id(line.order if owner == line.customer else f"{line.order}:{line.customer}")
