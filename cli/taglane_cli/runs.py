"""`taglane run`: list runs, wait for them, cancel them, run them again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.options import tenant_option, yes_option
from taglane_cli.render import cell, instant, output_option, show_json, show_list, show_one
from taglane_cli.run_logs import logs
from taglane_cli.run_search import act_on_all, asked, named, one_of, reached
from taglane_cli.watch import watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.model.query import RunQuery
    from taglane.model.run import RunInfo, Try

    from taglane_cli.connection import Connection

_COLUMNS = ["id", "job", "task", "tag", "state", "queued_at", "finished_at", "worker", "attempt", "result", "error"]

_PAGE = 500

_matching = click.option("--matching", metavar="QUERY", help="All that it takes, as of  taglane run list.")
_most = click.option(
    "--most",
    type=click.IntRange(1, 1_000_000),
    default=10_000,
    show_default=True,
    help="With --matching: of them so many.",
)


@click.group()
def run() -> None:
    """List runs, wait for them, cancel them, run them again."""


run.add_command(logs)


@run.command("list")
@click.argument("terms", metavar="[QUERY]...", nargs=-1)
@tenant_option
@click.option("--job", metavar="J", help="Of this job only.")
@click.option("--state", metavar="S", help="In this state only, like failed.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many.")
@click.option("-w", "--watch", "watched", is_flag=True, help="Look again every second, until Ctrl-C.")
@output_option
@click.pass_obj
def list_(  # noqa: PLR0913 - one for each option
    connection: Connection,
    *,
    terms: tuple[str, ...],
    tenant: str | None,
    job: str | None,
    state: str | None,
    limit: int,
    watched: bool,
    output: str,
) -> None:
    """List runs, the newest first, of one tenant or of all.

    QUERY is made of terms, all of which a run must meet: tenant:acme state:failed,dead job:report* task:shop.*
    tag:acme.gpu since:1h until:2026-11-22T09:00:00Z id:acme.01m*. A * at the end stands for any rest. state:open,
    state:ended and state:unwell stand for several. since and until are of when a run was made; where ended runs alone
    are asked for, of when it ended.
    """
    if state is not None:
        _check_state(state)
    query = asked(" ".join(terms), tenant=tenant, job=job, state=state)
    tenants = reached(connection, query)
    if not watched:
        show_list(found(connection, query, tenants, limit), _COLUMNS, output, empty="no such run")
        return
    if output == "json":
        raise click.UsageError("--watch goes with text: to look again and again as a program, ask again and again")
    watch(lambda: found(connection, query, tenants, limit), _COLUMNS)


def found(connection: Connection, query: RunQuery, tenants: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Return the newest runs that a query takes, as lists show them."""
    rows: list[dict[str, Any]] = []
    after = ""
    while len(rows) < limit:
        page = connection.search.page(query, tenants, after=after, limit=min(_PAGE, limit - len(rows)))
        rows += [row(info) for info in page.runs]
        after = page.next
        if not after:
            break
    return rows


@run.command()
@click.argument("run_id", metavar="ID")
@tenant_option
@output_option
@click.pass_obj
def show(connection: Connection, run_id: str, tenant: str | None, output: str) -> None:
    """Show all that is kept of a run."""
    info = connection.runs.get(run_id, tenant)
    show_one(whole(info) if output == "json" else {**whole(info), "attempts": told(info)}, output)


@run.command()
@click.argument("run_id", metavar="ID")
@tenant_option
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Wait so many seconds at most.")
@output_option
@click.pass_obj
def wait(connection: Connection, run_id: str, tenant: str | None, timeout: float | None, output: str) -> None:
    """Wait until a run has ended: exit 0 when it succeeded, 1 when not, 75 when it still goes on."""
    info = connection.runs.wait(run_id, timeout, tenant)
    show_one(whole(info) if output == "json" else {**whole(info), "attempts": told(info)}, output)
    check_succeeded(info)


