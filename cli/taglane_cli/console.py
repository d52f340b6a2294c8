"""`taglane console`: the pages and the REST API, until they are stopped."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from taglane_scheduler.web.serve import Where

    from taglane_cli.connection import Connection


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen; beyond loopback put TLS before it."
)
@click.option("--port", type=click.IntRange(0, 65_535), default=7077, show_default=True, help="0 takes a free one.")
@click.option("--else-free", is_flag=True, hidden=True, help="Take a free port where that one is taken.")
@click.pass_obj
def console(connection: Connection, host: str, port: int, else_free: bool) -> None:
    """Start the console and the REST API, for all tenants.

    It takes the operator's credential; people log in with a name and a password. As long as nobody can, it prints a
    link that makes the first who may.
    """
    try:
        from taglane_scheduler.web.serve import run_console  # noqa: PLC0415 - not for the help
    except ImportError as error:
        from taglane.errors import ExtraMissing  # noqa: PLC0415

        raise ExtraMissing("the console", "console") from error
    from taglane_scheduler.process import FORMAT  # noqa: PLC0415

    logging.basicConfig(level="INFO", format=FORMAT)
    run_console(connection.services, host, [port, 0] if else_free else [port], ready=_say)


def _say(where: Where) -> None:
    click.echo(f"console  {where.url}")
    if where.setup:
        click.echo(f"set up   {where.url}{where.setup}")
        click.echo(
            "nobody can log in yet: the second link makes who administers it; it opens once, for an hour", err=True
        )
    logging.getLogger(__name__).info("console_ready url=%s", where.url)
