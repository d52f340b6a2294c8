"""`taglane workers`: list the workers and what they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taglane_cli.options import tenant_option
from taglane_cli.render import instant, output_option, show_list

if TYPE_CHECKING:
    from taglane_cli.connection import Connection


@click.command()
@tenant_option
@output_option
@click.pass_obj
def workers(connection: Connection, tenant: str | None, output: str) -> None:
    """List the workers and what they serve.

    Those of tenants and, for the operator, those of shared pools.
    """
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
