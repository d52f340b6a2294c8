"""`taglane tenant limit`, `pause`, `drain`, `resume` and `purge`: what a tenant may do, from now on."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.options import make_sure, yes_option
from taglane_cli.render import output_option, show_json, show_one

if TYPE_CHECKING:
    from taglane_cli.connection import Connection

_LOOK_S = 0.5  # between two looks at a tenant that drains


@click.command()
@click.argument("name")
@click.argument("changes", nargs=-1, metavar="[LIMIT=VALUE]...")
@output_option
@click.pass_obj
def limit(connection: Connection, name: str, changes: tuple[str, ...], output: str) -> None:
    """Show a tenant's limits, or change some of them; they are in force at once.

    \b
    running=N     runs that its workers hold at once
    rate=N/s      runs that begin (also N/m, N/h), burst=N of them at once after a pause
    queued=N      runs that wait
    fires=N/s     due instants that become runs
    payload=N     bytes of a run's params
    weight=X      its share of a shared pool [1], guaranteed=N slots its own, borrow=N more at most

    \b
    connections=N, bandwidth=SIZE/s, memory=SIZE  of the server, watched by schedulers: over one, there is an alert,
    overuse=cut                                   and the tenant is cut off [alarm]

    VALUE none takes a limit away.
    """  # noqa: D301 - click knows a block that it must not wrap by this very character
    from taglane.model.limits import FIELDS, spelled  # noqa: PLC0415 - not for the help

    connection.tenant(name)
    if changes:
        found = connection.limits.change(name, _read(changes))
        connection.note("limit", name, changes=" ".join(changes))
    else:
        found = connection.limits.get(name)
    limits = spelled(found)
    row: dict[str, Any] = {"tenant": name, "state": connection.limits.state(name) or "active"}
    show_one(row | {field: limits.get(field) for field in FIELDS}, output)


def _read(changes: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for change in changes:
        field, equals, value = change.partition("=")
        if not equals or not field:
            raise click.BadParameter(f"{change!r} is no LIMIT=VALUE, like running=4 or rate=10/s", param_hint="LIMIT")
        if field in found:
            raise click.BadParameter(f"{field} is given twice", param_hint="LIMIT")
        found[field] = value
    return found


@click.command()
@click.argument("name")
@output_option
@click.pass_obj
def pause(connection: Connection, name: str, output: str) -> None:
    """Let a tenant fire and fetch nothing, until it is resumed.

    What workers execute goes on, and what is enqueued waits.
    """
    _let(connection, name, "paused", output)


@click.command()
@click.argument("name")
@output_option
@click.pass_obj
def resume(connection: Connection, name: str, output: str) -> None:
    """Let a tenant go on that was paused or drained. What was due meanwhile is fired as its job's misfire says."""
    _let(connection, name, "", output)


@click.command()
@click.argument("name")
@click.option("--wait", is_flag=True, help="Wait until it has finished.")
@output_option
@click.pass_obj
def drain(connection: Connection, name: str, *, wait: bool, output: str) -> None:
    """Let a tenant finish what it has, and take no more: no fires, no enqueues, until it is resumed."""
    _let(connection, name, "draining", output, wait=wait)


def _let(connection: Connection, name: str, state: str, output: str, *, wait: bool = False) -> None:
    connection.tenants.get(name)
    connection.limits.put_state(name, state)  # type: ignore[arg-type]
    connection.note({"paused": "pause", "draining": "drain", "": "resume"}[state], name)
    load = connection.limits.load(name)
    if wait and load.waiting:
        for queue in connection.queues.list(name):
            if not queue.workers:  # or nobody would know why it takes for ever
                connection.note_missing_worker(queue.tag)
    while wait and (load.waiting or load.held):
        if sys.stderr.isatty():
            click.echo(f"\r{load.waiting} wait, {load.held} are executed   ", err=True, nl=False)
        time.sleep(_LOOK_S)
        load = connection.limits.load(name)
    if wait and sys.stderr.isatty():
        click.echo("", err=True)
    row = {"tenant": name, "state": state or "active", "waiting": load.waiting, "held": load.held}
    show_one(row, output)
    if state and output != "json":
        click.echo(f"to let it go on:  taglane tenant resume {name}", err=True)


@click.command()
@click.argument("name")
@yes_option
@output_option
@click.pass_obj
def purge(connection: Connection, name: str, *, yes: bool, output: str) -> None:
    """End, as cancelled, all runs of a tenant that are queued or delayed, for any tag. What workers execute goes on."""
    connection.tenants.get(name)
    make_sure(f"this cancels all that waits of {name}", yes=yes)
    count = connection.queues.purge_all(name)
    connection.note("purge", name, runs=count)
    if output == "json":
        show_json({"tenant": name, "purged": count})
    else:
        click.echo(f"purged {count} run{'' if count == 1 else 's'} of {name}")
