"""`taglane doctor`: look at the server, and say what is wrong with it and what mends that."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from taglane_cli.render import cell, output_option, show_json

if TYPE_CHECKING:
    from taglane_cli.connection import Connection

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@output_option
@click.pass_context
def doctor(ctx: click.Context, output: str) -> None:
    """Check the server, the schedulers and the workers.

    Each check is ok, warn or fail, with what mends it. The exit code is 1 when one fails. A tenant's credential sees
    a part of this.
    """
    connection: Connection = ctx.obj
    checks = connection.services.doctor.examine()
    if output == "json":
        show_json([asdict(check) for check in checks])
    else:
        width = max(len(check.check) for check in checks)
        for check in checks:
            status = click.style(f"{check.status:<4}", fg=_STYLES[check.status])
            click.echo(f"{status}  {check.check:<{width}}  {cell(check.seen)}")
            if check.mend:
                click.echo(f"{'':<4}  {'':<{width}}  mend: {cell(check.mend)}")
    ctx.exit(1 if any(check.status == "fail" for check in checks) else 0)