@run.command()
@click.argument("run_id", metavar="[ID]", required=False)
@_matching
@_most
@yes_option
@tenant_option
@click.option("--wait/--no-wait", "wait_", default=True, show_default=True, help="See what its worker does.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", default=3.0, show_default=True, help="So long.")
@output_option
@click.pass_obj
def cancel(  # noqa: PLR0913 - one for each option
    connection: Connection,
    run_id: str | None,
    *,
    matching: str | None,
    most: int,
    yes: bool,
    tenant: str | None,
    wait_: bool,
    timeout: float,
    output: str,
) -> None:
    """End a run that waits, or ask the worker that executes it to stop it. Prints what came of it.

    A task that its pool can't stop goes on to its end. --matching takes a query, as taglane run list does, and cancels
    all that has not ended yet.
    """
    if matching is not None:
        act_on_all(connection, "cancel", one_of(run_id, matching), tenant, most=most, yes=yes, output=output)
        return
    run_id = named(run_id)
    answer = connection.runs.cancel(run_id, "by taglane run cancel", tenant)
    if answer == "asked" and wait_:
        _wait_a_little(connection, run_id, timeout, tenant)
    info = connection.runs.get(run_id, tenant)
    came, words = _outcome(answer, info)
    if output == "json":
        show_json({"id": run_id, "cancel": came, "state": info.state})
    else:
        click.echo(f"run {run_id} {words}")
    if came == "asked":
        click.echo(f"note: it still goes; see  taglane run show {run_id}", err=True)


def _wait_a_little(connection: Connection, run_id: str, timeout: float, tenant: str | None) -> None:
    from taglane.errors import RunTimeout  # noqa: PLC0415 - not for the help

    with suppress(RunTimeout):
        connection.runs.wait(run_id, timeout, tenant)


def _outcome(answer: str, info: RunInfo) -> tuple[str, str]:
    """Return what came of a cancel, in a word for programs and in words for people."""
    if answer == "asked" and not info.is_ended:
        return "asked", "asked to stop"
    if answer == "ended":
        return "ended", f"had ended already: {info.state}"
    if info.state != "cancelled":
        return "ended", f"ended before it could be stopped: {info.state}"
    words = (info.error or "cancelled").partition(":")[0]
    return "terminated" if words == "terminated" else "cancelled", words


@run.command()
@click.argument("run_id", metavar="[ID]", required=False)
@_matching
@_most
@yes_option
@tenant_option
@output_option
@click.pass_obj
def retry(  # noqa: PLR0913 - one for each option
    connection: Connection,
    run_id: str | None,
    *,
    matching: str | None,
    most: int,
    yes: bool,
    tenant: str | None,
    output: str,
) -> None:
    """Run a run again that failed, died, expired or was cancelled. Prints the new run's id.

    It goes beside what goes already of its job, whatever the job's overlap says. --matching takes a query, as taglane
    run list does, and runs all of it again that did not succeed and was not run again yet.
    """
    if matching is not None:
        act_on_all(connection, "retry", one_of(run_id, matching), tenant, most=most, yes=yes, output=output)
        return
    run_id = named(run_id)
    made = connection.runs.replay(run_id, tenant)
    if output == "json":
        show_json({"id": made, "of": run_id})
    else:
        click.echo(made)
    connection.note_missing_worker(connection.runs.get(made, tenant).tag)


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
    return {
        **row(info),
        "traceback": info.traceback,
        "deaths": info.deaths,
        "of": info.of,
        "replayed": info.replayed,
        "parked": info.parked,
        "asked_to_stop": info.asked_to_stop,
        "attempts": [_attempt(each) for each in info.attempts],
    }


def told(info: RunInfo, *, tracebacks: bool = False) -> str | None:
    """Return the attempts of a run for people to read, a line each, with their *tracebacks* below."""
    lines = []
    for each in info.attempts:
        times = f"{cell(instant(each.started_at))} to {cell(instant(each.ended_at))}"
        how = f"{each.how}: {cell(each.error)}" if each.error else each.how
        lines.append(f"{each.attempt}  {cell(each.worker)}  {times}  {how}")
        if tracebacks and each.traceback:
            lines += [f"   {line}" for line in each.traceback.splitlines()]
    return "\n".join(lines) or None


def _attempt(each: Try) -> dict[str, Any]:
    return {
        "attempt": each.attempt,
        "worker": each.worker,
        "started_at": instant(each.started_at),
        "ended_at": instant(each.ended_at),
        "how": each.how,
        "error": each.error,
        "traceback": each.traceback,
    }


def check_succeeded(info: RunInfo) -> None:
    """Raise RunFailed unless the run has succeeded."""
    from taglane.errors import RunFailed  # noqa: PLC0415 - not for the help

    if info.state != "succeeded":
        raise RunFailed(info.id, info.state, info.error)


def _check_state(state: str) -> None:
    from taglane.model.run import STATES  # noqa: PLC0415 - not for the help

    if state not in STATES:
        raise click.BadParameter(f"{state!r} is not one of {', '.join(STATES)}.", param_hint="'--state'")
