"""`taglane workers`: list the workers and what they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taglane_cli.options import tenant_option
from taglane_cli.render import instant, output_option, show_json, show_list

if TYPE_CHECKING:
    from taglane_cli.connection import Connection


@click.group(invoke_without_command=True)
@tenant_option
@output_option
@click.pass_context
def workers(ctx: click.Context, tenant: str | None, output: str) -> None:
    """List the workers and what they serve, or drain one.

    Those of tenants and, for the operator, those of shared pools.
    """
    if ctx.invoked_subcommand is not None:
        return
    connection: Connection = ctx.obj
    owner = connection.tenant(tenant) if tenant else connection.own_tenant
    found = [*connection.workers.list(owner)]
    if owner is None:
        found += [worker for pool in connection.pools.list() for worker in pool.workers]
    rows = [
        {
            "id": worker.id,
            "tags": list(worker.tags),
            "host": worker.host,
            "pid": worker.pid,
            "slots": worker.slots,
            "active": worker.active,
            "last_seen": instant(worker.last_seen),
        }
        for worker in found
    ]
    columns = ["id", "tags", "host", "pid", "slots", "active", "last_seen"]
    show_list(rows, columns, output, empty="no worker:  taglane worker --tag TAG")


@workers.command()
@click.argument("worker", metavar="ID")
@click.option("-t", "--tenant", metavar="T", help="Whose; it can be left out with a tenant's own credential.")
@output_option
@click.pass_obj
def drain(connection: Connection, worker: str, tenant: str | None, output: str) -> None:
    """Let a worker take no more runs, and end when it has done those that it holds: as SIGTERM does on its machine.

    It learns of it within seconds of being idle. A worker of several processes ends as a whole. Those of shared pools
    are ended where they run.
    """
    owner = connection.tenant(tenant)
    connection.workers.drain(owner, worker)
    connection.note("worker-drain", owner, worker=worker)
    if output == "json":
        show_json({"tenant": owner, "worker": worker, "draining": True})
    else:
        click.echo(f"worker {worker} takes no more runs, and ends when it has done its own")
