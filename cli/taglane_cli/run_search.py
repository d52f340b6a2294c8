"""What `taglane run` does with a query: reads it, finds out whose runs it is about, and acts on all that it takes."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.options import make_sure
from taglane_cli.progress import progress
from taglane_cli.render import show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.model.query import RunQuery
    from taglane.store.bulk import BulkProgress

    from taglane_cli.connection import Connection

_DONE = {"cancel": "cancelled", "retry": "made anew"}


def asked(text: str, **options: str | None) -> RunQuery:
    """Return what a query and the options beside it ask for.

    Raises:
        BadQuery: the query says nothing.
        UsageError: an option and the query say the same, each in its way.
    """
    from taglane.model.query import parse_query  # noqa: PLC0415 - not for the help

    query = parse_query(text)
    for name, value in options.items():
        if value is None:
            continue
        of_query = query.states if name == "state" else getattr(query, name)
        if of_query:
            raise click.UsageError(f"--{name} {value} and the query's {name}: are two: say it once")
        change: dict[str, Any] = {"states": frozenset({value})} if name == "state" else {name: value}
        query = replace(query, **change)
    return query


def reached(connection: Connection, query: RunQuery) -> Sequence[str]:
    """Return the tenants whose runs a query is about.

    Raises:
        TenantNotFound: it names one that is not there.
    """
    named_one = query.tenant if query.tenant and not query.tenant.endswith("*") else None
    return connection.tenants_in_reach(named_one)


def named(run_id: str | None) -> str:
    """Return the id of the one run that a command is about."""
    if run_id is None:
        raise click.UsageError("which run? Name its id, see  taglane run list  or say --matching QUERY")
    return run_id


def one_of(run_id: str | None, matching: str) -> str:
    """Return the query; with an id beside it, it is not clear what is meant."""
    if run_id is not None:
        raise click.UsageError("name one run by its id, or many with --matching: not both")
    return matching


def act_on_all(  # noqa: PLR0913 - one for each option
    connection: Connection, action: str, text: str, tenant: str | None, *, most: int, yes: bool, output: str
) -> None:
    """Cancel, or run again, all that a query takes; says how many, and exits with 1 when that failed for some."""
    from taglane.store.bulk import cancellable, retryable  # noqa: PLC0415 - not for the help

    query = asked(text, tenant=tenant)
    tenants = reached(connection, query)
    meant = (cancellable if action == "cancel" else retryable)(query)
    places = connection.search.places(meant, tenants) if meant else iter(())
    count = sum(1 for _ in islice(places, most + 1))
    if count and not yes:
        verb = "cancels" if action == "cancel" else "runs again"
        runs = "1 run" if count == 1 else f"{most} of more runs" if count > most else f"{count} runs"
        make_sure(f"this {verb} {runs} that match {str(query) or 'everything'}", yes=yes)
    bulk = connection.bulk
    steps = (
        bulk.cancel_all(query, tenants, most, "by taglane run cancel --matching")
        if action == "cancel"
        else bulk.retry_all(query, tenants, most)
    )
    seen = 0
    last: deque[BulkProgress] = deque(maxlen=1)
    with progress(f"{action}ing" if action == "cancel" else "running again", min(count, most)) as told:
        for step in steps:
            if told:
                told(step.total_seen - seen)
            seen = step.total_seen
            last.append(step)
    _tell(connection, action, query, last[0], output)


def _tell(connection: Connection, action: str, query: RunQuery, came: BulkProgress, output: str) -> None:
    if came.done:
        connection.note(f"{action}_all", query.tenant, query=str(query), runs=came.done)
    if output == "json":
        show_json({"query": str(query), **asdict(came)})
    else:
        beside = f", skipped {came.skipped}" if came.skipped else ""
        beside += f", failed {came.failed}" if came.failed else ""
        click.echo(f"{_DONE[action]}: {'1 run' if came.done == 1 else f'{came.done} runs'}{beside}")
    if came.failed:
        click.echo(f"note: the last that failed: {came.last_error}", err=True)
    if came.more:
        click.echo("note: there may be more: say it again", err=True)
    if came.failed:
        click.get_current_context().exit(1)
