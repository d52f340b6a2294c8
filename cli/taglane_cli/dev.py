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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane_cli.stack import Stack

REFRESH = 0.5  # seconds between two looks at the processes


@click.command()
@click.option("-t", "--tenant", "tenants", multiple=True, metavar="T", help="Create this tenant; may be repeated.")
def dev(tenants: tuple[str, ...]) -> None:
    """Start a server and a scheduler to develop against.

    Prints the operator's url and each tenant's, and runs until Ctrl-C. The server keeps everything in memory. A
    scheduler that ends is started again. With TAGLANE_URL set, that server is used instead, and left alone.
    """
    from taglane.model.names import check_tenant  # noqa: PLC0415 - not for the help

    from taglane_cli.stack import Stack, ended_by_sigterm  # noqa: PLC0415

    for tenant in tenants:
        check_tenant(tenant)
    with (
        suppress(KeyboardInterrupt),
        ended_by_sigterm(),
        TemporaryDirectory(prefix="taglane-dev-") as home,
        Stack(Path(home), os.environ.get("TAGLANE_URL")) as stack,
    ):
        _serve(stack, tenants)
    click.echo("stopped", err=True)


def _serve(stack: Stack, tenants: Sequence[str]) -> NoReturn:
    stack.start_scheduler()
    _print_urls(stack, tenants)
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
    click.echo("ready; Ctrl-C stops it", err=True)
