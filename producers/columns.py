"""Which column of a foreign file means what: named by the user, else recognised by its name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from producers.sources import SourceError


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """The columns of a file by role, and how its cells are written.

    Roles left at None are recognised by name. ``date_format``: a strptime format, ``iso``,
    ``unix`` or ``unix-ms``. ``decimal``: "." or ",". ``refund_prefix``: an order id that begins
    with it is a refund. ``order_total``: the amount is the whole order's, repeated on each row.
    ``currency`` is used where no currency column exists.
    """

    customer: str | None = None
    date: str | None = None
    time: str | None = None
    order: str | None = None
    amount: str | None = None
    quantity: str | None = None
    price: str | None = None
    discount: str | None = None
    sku: str | None = None
    category: str | None = None
    channel: str | None = None
    currency_column: str | None = None
    currency: str = "USD"
    date_format: str | None = None
    decimal: str | None = None
    refund_prefix: str = ""
    order_total: bool = False
    keep_duplicates: bool = False


# Per role, tiers of names (lower case, letters and digits only); an earlier tier wins.
KNOWN: dict[str, Sequence[str]] = {
    "customer": (
        """customerid customernumber customerno custid clientid userid memberid householdid
        householdkey shopperid cardid loyaltyid visitorid accountid buyerid""",
        "customer client user member household shopper buyer",
        "customeremail email",
    ),
    "order": (
        """orderid invoiceno invoiceid invoicenumber orderno ordernumber transactionid basketid
        receiptid receiptno ticketid billno checkoutid""",
        "order invoice transaction basket receipt",
    ),
    "date": (
        """occurredat invoicedate orderdate purchasedate transactiondate transdate saledate
        salesdate orderpurchasetimestamp transactiontimestamp purchasetime orderdatetime
        invoicedatetime billdate eventtime""",
        "datetime timestamp date",
        "createdat processedat paidat day",
    ),
    "time": ("time", "transtime ordertime invoicetime transactiontime saletime"),
    "amount": (
        """amount totalamount totalprice salesvalue linetotal lineamount transactionamount
        purchaseamount dollarvalue revenue netamount totalsales""",
        "total sales value spend spent paid ordertotal grandtotal",
    ),
    "quantity": ("quantity qty", "units numberofcds unitssold itemcount numitems"),
    "price": ("unitprice priceperunit itemprice", "price"),
    "discount": ("discountamount discountvalue totaldiscount retaildisc", "discount"),
    "sku": (
        "sku stockcode productid itemid articleid productcode itemcode productsku",
        "product item description productname itemname",
    ),
    "category": (
        "category productcategory itemcategory categoryname",
        "department productline categorycode categoryid",
    ),
    "channel": ("channel saleschannel orderchannel",),
    "currency_column": ("currency currencycode",),
}

REQUIRED = ("customer", "date")
HARMLESS = frozenset({"time", "sku", "category", "channel"})  # a wrong guess distorts no amount


def option(role: str) -> str:
    """Command-line option that sets a role.

    >>> option("customer"), option("currency_column")
    ('--customer-column', '--currency-column')
    """
    return f"--{role.removesuffix('_column').replace('_', '-')}-column"


def resolve(header: Sequence[str], wanted: ColumnMap) -> ColumnMap:
    """Fill the roles left open, by the header's names.

    Raises SourceError, listing the columns found and the option to use, for a named column that
    does not exist, a required role without a column, and a role that two columns fit equally.
    """
    found: dict[str, Any] = {role: _named(header, wanted, role) for role in KNOWN}
    taken = {column for column in found.values() if column}
    free = [column for column in header if column not in taken]
    for role, column in found.items():
        found[role] = column or _recognised(free, header, role)
    for role in REQUIRED:
        if not found[role]:
            raise SourceError(f"no column for the {role}: {_advice(header, role)}")
    return replace(wanted, **found)


def mapped(columns: ColumnMap) -> dict[str, str]:
    """Role to column name, for the roles that have one."""
    return {role: getattr(columns, role) for role in KNOWN if getattr(columns, role)}


def _named(header: Sequence[str], wanted: ColumnMap, role: str) -> str | None:
    name = getattr(wanted, role)
    if name is None:
        return None
    same = [c for c in header if c == name] or [c for c in header if _plain(c) == _plain(name)]
    if len(same) != 1:
        problem = "no column" if not same else "more than one column"
        raise SourceError(f"{problem} is called {name!r}: {_advice(header, role)}")
    return same[0]


def _recognised(free: Sequence[str], header: Sequence[str], role: str) -> str | None:
    for tier in KNOWN[role]:
        names = tier.split()
        same = [column for column in free if _plain(column) in names]
        if len(same) > 1 and role not in HARMLESS:
            shown = " and ".join(repr(column) for column in same)
            raise SourceError(f"{shown} could both be the {role}: {_advice(header, role)}")
        if same:
            return same[0]
    return None


def _advice(header: Sequence[str], role: str) -> str:
    return f"use {option(role)} NAME; the columns found are: {', '.join(header)}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
