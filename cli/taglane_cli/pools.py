"""`taglane pools`: the shared pools, who has work for them, who works in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taglane_cli.render import output_option, show_list

if TYPE_CHECKING:
    from taglane_cli.connection import Connection


@click.command()
@output_option
@click.pass_obj
def pools(connection: Connection, output: str) -> None:
    """List the shared pools.

    It takes the operator's credential. ACTIVE tenants may have work for it, PARKED ones are kept waiting by limits of
    their own. HELD is how many runs its workers have, of SLOTS that they can execute at once.
    """
    rows = [
        {
            "tag": f"shared.{pool.name}",
            "active": pool.active,
            "parked": pool.parked,
            "held": pool.slots_used,
            "slots": sum(worker.slots or 0 for worker in pool.workers),
            "workers": len(pool.workers),
        }
        for pool in connection.pools.list()
    ]
    columns = ["tag", "active", "parked", "held", "slots", "workers"]
    show_list(rows, columns, output, empty="no pool has had a worker yet:  taglane worker --tag shared.small")
