"""Writes what a command found: tables on a terminal, aligned text into a pipe, JSON on demand. To stdout, nothing else.

A row is a dict, in the order in which it is shown. Times in it are `Instant`s: ISO 8601 in UTC, relative on a terminal.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rich.table import Table

    Row = Mapping[str, Any]

_WIDEST = 60  # characters of a cell in a list; `show` cuts nothing

output_option: Callable[..., Any] = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it."
)


@dataclass(frozen=True, slots=True)
class Instant:
    """A time, ms since 1970."""

    ms: int


def instant(value: int | None) -> Instant | None:
    """Return a time as a row holds it."""
    return None if value is None else Instant(value)


def show_json(data: Any) -> None:
    """Write one JSON document, in ASCII: what a task has said can neither steer a terminal nor fail to be encoded."""
    click.echo(json.dumps(data, default=jsonable, indent=2))


def show_json_rows(rows: Iterable[Row]) -> None:
    """Write rows as `show_json` does a list of them, one by one: there may be a million."""
    before = "[\n"
    for each in rows:
        text = json.dumps(each, default=jsonable, indent=2)
        click.echo(before + "  " + text.replace("\n", "\n  "), nl=False)
        before = ",\n"
    click.echo("[]" if before == "[\n" else "\n]")


def show_list(rows: Sequence[Row], columns: Sequence[str], output: str, *, empty: str) -> None:
    """Write rows: with all their fields as JSON, else these *columns*; with none, *empty* goes to stderr."""
    if output == "json":
        show_json(list(rows))
    elif not rows:
        click.echo(empty, err=True)
    else:
        headers, cells = _spelled(rows, columns)
        if sys.stdout.isatty():
            from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

            Console().print(table(rows, columns))
        else:
            _show_aligned([headers, *cells])


def show_one(row: Row, output: str) -> None:
    """Write one thing with all its fields, one a line."""
    if output == "json":
        show_json(row)
        return
    width = max(len(name) for name in row)
    for name, value in row.items():
        label = f"{name.replace('_', ' ') + ':':<{width + 1}}"
        if isinstance(value, str) and "\n" in value:
            click.echo("\n".join([label, *(f"  {cell(line)}" for line in value.splitlines())]))
        else:
            click.echo(f"{label}  {cell(value)}")


def cell(value: Any) -> str:
    """Return a value as text; what could steer the terminal, in a task's error for one, is spelled out."""
    match value:
        case None | () | []:
            return "-"
        case Instant():
            return _relative(value.ms) if sys.stdout.isatty() else iso(value.ms)
        case bool():
            return "yes" if value else "no"
        case str():
            text = value
        case list() | tuple() if all(isinstance(item, str) for item in value):
            text = " ".join(value)
        case _:
            text = json.dumps(value, default=jsonable, ensure_ascii=False)
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def jsonable(value: Any) -> Any:
    """Return as JSON has it what a row holds and JSON does not: for `json.dumps`."""
    if isinstance(value, Instant):
        return iso(value.ms)
    raise TypeError(f"{value!r} is not JSON")


def iso(ms: int) -> str:
    """Write a time as JSON and pipes have it."""
    from taglane.model.instant import format_instant  # noqa: PLC0415 - not for the help

    return format_instant(ms)


def _relative(ms: int) -> str:
    seconds = round(ms / 1000 - time.time())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if abs(seconds) >= 2 * size:
            return _told(seconds, f"{abs(seconds) // size}{unit}")
    return _told(seconds, f"{abs(seconds)}s") if seconds else "now"


def _told(seconds: int, span: str) -> str:
    return f"in {span}" if seconds > 0 else f"{span} ago"


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _show_aligned(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        click.echo("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())


def _spelled(rows: Sequence[Row], columns: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    cells = [[_shortened(cell(row[column])) for column in columns] for row in rows]
    return [column.replace("_", " ").upper() for column in columns], cells


def table(rows: Sequence[Row], columns: Sequence[str]) -> Table:
    """Return rows as a terminal shows them."""
    from rich.table import Table  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text  # noqa: PLC0415

    headers, cells = _spelled(rows, columns)
    made = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for line in cells:
        made.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in line))
    return made


_STYLES = {"succeeded": "green", "failed": "red", "dead": "red", "running": "cyan", "retrying": "yellow"}
