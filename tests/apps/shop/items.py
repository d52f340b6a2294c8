"""Copies a table of items between two SQLite files, so that doing it twice is doing it once."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BUSY_SECONDS = 30.0


class Item(NamedTuple):
    """One row: its key, a name, a price in cents, how many are in stock."""

    id: int
    name: str
    price_cents: int
    stock: int


class Copied(TypedDict):
    """What a copy did; `rows` and `checksum` describe the whole source: see `checksum`."""

    table: str
    rows: int
    inserted: int
    updated: int
    unchanged: int
    checksum: str


def copy(source: Path, target: Path, *, table: str = "items") -> Copied:
    """Insert the source's rows into the target, which is made if need be, or update those that differ there.

    Rows that only the target has stay. All or nothing, one copy at a time. FileNotFoundError without a source;
    ValueError for a table whose name is no identifier; sqlite3.OperationalError when the source lacks the table.
    """
    wanted = read(source, table=table)
    target.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(target, timeout=BUSY_SECONDS, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        create(database, table)
        known = {item.id: item for item in _rows(database, table)}
        changed = [item for item in wanted if known.get(item.id) != item]
        put(database, table, changed)
        database.execute("COMMIT")
    inserted = sum(item.id not in known for item in changed)
    return Copied(
        table=table,
        rows=len(wanted),
        inserted=inserted,
        updated=len(changed) - inserted,
        unchanged=len(wanted) - len(changed),
        checksum=checksum(wanted),
    )


def read(path: Path, *, table: str = "items") -> list[Item]:
    """The rows of a file by id, without making or changing the file; errors as for `copy`."""
    if not path.is_file():
        raise FileNotFoundError(path)
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as database:
        return _rows(database, table)


def checksum(items: Iterable[Item]) -> str:
    """The SHA-256, in hex, of the rows in the order given."""
    return hashlib.sha256("".join(f"{';'.join(map(str, item))}\n" for item in items).encode()).hexdigest()


def create(database: sqlite3.Connection, table: str) -> None:
    """Make the table unless it is there."""
    database.execute(
        f"CREATE TABLE IF NOT EXISTS {_quoted(table)}"
        " (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price_cents INTEGER NOT NULL, stock INTEGER NOT NULL)"
    )


def put(database: sqlite3.Connection, table: str, items: Iterable[Item]) -> None:
    """Insert the rows, or update those whose key is there."""
    database.executemany(
        f"INSERT INTO {_quoted(table)} (id, name, price_cents, stock) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
        " SET name = excluded.name, price_cents = excluded.price_cents, stock = excluded.stock",
        items,
    )


def _rows(database: sqlite3.Connection, table: str) -> list[Item]:
    query = f"SELECT id, name, price_cents, stock FROM {_quoted(table)} ORDER BY id"
    return [Item(*row) for row in database.execute(query)]


def _quoted(table: str) -> str:
    """The name for use in SQL, which takes no parameter there."""
    if not (table.isascii() and table.isidentifier()):
        raise ValueError(f"{table!r} is no name of a table")
    return f'"{table}"'
