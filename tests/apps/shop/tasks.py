"""The shop's Celery tasks: each resolves its files and calls one function that a verifier can call again.

Relative paths lie in the folder that the environment variable `SHOP_DATA` names, and nowhere else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import shared_task

from shop import invoices, items, sales


@shared_task
def report(*, region: str, day: str | None = None, source: str | None = None) -> dict[str, Any]:
    """Report a region's sales, on one day (`2026-01-31`) or on all: see `sales.summarise`.

    The rows are those of `source`, a CSV file in SHOP_DATA, or else of the file that the shop ships.
    """
    rows = sales.read(data_file(source) if source else sales.SHIPPED)
    return dict(sales.summarise(rows, region=region, day=day))


@shared_task
def sync(*, source: str, target: str, table: str = "items") -> dict[str, Any]:
    """Bring the rows of one SQLite file in SHOP_DATA to another: see `items.copy`."""
    return dict(items.copy(data_file(source), data_file(target), table=table))


@shared_task
def billing(*, plan_cents: int, seats: int, period: str, discount_percent: int = 0) -> dict[str, Any]:
    """Compute a month's invoices, one a seat: see `invoices.bill`."""
    return dict(invoices.bill(plan_cents=plan_cents, seats=seats, period=period, discount_percent=discount_percent))


def data_file(name: str) -> Path:
    """The file of that name in SHOP_DATA. KeyError when that is not set, ValueError for a name that leads out of it."""
    folder = Path(os.environ["SHOP_DATA"]).resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"{name!r} is not in SHOP_DATA")
    return path
