"""`taglane apply` and `taglane diff`: make the server's jobs and limits those of a file, or show what would change."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.changes import row, show_diff, show_lines
from taglane_cli.progress import progress
from taglane_cli.render import output_option, show_json

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from taglane_scheduler.jobs_diff import Change
    from taglane_scheduler.jobs_file import JobsFile

    from taglane_cli.connection import Connection

file_option: Callable[..., Any] = click.option(
    "-f", "--file", "path", required=True, metavar="FILE", help="The jobs file; - for standard input."
)
prune_option: Callable[..., Any] = click.option(
    "--prune", is_flag=True, help="Delete the jobs that the file lacks, of the tenants that it names."
)


@click.command()
@file_option
@prune_option
@click.option("-n", "--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@output_option
@click.pass_obj
def apply(connection: Connection, /, path: str, prune: bool, dry_run: bool, output: str) -> None:
    """Make the server's jobs and limits those of a jobs file.

    The file is checked whole before anything is written. A job that a tenant has off is deleted.
    """
    wanted = _read(path)
    found = _changes(connection, wanted, prune=prune)
    if not dry_run:
        _write(connection, wanted, found)
        counts = Counter(str(change.change) for change in found)
        connection.note("apply", _only(wanted.tenants), tenants=len(wanted.tenants), file=path, **counts)
    if output == "json":
        show_json([row(each) for each in found])
    else:
        show_lines(found)
    if dry_run:
        click.echo("nothing was changed (--dry-run)", err=True)


@click.command()
@file_option
@prune_option
@output_option
@click.pass_context
def diff(ctx: click.Context, /, path: str, prune: bool, output: str) -> None:
    """Show what apply would change; exit 1 when that is anything.

    What changes alike for many tenants is shown once.
    """
    found = [change for change in _changes(ctx.obj, _read(path), prune=prune) if change.is_any]
    if output == "json":
        show_json([{**row(each), "before": each.before, "after": each.after} for each in found])
    else:
        show_diff(found, path)
    ctx.exit(1 if found else 0)


def _only(tenants: Collection[str]) -> str:
    """The tenant that an entry of the audit log is about; of several, none."""
    return next(iter(tenants)) if len(tenants) == 1 else ""


def _read(path: str) -> JobsFile:
    from taglane.errors import BadJobsFile  # noqa: PLC0415 - not for the help
    from taglane_scheduler.jobs_file import read_jobs_file  # noqa: PLC0415

    name = "<stdin>" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint="'-f'") from error
    except UnicodeDecodeError as error:
        raise BadJobsFile(name, 1, 1, f"is no UTF-8 text: {error.reason}") from error
    return read_jobs_file(text, name)


def _changes(connection: Connection, wanted: JobsFile, *, prune: bool) -> list[Change]:
    from taglane.store.job_plan import check_payload  # noqa: PLC0415 - not for the help
    from taglane_scheduler.jobs_diff import changes  # noqa: PLC0415

    connection.check_tenants(wanted.tenants)
    named = {(job.tenant, job.name) for job in wanted.jobs}
    stored = []
    with progress("reading", len(wanted.tenants)) as told:
        kept_jobs = connection.jobs.list_many(wanted.tenants, told)
    for jobs, unread in kept_jobs.values():
        stored += [kept.job for kept in jobs]
        for each in unread:
            if each.too_new and (each.tenant, each.name) in named:
                raise each.error()  # it would lose what the newer one can do more
            if (each.tenant, each.name) not in named:
                click.echo(f"note: {each.error()}", err=True)
    limits = connection.limits.get_many(wanted.tenants)
    found = changes(wanted, stored, limits, prune=prune)
    changed = {(each.tenant, each.job) for each in found if each.is_any}
    for job in wanted.jobs:
        if (job.tenant, job.name) in changed:
            check_payload(job, wanted.limits.get(job.tenant, limits[job.tenant]))
    return found


def _write(connection: Connection, wanted: JobsFile, found: Sequence[Change]) -> None:
    from taglane.errors import OperatorNeeded  # noqa: PLC0415 - not for the help

    limits = {each.tenant: wanted.limits[each.tenant] for each in found if each.job is None and each.is_any}
    if limits and connection.own_tenant:
        raise OperatorNeeded("changing limits", connection.own_tenant)  # before anything is written
    with progress("applying", len(wanted.jobs)) as told:
        connection.jobs.put_many(wanted.jobs, told, lambda: connection.limits.put_many(limits))
    connection.jobs.delete_many((each.tenant, each.job) for each in found if each.job and each.change == "pruned")
