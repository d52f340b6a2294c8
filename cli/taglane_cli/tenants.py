"""`taglane tenant`: create, list, show, rotate and delete tenants, with the operator's credential."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.export import export_tenant
from taglane_cli.render import instant, iso, output_option, show_json, show_list, show_one
from taglane_cli.tenant_limits import drain, limit, pause, purge, resume

if TYPE_CHECKING:
    from taglane_scheduler.care.measures import Measure
    from taglane_scheduler.tenancy.tenants import TenantInfo

    from taglane_cli.connection import Connection


@click.group()
def tenant() -> None:
    """Create, limit, pause, export and delete tenants."""


for _command in (limit, pause, resume, drain, purge, export_tenant):
    tenant.add_command(_command)


@tenant.command()
@click.argument("name")
@output_option
@click.pass_obj
def create(connection: Connection, name: str, output: str) -> None:
    """Create a tenant, and print the url its workers and clients connect with.

    The url holds the tenant's own password: it is shown this once, and kept nowhere.
    """
    made = connection.tenants.create(name)
    show_one({"tenant": made.tenant, "tag": made.tag, "url": made.url}, output)
    if not made.fenced:
        from taglane_scheduler.tenancy.tenants import UNFENCED  # noqa: PLC0415 - not for the help

        click.echo(f"WARNING: {UNFENCED}. It is the operator's own.", err=True)
    if output != "json":
        click.echo(f"keep the url, it is not shown again; with it:  taglane worker --tag {made.tag}", err=True)


@tenant.command("list")
@output_option
@click.pass_obj
def list_(connection: Connection, output: str) -> None:
    """List the tenants."""
    tenants = connection.tenants.list()
    states = connection.limits.states([each.tenant for each in tenants])
    rows = [
        {
            "tenant": each.tenant,
            "tag": each.tag,
            "state": states[each.tenant] or "active",
            "created": instant(each.created),
        }
        for each in tenants
    ]
    show_list(rows, ["tenant", "tag", "state", "created"], output, empty="no tenant yet:  taglane tenant create NAME")


@tenant.command()
@click.argument("name")
@output_option
@click.pass_obj
def show(connection: Connection, name: str, output: str) -> None:
    """Show a tenant, its passwords, its jobs and its workers.

    Of each password it shows the beginning of its hash, and until when it opens if a rotation has replaced it.
    """
    found = connection.tenants.get(name)
    row = {
        "tenant": found.tenant,
        "tag": found.tag,
        "user": found.user,
        "state": connection.limits.state(name) or "active",
        "created": instant(found.created),
        "passwords": _passwords(found, output),
        "jobs": [stored.job.name for stored in connection.jobs.list(name)],
        "workers": [worker.id for worker in connection.workers.list(name)],
        "cut": connection.services.cutoff.reason(name) or None,
        "uses": _use(connection.services.measures.get(name)),
    }
    show_one(row, output)


@tenant.command()
@click.argument("name")
@click.option(
    "--overlap",
    metavar="DURATION",
    help="How long the old password opens beside the new one; 0s ends it, and its connections, at once [default: 1d].",
)
@output_option
@click.pass_obj
def rotate(connection: Connection, name: str, overlap: str | None, output: str) -> None:
    """Give a tenant a new password, and print its new url.

    Until the overlap is over both open: start the workers and clients again with the new url, at leisure. A scheduler
    then ends the old password and all of the tenant's connections; those with the new one come back by themselves.
    """
    from taglane_scheduler.tenancy.tenants import OVERLAP  # noqa: PLC0415 - not for the help

    made = connection.tenants.rotate(name, overlap=OVERLAP if overlap is None else _read_overlap(overlap))
    show_one({"tenant": made.tenant, "tag": made.tag, "url": made.url}, output)
    ends = [password.until for password in connection.tenants.get(name).passwords if password.until]
    if ends and output != "json":
        click.echo(f"the old password opens until {iso(max(ends))}; see  taglane tenant show {name}", err=True)


@tenant.command()
@click.argument("name")
@click.option("--reason", default="by the operator", show_default=True, help="Why; it is shown until it is restored.")
@click.pass_obj
def cut(connection: Connection, name: str, reason: str) -> None:
    """Cut a tenant off: nobody can log in as it, and its connections end. What it has stays."""
    connection.check_tenants([name])
    done = connection.services.cutoff.cut(name, reason)
    said = f"cut off tenant {name}" if done else f"tenant {name} was cut off before"
    click.echo(f"{said}; let it in again:  taglane tenant restore {name}")


@tenant.command()
@click.argument("name")
@click.pass_obj
def restore(connection: Connection, name: str) -> None:
    """Let a tenant in again that was cut off.

    One that is still over a limit for which tenants are cut off will be again: change the limit first.
    """
    connection.check_tenants([name])
    done = connection.services.cutoff.restore(name)
    click.echo(f"restored tenant {name}" if done else f"tenant {name} was not cut off")


@tenant.command()
@click.option(
    "--by",
    type=click.Choice(["memory", "connections", "bandwidth"]),
    default="memory",
    show_default=True,
    help="Order.",
)
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@output_option
@click.pass_obj
def top(connection: Connection, by: str, limit: int, output: str) -> None:
    """List the tenants that use most of the server, as schedulers last measured it.

    Memory is an estimate in bytes, bandwidth in bytes a second, both ways. What the server does not say is left out.
    """
    from taglane.model.size import about  # noqa: PLC0415 - not for the help

    measures = connection.services.measures.list()
    measures.sort(key=lambda measure: (-(getattr(measure, by) or 0), measure.tenant))
    rows = [{"tenant": measure.tenant, **(_use(measure) or {})} for measure in measures[:limit]]
    if output != "json":
        sizes = ("bandwidth", "memory")
        rows = [{**row, **{size: None if row[size] is None else about(row[size]) for size in sizes}} for row in rows]
    columns = ["tenant", "connections", "bandwidth", "memory", "measured"]
    show_list(rows, columns, output, empty="nothing measured yet: a scheduler does that:  taglane scheduler")


def _use(measure: Measure | None) -> dict[str, Any] | None:
    if measure is None:
        return None
    return {
        "connections": measure.connections,
        "bandwidth": None if measure.bandwidth is None else round(measure.bandwidth),
        "memory": measure.memory,
        "measured": instant(measure.at),
    }


@tenant.command()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@output_option
@click.pass_obj
def delete(connection: Connection, name: str, yes: bool, output: str) -> None:
    """Delete a tenant with its credential, jobs, queues and runs. Nothing of it can be had back."""
    connection.tenants.get(name)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"this deletes all of {name}'s jobs and runs: say so with -y")
        typed = click.prompt(f"This deletes all of {name}'s jobs and runs. Type its name to go on", err=True)
        if typed != name:
            raise click.Abort
    count = connection.tenants.delete(name)
    if output == "json":
        show_json({"tenant": name, "deleted": True, "keys": count})
    else:
        click.echo(f"deleted tenant {name} and its {count} keys")


def _read_overlap(text: str) -> int:
    from taglane.model.duration import parse_duration  # noqa: PLC0415 - not for the help

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--overlap'") from error


def _passwords(found: TenantInfo, output: str) -> list[Any]:
    if output == "json":
        return [{"id": each.id, "until": instant(each.until)} for each in found.passwords]
    return [each.id if each.until is None else f"{each.id} (until {iso(each.until)})" for each in found.passwords]
