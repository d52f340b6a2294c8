"""`taglane audit`: who did what to which tenant, and what the server refused."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.render import cell, instant, iso, output_option, show_list

if TYPE_CHECKING:
    from taglane_scheduler.tenancy.audit import Entry

    from taglane_cli.connection import Connection

_COLUMNS = ["at", "action", "tenant", "who", "address", "details"]
_WAIT_MS = 1_000


@click.command()
@click.option("-t", "--tenant", metavar="T", help="What was done to this one, or refused to it [default: to all].")
@click.option("--since", metavar="DURATION", help="Not older than this, like 1h [default: however old].")
@click.option("-n", "--count", type=click.IntRange(1, 100_000), default=100, show_default=True, help="The last N.")
@click.option("-f", "--follow", is_flag=True, help="Go on, with what comes, until it is stopped; JSON is one a line.")
@output_option
@click.pass_obj
def audit(  # noqa: PLR0913 - one for each option
    connection: Connection, *, tenant: str | None, since: str | None, count: int, follow: bool, output: str
) -> None:
    """Show who did what to which tenant, and what the server refused.

    Refusals are counted by tenant, reason, object and context, as schedulers read them from the server. It takes the
    operator's credential. A tenant that was deleted may be named.
    """
    log = connection.services.audit
    ends = log.ends() if follow else {}
    entries = log.list(tenant, since=_instant(since), count=count)
    if not follow:
        show_list([_row(entry) for entry in entries], _COLUMNS, output, empty="nothing was noted")
        return
    for entry in entries:
        _tell(entry, output)
    told = {(entry.id, entry.action) for entry in entries}  # what came between the two readings is in both
    while True:
        for entry in log.after(ends, wait_ms=_WAIT_MS):
            if tenant in (None, entry.tenant) and (entry.id, entry.action) not in told:
                _tell(entry, output)


def _instant(since: str | None) -> int:
    from taglane.model.duration import parse_duration  # noqa: PLC0415 - not for the help

    if since is None:
        return 0
    try:
        return max(0, time.time_ns() // 1_000_000 - parse_duration(since))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--since'") from error


def _row(entry: Entry) -> dict[str, Any]:
    return {**asdict(entry), "at": instant(entry.at), "details": dict(entry.details)}


def _tell(entry: Entry, output: str) -> None:
    row = {**asdict(entry), "at": iso(entry.at)}
    if output == "json":
        click.echo(json.dumps(row))
    else:
        click.echo("  ".join(cell(row[column]) for column in _COLUMNS))
