"""`taglane apply` and `taglane diff`: make the server's jobs those of a jobs file, or show what that would change."""

from __future__ import annotations

import json
import sys
from collections import Counter
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.render import cell, output_option, show_json

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

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
    """Make the server's jobs those of a jobs file.

    The file is checked whole before anything is written.
    """
    wanted = _read(path)
    found = _changes(connection, wanted, prune=prune)
    if not dry_run:
        connection.jobs.put_many(wanted.jobs)
        for change in found:
            if change.change == "pruned":
                connection.jobs.delete(change.tenant, change.job)
        counts = Counter(str(change.change) for change in found)
        connection.note("apply", _only(wanted.tenants), tenants=len(wanted.tenants), file=path, **counts)
    if output == "json":
        show_json([{"tenant": each.tenant, "job": each.job, "change": each.change} for each in found])
    else:
        for each in found:
            click.echo(f"{each.change:<9}  {each.tenant}/{each.job}")
    if dry_run:
        click.echo("nothing was changed (--dry-run)", err=True)


@click.command()
@file_option
@prune_option
@output_option
@click.pass_context
def diff(ctx: click.Context, /, path: str, prune: bool, output: str) -> None:
    """Show what apply would change; exit 1 when that is anything."""
    found = [change for change in _changes(ctx.obj, _read(path), prune=prune) if change.change != "unchanged"]
    if output == "json":
        show_json(
            [
                {
                    "tenant": each.tenant,
                    "job": each.job,
                    "change": each.change,
                    "before": each.before,
                    "after": each.after,
                }
                for each in found
            ]
        )
    else:
        for each in found:
            for line in _lines(each, path):
                click.secho(line, fg={"-": "red", "+": "green"}.get(line[:1]))
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
    from taglane_scheduler.jobs_diff import changes  # noqa: PLC0415 - not for the help

    connection.check_tenants(wanted.tenants)
    named = {(job.tenant, job.name) for job in wanted.jobs}
    stored = []
    for jobs, unread in (connection.jobs.list_all(tenant) for tenant in wanted.tenants):
        stored += [kept.job for kept in jobs]
        for job in unread:
            if job.too_new and (job.tenant, job.name) in named:
                raise job.error()  # it would lose what the newer one can do more
            if (job.tenant, job.name) not in named:
                click.echo(f"note: {job.error()}", err=True)
    return changes(wanted.jobs, stored, prune=prune)


def _lines(change: Change, path: str) -> Iterator[str]:
    name = f"{change.tenant}/{change.job}"
    before, after = (
        [
            f"{field}: {cell(value) if isinstance(value, str) else json.dumps(value)}"
            for field, value in (fields or {}).items()
        ]
        for fields in (change.before, change.after)
    )
    yield from unified_diff(
        before,
        after,
        "/dev/null" if change.before is None else f"{name} (server)",
        "/dev/null" if change.after is None else f"{name} ({path})",
        n=1,
        lineterm="",
    )
