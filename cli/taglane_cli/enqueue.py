"""`taglane enqueue`: run a task once, now or later, without a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taglane_cli.options import params_option, read_params, tenant_option
from taglane_cli.render import cell, output_option, show_json
from taglane_cli.runs import check_succeeded, whole

if TYPE_CHECKING:
    from taglane_cli.connection import Connection


@click.command()
@click.argument("task")
@tenant_option
@params_option
@click.option("--tag", metavar="TAG", help="Which workers it asks for [default: the tenant's own tag].")
@click.option("--delay", metavar="DURATION", help="Not before so long from now, like 5m.")
@click.option("--key", metavar="K", help="Asked again with the same key, within a day: the run that is there.")
@click.option("--wait", is_flag=True, help="Wait for its end: exit 1 when it did not succeed.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="With --wait: so many seconds at most.")
@output_option
@click.pass_obj
def enqueue(  # noqa: PLR0913 - one for each option
    connection: Connection,
    *,
    task: str,
    tenant: str | None,
    params: str | None,
    tag: str | None,
    delay: str | None,
    key: str | None,
    wait: bool,
    timeout: float | None,
    output: str,
) -> None:
    """Run a task once, now or later.

    TASK is its dotted name. Prints the run's id.
    """
    _check(task, delay)
    owner = connection.tenant(tenant)
    run = connection.client.enqueue(task, tenant=owner, params=read_params(params), tag=tag, delay=delay, key=key)
    if output != "json":
        click.echo(run.id)
    elif not wait:
        show_json({"id": run.id, "created": run.created})
    connection.note_missing_worker(tag or owner)
    if wait:
        info = connection.runs.wait(run.id, timeout, owner)
        if output == "json":
            show_json(whole(info))
        check_succeeded(info)
        if output != "json":
            click.echo(f"succeeded: {cell(info.result)}", err=True)


def _check(task: str, delay: str | None) -> None:
    """Raise what the client leaves to its callers: a task that can't be called that, a delay that says nothing."""
    from taglane.errors import BadSchedule  # noqa: PLC0415 - not for the help
    from taglane.model.duration import parse_duration  # noqa: PLC0415
    from taglane.model.job import make_job  # noqa: PLC0415

    make_job("x", "x", task=task, manual=True)
    if delay is not None:
        try:
            parse_duration(delay)
        except ValueError as error:
            raise BadSchedule(f"delay: {error}") from error
