"""`taglane run logs`: what a run has logged, and goes on to log."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from taglane_cli.options import tenant_option
from taglane_cli.render import cell, iso, output_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.model.log_line import LogLine
    from taglane.store.logs import Logs

    from taglane_cli.connection import Connection


@click.command()
@click.argument("run_id", metavar="ID")
@tenant_option
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@click.option("-n", "count", type=click.IntRange(1, 5_000), metavar="N", help="The last N of those that are there.")
@click.option("--since", metavar="WHEN", help="Not older than this, like 10m or 2026-11-22T09:00:00Z.")
@output_option
@click.pass_obj
def logs(  # noqa: PLR0913 - one for each option
    connection: Connection,
    run_id: str,
    *,
    tenant: str | None,
    follow: bool,
    count: int | None,
    since: str | None,
    output: str,
) -> None:
    """Show what a run has logged, printed and written to stderr: a line each, the oldest first.

    As JSON, one object a line.
    """
    oldest = _instant(since)
    store = connection.logs
    dropped = store.tail(run_id, tenant, count=1).dropped
    attempt = 1
    for line in _lines(store, run_id, tenant, count, follow=follow):
        if line.at < oldest:
            continue
        if output == "json":
            click.echo(json.dumps(fields_of(line)))
            continue
        if line.attempt != attempt:
            attempt = line.attempt
            click.echo(f"-- attempt {attempt}")
        click.echo(_told(line))
    if dropped:
        click.echo(f"note: {dropped} lines of it are not kept; see TAGLANE_LOG_LINES and TAGLANE_LOG_BYTES", err=True)


def _lines(store: Logs, run_id: str, tenant: str | None, count: int | None, *, follow: bool) -> Iterator[LogLine]:
    if count is None:
        yield from store.follow(run_id, tenant) if follow else store.all(run_id, tenant)
        return
    page = store.tail(run_id, tenant, count=count)
    yield from page.lines
    if follow and not page.ended:
        yield from store.follow(run_id, tenant, after=page.last)


def _told(line: LogLine) -> str:
    """Return a line for people to read: what could steer the terminal is spelled out."""
    first, *more = line.text.split("\n")
    name = f"{cell(line.logger)}: " if line.logger else ""
    told = f"{iso(line.at)}  {cell(line.level or line.stream):<8}  {name}{cell(first)}"
    return "\n".join([told, *(f"    {cell(each)}" for each in more)])


def fields_of(line: LogLine) -> dict[str, str | int]:
    """Return a line as JSON has it."""
    return {
        "id": line.id,
        "at": iso(line.at),
        "attempt": line.attempt,
        "stream": line.stream,
        "level": line.level,
        "logger": line.logger,
        "text": line.text,
    }


def _instant(since: str | None) -> int:
    from taglane.model.duration import parse_duration  # noqa: PLC0415 - not for the help
    from taglane.model.instant import parse_instant  # noqa: PLC0415

    if since is None:
        return 0
    try:
        return parse_instant(since)
    except ValueError:
        pass
    try:
        return time.time_ns() // 1_000_000 - parse_duration(since)
    except ValueError as error:
        why = f"{since!r} is neither a duration, like 10m, nor an instant, like 2026-11-22T09:00:00Z"
        raise click.BadParameter(why, param_hint="'--since'") from error
