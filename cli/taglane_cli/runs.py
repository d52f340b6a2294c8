"""`taglane run`: list runs, wait for them, cancel them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taglane_cli.options import tenant_option
from taglane_cli.render import instant, output_option, show_json, show_list, show_one

if TYPE_CHECKING:
    from taglane.model.run import RunInfo

    from taglane_cli.connection import Connection

_COLUMNS = ["id", "job", "task", "tag", "state", "queued_at", "finished_at", "worker", "attempt", "result", "error"]


@click.group()
def run() -> None:
    """List runs, wait for them, cancel them."""


@run.command("list")
@tenant_option
@click.option("--job", metavar="J", help="Of this job only.")
@click.option("--state", metavar="S", help="In this state only, like failed.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many.")
@output_option
@click.pass_obj
def list_(  # noqa: PLR0913 - one for each option
    connection: Connection, *, tenant: str | None, job: str | None, state: str | None, limit: int, output: str
) -> None:
    """List runs, the newest first, of one tenant or of all."""
    if state is not None:
        _check_state(state)
    owner = connection.tenant(tenant) if tenant else connection.own_tenant
    rows = [row(info) for info in connection.runs.list(owner, job=job, state=state, limit=limit)]
    show_list(rows, _COLUMNS, output, empty="no such run")


@run.command()
@click.argument("run_id", metavar="ID")
@tenant_option
@output_option
@click.pass_obj
def show(connection: Connection, run_id: str, tenant: str | None, output: str) -> None:
    """Show all that is kept of a run."""
    show_one(whole(connection.runs.get(run_id, tenant)), output)


@run.command()
@click.argument("run_id", metavar="ID")
@tenant_option
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Wait so many seconds at most.")
@output_option
@click.pass_obj
def wait(connection: Connection, run_id: str, tenant: str | None, timeout: float | None, output: str) -> None:
    """Wait until a run has ended: exit 0 when it succeeded, 1 when not, 75 when it still goes on."""
    info = connection.runs.wait(run_id, timeout, tenant)
    show_one(whole(info), output)
    check_succeeded(info)


@run.command()
@click.argument("run_id", metavar="ID")
@tenant_option
@output_option
@click.pass_obj
def cancel(connection: Connection, run_id: str, tenant: str | None, output: str) -> None:
    """End a run that waits, or ask the worker that executes it to stop it."""
    answer = connection.runs.cancel(run_id, "cancelled by taglane run cancel", tenant)
    if output == "json":
        show_json({"id": run_id, "cancel": answer})
    else:
        said = {"cancelled": "is cancelled", "asked": "is executed: its worker was asked to stop it"}
        click.echo(f"run {run_id} {said.get(answer, 'had ended already')}")


def row(info: RunInfo) -> dict[str, Any]:
    """Return a run as lists show it."""
    return {
        "id": info.id,
        "tenant": info.tenant,
        "job": info.job,
        "task": info.task,
        "tag": info.tag,
        "state": info.state,
        "due": instant(info.due),
        "queued_at": instant(info.queued_at),
        "started_at": instant(info.started_at),
        "finished_at": instant(info.finished_at),
        "worker": info.worker,
        "attempt": info.attempt,
        "result": info.result,
        "error": info.error,
    }


def whole(info: RunInfo) -> dict[str, Any]:
    """Return a run with what lists leave out."""
    return {**row(info), "traceback": info.traceback, "deaths": info.deaths, "of": info.of}


def check_succeeded(info: RunInfo) -> None:
    """Raise RunFailed unless the run has succeeded."""
    from taglane.errors import RunFailed  # noqa: PLC0415 - not for the help

    if info.state != "succeeded":
        raise RunFailed(info.id, info.state, info.error)


def _check_state(state: str) -> None:
    from taglane.model.run import STATES  # noqa: PLC0415 - not for the help

    if state not in STATES:
        raise click.BadParameter(f"{state!r} is not one of {', '.join(STATES)}.", param_hint="'--state'")
