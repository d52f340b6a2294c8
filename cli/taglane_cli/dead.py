"""`taglane dead`: the runs that were given up, to look at, to run again, to drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taglane_cli.options import make_sure, tenant_option, yes_option
from taglane_cli.render import instant, output_option, show_json, show_list, show_one
from taglane_cli.runs import told, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.model.run import RunInfo

    from taglane_cli.connection import Connection

_COLUMNS = ["id", "tenant", "job", "task", "finished_at", "attempt", "deaths", "reason"]

_ids = click.argument("run_ids", metavar="[ID]...", nargs=-1)
_all = click.option("--all", "all_", is_flag=True, help="All that there are now, of the tenant or of its job.")
_job = click.option("--job", metavar="J", help="Of this job only.")


@click.group()
def dead() -> None:
    """List dead letters, run them again, drop them.

    A run is a dead letter when workers died in it, or when its job's retries are used up. It is kept for 30 days.
    """


@dead.command("list")
@tenant_option
@_job
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many.")
@output_option
@click.pass_obj
def list_(connection: Connection, *, tenant: str | None, job: str | None, limit: int, output: str) -> None:
    """List dead letters, those that died last first, of one tenant or of all."""
    owner = connection.tenant(tenant) if tenant else connection.own_tenant
    rows = [_row(info) for info in connection.dead_letters.list(owner, job=job, limit=limit)]
    show_list(rows, _COLUMNS, output, empty="no dead letter")


@dead.command()
@click.argument("run_id", metavar="ID")
@tenant_option
@output_option
@click.pass_obj
def show(connection: Connection, run_id: str, tenant: str | None, output: str) -> None:
    """Show why a run was given up: its attempts with their tracebacks, and what it was called with."""
    letter = connection.dead_letters.get(run_id, tenant)
    row = whole(letter.run)
    shown = {
        "id": row["id"],
        "reason": row["error"],
        "args": letter.args,
        "params": letter.params,
        **{name: value for name, value in row.items() if name not in {"id", "error", "result"}},
    }
    if output != "json":
        shown["attempts"] = told(letter.run, tracebacks=True)
        if letter.run.attempts:
            del shown["traceback"]  # it is the last attempt's
    show_one(shown, output)


@dead.command()
@_ids
@_all
@tenant_option
@_job
@yes_option
@output_option
@click.pass_obj
def replay(connection: Connection, /, run_ids: tuple[str, ...], **how: Any) -> None:
    """Run dead letters again, as new runs, and take them off the list. Prints the new runs' ids."""
    letters, output = connection.dead_letters, how["output"]
    if _is_for_all(run_ids, how):
        _do_all(connection, letters.replay_all, "replayed", how)
        return
    for run_id in run_ids:  # an id that is none stops it before anything is done
        letters.get(run_id, how["tenant"])
    rows = []
    for run_id in run_ids:
        made = letters.replay(run_id, how["tenant"])
        rows.append({"id": made, "of": run_id})
        if output != "json":
            click.echo(made)
    if output == "json":
        show_json(rows)


@dead.command()
@_ids
@_all
@tenant_option
@_job
@yes_option
@output_option
@click.pass_obj
def drop(connection: Connection, /, run_ids: tuple[str, ...], **how: Any) -> None:
    """Delete dead letters for good."""
    letters, output = connection.dead_letters, how["output"]
    if _is_for_all(run_ids, how):
        _do_all(connection, letters.drop_all, "dropped", how)
        return
    for run_id in run_ids:
        letters.require(run_id, how["tenant"])
    for run_id in run_ids:
        letters.drop(run_id, how["tenant"])
        if output != "json":
            click.echo(f"dropped {run_id}")
    if output == "json":
        show_json([{"id": run_id, "dropped": True} for run_id in run_ids])


def _row(info: RunInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "tenant": info.tenant,
        "job": info.job,
        "task": info.task,
        "finished_at": instant(info.finished_at),
        "attempt": info.attempt,
        "deaths": info.deaths,
        "reason": info.error,
    }


def _is_for_all(run_ids: tuple[str, ...], how: dict[str, Any]) -> bool:
    if how["all_"] and run_ids:
        raise click.UsageError("name dead letters by their ids, or all of them with --all: not both")
    if not how["all_"] and not run_ids:
        raise click.UsageError("which ones? Name their ids, see  taglane dead list  or say --all")
    if not how["all_"] and how["job"]:
        raise click.UsageError("--job goes with --all")
    return bool(how["all_"])


def _do_all(connection: Connection, do: Callable[..., int], done: str, how: dict[str, Any]) -> None:
    owner, job = connection.tenant(how["tenant"]), how["job"]
    whose = f"job {job} of {owner}" if job else owner
    verb = "runs again" if done == "replayed" else "deletes for good"
    make_sure(f"this {verb} all dead letters of {whose}", yes=how["yes"])
    count = do(owner, job=job)
    if how["output"] == "json":
        show_json({"tenant": owner, "job": job, done: count})
    else:
        click.echo(f"{done} {count} dead letters of {whose}")
