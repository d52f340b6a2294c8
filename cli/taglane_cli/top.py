"""`taglane top`: all tenants on one screen, live."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from taglane_cli.options import tenant_option

if TYPE_CHECKING:
    from taglane_cli.connection import Connection
    from taglane_cli.top_source import Source


@click.command()
@tenant_option
@click.option(
    "--every", type=click.FloatRange(0.2, 3_600), default=2.0, show_default=True, metavar="S", help="Read so often."
)
@click.pass_obj
def top(connection: Connection, tenant: str | None, every: float) -> None:
    """Watch all tenants on one screen, what needs attention first.

    Keys: a t b o r f w sort by attention, tenant, backlog, oldest wait, running, failed, workers; / filters; Enter
    shows a tenant's tags and running runs; Esc goes back; q quits. With a tenant's credential it shows that one.
    """
    if not sys.stdout.isatty():
        raise click.UsageError("top takes a terminal; for programs there is  taglane queue list -o json")
    from taglane.errors import ExtraMissing  # noqa: PLC0415 - not for the help

    try:
        from taglane_cli.top_app import TopApp  # noqa: PLC0415
    except ImportError as error:
        raise ExtraMissing("taglane top", "top") from error
    TopApp(source_of(connection, tenant), every=every).run()


def source_of(connection: Connection, tenant: str | None = None) -> Source:
    """Return what reads what the screen shows, of one tenant or of all."""
    from taglane.store.connect import address_of  # noqa: PLC0415 - not for the help
    from taglane.store.standings import Standings  # noqa: PLC0415

    from taglane_cli.top_source import Source  # noqa: PLC0415

    services = connection.services
    is_operator = connection.own_tenant is None
    one = connection.tenant(tenant) if tenant or not is_operator else None
    return Source(
        Standings(services.server, services.settings.lease),
        connection.search,
        tenants=(lambda: [one]) if one else services.tenants.names,
        alerts=(lambda: services.alerts.list(one)) if is_operator else list,
        where=address_of(services.settings.url),
    )
