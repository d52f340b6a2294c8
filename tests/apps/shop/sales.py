"""Sales reports from a CSV file with the columns `day,region,product,amount_cents`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable

SHIPPED = Path(__file__).parent / "data" / "sales.csv"


class Sale(NamedTuple):
    """One row: an ISO day, a region such as `eu`, a product's name, an amount in cents."""

    day: str
    region: str
    product: str
    amount_cents: int


class Report(TypedDict):
    """What was sold in a region; `day` is None for all days, `by_product` has cents by name, in order of the names."""

    region: str
    day: str | None
    rows: int
    total_cents: int
    by_product: dict[str, int]


def read(path: Path) -> list[Sale]:
    """The rows of a file, in its order. FileNotFoundError; KeyError or ValueError for a file of another form."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Sale(row["day"], row["region"], row["product"], int(row["amount_cents"])) for row in csv.DictReader(file)
        ]


def summarise(sales: Iterable[Sale], *, region: str, day: str | None = None) -> Report:
    """Add up one region's sales, on one day or on all. A region without sales has an empty report. Pure."""
    wanted = [sale for sale in sales if sale.region == region and day in (None, sale.day)]
    by_product = dict.fromkeys(sorted({sale.product for sale in wanted}), 0)
    for sale in wanted:
        by_product[sale.product] += sale.amount_cents
    return Report(
        region=region,
        day=day,
        rows=len(wanted),
        total_cents=sum(by_product.values()),
        by_product=by_product,
    )
