"""`taglane tenant`: create, list, show, rotate and delete tenants, with the operator's credential."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from taglane_cli.render import instant, output_option, show_json, show_list, show_one
from taglane_cli.tenant_limits import drain, limit, pause, purge, resume

if TYPE_CHECKING:
    from taglane_cli.connection import Connection


@click.group()
def tenant() -> None:
    """Create, limit, pause and delete tenants."""


for _command in (limit, pause, resume, drain, purge):
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
    if output != "json":
        click.echo(f"keep the url, it is not shown again; with it:  taglane worker --tag {made.tag}", err=True)


@tenant.command("list")
@output_option
@click.pass_obj
def list_(connection: Connection, output: str) -> None:
    """List the tenants."""
    rows = [
        {"tenant": each.tenant, "tag": each.tag, "created": instant(each.created)} for each in connection.tenants.list()
    ]
    show_list(rows, ["tenant", "tag", "created"], output, empty="no tenant yet:  taglane tenant create NAME")


@tenant.command()
@click.argument("name")
@output_option
@click.pass_obj
def show(connection: Connection, name: str, output: str) -> None:
    """Show a tenant, its jobs and its workers."""
    found = connection.tenants.get(name)
    row = {
        "tenant": found.tenant,
        "tag": found.tag,
        "user": found.user,
        "created": instant(found.created),
        "jobs": [stored.job.name for stored in connection.jobs.list(name)],
        "workers": [worker.id for worker in connection.workers.list(name)],
    }
    show_one(row, output)


@tenant.command()
@click.argument("name")
@click.option("--keep-old", is_flag=True, help="Let the old password go on beside it, until the next rotation.")
@output_option
@click.pass_obj
def rotate(connection: Connection, name: str, keep_old: bool, output: str) -> None:
    """Give a tenant a new password, and print its new url. The old one ends, and so do its connections."""
    made = connection.tenants.rotate(name, keep_old=keep_old)
    show_one({"tenant": made.tenant, "tag": made.tag, "url": made.url}, output)


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
