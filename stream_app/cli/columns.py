"""The options that map a file's columns, shared by every command that reads files."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from producers.columns import ColumnMap

PANEL = "Columns of a file"
COLUMNS = {
    "customer": "the customer id",
    "date": "the date or time of purchase",
    "time": "the time, beside a date",
    "order": "the order or invoice id",
    "amount": "the amount paid",
    "quantity": "the quantity",
    "price": "the price of one",
    "discount": "the discount, in money",
    "sku": "the product",
    "category": "the product's category",
    "channel": "the sales channel",
    "currency": "the currency",
}


def _option(kind: Any, default: Any, flag: str, text: str, metavar: str | None = None) -> Any:
    info = typer.Option(flag, help=text, rich_help_panel=PANEL, metavar=metavar)
    name = flag.removeprefix("--").replace("-", "_")
    annotation = Annotated[kind, info]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=annotation)


OPTIONS = [
    *(
        _option(str | None, None, f"--{role}-column", f"Column of {what}", "NAME")
        for role, what in COLUMNS.items()
    ),
    _option(str, "USD", "--currency", "Currency of a file without such a column"),
    _option(str | None, None, "--date-format", "strptime format, iso, unix or unix-ms"),
    _option(str | None, None, "--decimal", "Decimal mark: . or ,"),
    _option(str, "", "--refund-prefix", "Order ids that begin so are refunds"),
    _option(bool, False, "--order-total", "Each row repeats its order's amount"),
    _option(bool, False, "--keep-duplicates", "Keep exactly equal rows"),
]


def with_columns(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the column options; it receives them together as ``columns``."""
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.name != "columns"]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        given = {option.name: values.pop(option.name) for option in OPTIONS}
        roles = {
            name if name == "currency_column" else name.removesuffix("_column"): value
            for name, value in given.items()
        }
        command(**values, columns=ColumnMap(**roles))

    run.__signature__ = signature.replace(parameters=[*own, *OPTIONS])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*own, *OPTIONS)}
    return run
