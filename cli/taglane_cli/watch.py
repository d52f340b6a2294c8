"""Shows a list anew every second: in place on a terminal, one after the other elsewhere; until Ctrl-C."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.render import show_list, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    Rows = Sequence[dict[str, Any]]

EVERY_S = 1.0


def watch(
    read: Callable[[], Rows], columns: Sequence[str], *, times: int | None = None, every: float = EVERY_S
) -> None:
    """Show what *read* gives, again and again, *times* often or until Ctrl-C, which is a good end.

    A server that is gone meanwhile is waited for.
    """
    with suppress(KeyboardInterrupt):
        (_in_place if sys.stdout.isatty() else _in_turn)(read, columns, times, every)


def _in_turn(read: Callable[[], Rows], columns: Sequence[str], times: int | None, every: float) -> None:
    """Show it whenever it is another than before."""
    before: Rows | None = None
    for _ in _ticks(times, every):
        rows, why = _tried(read)
        if why:
            click.echo(f"note: {why}", err=True)
        elif rows != before:
            if before is not None:
                click.echo()
            show_list(rows, columns, "text", empty="nothing")
            before = rows


def _in_place(read: Callable[[], Rows], columns: Sequence[str], times: int | None, every: float) -> None:
    from rich.console import Console, Group  # noqa: PLC0415 - only a terminal needs it
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown: RenderableType = Text("")
    with Live(shown, console=Console(), auto_refresh=False, vertical_overflow="ellipsis") as live:
        for _ in _ticks(times, every):
            rows, why = _tried(read)
            if not why:
                shown = table(rows, columns) if rows else Text("nothing")
            live.update(Group(shown, Text(why, style="red")) if why else shown, refresh=True)


def _tried(read: Callable[[], Rows]) -> tuple[Rows, str]:
    """Return what there is, or why it can't be read now."""
    from taglane.errors import ServerUnavailable  # noqa: PLC0415 - not for the help

    try:
        return read(), ""
    except ServerUnavailable as error:
        return [], f"{error}; trying again"


def _ticks(times: int | None, every: float) -> Any:
    """Yield at once, and then whenever so much time has passed."""
    done = 0
    while True:
        yield
        done += 1
        if done == times:
            return
        time.sleep(every)
