"""Makes the shop's data, the same on every machine: `python -m shop.seed FOLDER [TENANT ...]`.

For each tenant it makes `FOLDER/<tenant>/source.db`, which the job `sync` copies.
"""

from __future__ import annotations

import csv
import sqlite3
import sys
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from shop.items import Item, create, put
from shop.sales import SHIPPED, Sale

REGIONS = ("eu", "apac", "us")
PRODUCTS = ("anvil", "bolt", "crank", "dowel", "easel")
TENANTS = ("tenant_a", "tenant_b", "tenant_c")
FIRST_DAY = date(2026, 1, 1)


def sales(rows: int = 360) -> list[Sale]:
    """Sales from 2026-01-01 on, twelve a day, in an order and of amounts that only look random."""
    return [
        Sale(
            day=(FIRST_DAY + timedelta(days=n // 12)).isoformat(),
            region=REGIONS[_mixed(n, 1) % len(REGIONS)],
            product=PRODUCTS[_mixed(n, 2) % len(PRODUCTS)],
            amount_cents=100 + _mixed(n, 3) % 49_900,
        )
        for n in range(rows)
    ]


def items(count: int = 200, *, revision: int = 0) -> list[Item]:
    """Items 1 to `count`; each revision after 0 sells one of every tenth item."""
    return [
        Item(
            id=n,
            name=f"{PRODUCTS[n % len(PRODUCTS)]}-{n:03d}",
            price_cents=100 + _mixed(n, 4) % 9_900,
            stock=50 + _mixed(n, 5) % 50 - (revision if n % 10 == 0 else 0),
        )
        for n in range(1, count + 1)
    ]


def write_sales(path: Path) -> None:
    """Write `sales()` as the CSV file that the shop ships."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Sale._fields)
        writer.writerows(sales())


def write_items(path: Path, rows: list[Item], *, table: str = "items") -> None:
    """Put rows into a SQLite file, which is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        create(database, table)
        put(database, table, rows)


def seed(folder: Path, tenants: tuple[str, ...] = TENANTS) -> None:
    """Make each tenant's `source.db`; the tenants' items differ in number (100, 150, 200, …)."""
    for place, tenant in enumerate(tenants):
        write_items(folder / tenant / "source.db", items(100 + 50 * place))


def _mixed(n: int, salt: int) -> int:
    """A number of 31 bits that looks random; the same in every version of Python, unlike `random`."""
    mixed = (n * 2_654_435_761 + salt * 40_503) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 2_246_822_519) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 13)) >> 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--sales":  # after a change to sales(): the test compares the file with it
        write_sales(SHIPPED)
    else:
        seed(Path(sys.argv[1]), tuple(sys.argv[2:]) or TENANTS)
