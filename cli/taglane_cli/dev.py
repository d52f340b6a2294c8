"""`taglane dev`: a server and a scheduler to develop against, until Ctrl-C."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn

import click

from taglane_cli.options import console_port_option, no_console_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane_cli.stack import Stack

REFRESH = 0.5  # seconds between two looks at the processes


@click.command()
@click.option("-t", "--tenant", "tenants", multiple=True, metavar="T", help="Create this tenant; may be repeated.")
@console_port_option
@no_console_option
def dev(tenants: tuple[str, ...], console_port: int | None, no_console: bool) -> None:
    """Start a server, a scheduler and a console to develop against.

    Prints the operator's url and each tenant's, and a link that enters the console once; runs until Ctrl-C. The server
    keeps everything in memory. A scheduler that ends is started again. With TAGLANE_URL set, that server is used
    instead, and left alone. The console takes the extra: pip install 'taglane[console]'.
    """
    from taglane.model.names import check_tenant  # noqa: PLC0415 - not for the help

    from taglane_cli.stack import Stack, ended_by_sigterm, has_console  # noqa: PLC0415

    for tenant in tenants:
        check_tenant(tenant)
    with (
        suppress(KeyboardInterrupt),
        ended_by_sigterm(),
        TemporaryDirectory(prefix="taglane-dev-") as home,
        Stack(Path(home), os.environ.get("TAGLANE_URL")) as stack,
    ):
        stack.start_scheduler()
        _print_urls(stack, tenants)
        if not no_console and has_console():
            click.echo("# the console; this link enters it once, within an hour:")
            click.echo(f"# {stack.start_console(console_port)}")
        click.echo("ready; Ctrl-C stops it", err=True)
        _serve(stack)
    click.echo("stopped", err=True)


def _serve(stack: Stack) -> NoReturn:
    while True:
        how = stack.restart_scheduler()
        if how is not None:
            click.echo(f"note: the scheduler {how}; another one goes on", err=True)
        time.sleep(REFRESH)


def _print_urls(stack: Stack, tenants: Sequence[str]) -> None:
    """Print, as lines for a shell, the operator's url, and that of each tenant once it is created."""
    from taglane.settings import load_settings  # noqa: PLC0415 - not for the help
    from taglane_scheduler.services import build  # noqa: PLC0415

    click.echo(f"# {stack.server_name}, with a scheduler; as the operator:")
    click.echo(f"export TAGLANE_URL={quote(stack.url)}")
    services = build(load_settings(url=stack.url))
    try:
        for tenant in tenants:
            made = services.tenants.create(tenant)
            click.echo(f"# as {tenant}, for  taglane worker --tag {made.tag}:")
            click.echo(f"export TAGLANE_URL={quote(made.url)}")
    finally:
        services.close()
