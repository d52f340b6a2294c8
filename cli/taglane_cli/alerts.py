"""`taglane alerts`: list what is wrong now, with the operator's credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taglane_cli.render import cell, instant, output_option, show_json, show_list

if TYPE_CHECKING:
    from taglane_cli.connection import Connection


@click.command()
@click.option("-t", "--tenant", metavar="T", help="Only this tenant's.")
@output_option
@click.pass_obj
def alerts(connection: Connection, tenant: str | None, output: str) -> None:
    """List what is wrong now, and since when.

    An alert is gone when what it says no longer holds. Schedulers raise and end them.
    """
    if tenant:
        connection.check_tenants([tenant])
    found = connection.services.alerts.list(tenant)
    rows = [
        {
            "kind": alert.kind,
            "tenant": alert.tenant,
            "subject": alert.subject,
            "text": alert.text,
            "since": instant(alert.since),
            "seen": instant(alert.seen),
        }
        for alert in found
    ]
    if output == "json":
        show_json(rows)
        return
    show_list(rows, ["kind", "tenant", "subject", "since", "seen"], output, empty="nothing is wrong")
    for row in rows:
        click.echo(f"{row['tenant'] or '-'}: {cell(row['text'])}")
