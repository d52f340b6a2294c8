"""`taglane apply` and `taglane diff`: make the server's jobs and limits those of a file, or show what would change."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, TextIO

import click

from taglane_cli.changes import row, show_diff, show_lines
from taglane_cli.progress import progress
from taglane_cli.render import output_option, show_json_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taglane_scheduler.jobs_apply import JobsApply

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

    The file is checked whole before anything is written. A job that a tenant has off is deleted. An apply that was
    interrupted is completed by the next.
    """
    with _compared(connection, path, prune=prune) as work:
        if not dry_run:
            _write(connection, work)
            only = work.tenants[0] if len(work.tenants) == 1 else ""  # whom an entry of the audit log is about
            connection.note("apply", only, tenants=len(work.tenants), file=path, **+work.counts)
        if output == "json":
            show_json_rows(row(each) for each in work.changes())
        else:
            show_lines(work.changes(), work.counts)
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
    with _compared(ctx.obj, path, prune=prune, with_fields=True) as work:
        found = (change for change in work.changes(with_fields=True) if change.is_any)
        if output == "json":
            show_json_rows({**row(each), "before": each.before, "after": each.after} for each in found)
        else:
            show_diff(found, path)
        ctx.exit(0 if work.counts.total() == work.counts["unchanged"] else 1)


def _name(path: str) -> str:
    return "<stdin>" if path == "-" else path


@contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    """Open a file that can be read twice: of what comes from elsewhere, a copy."""
    try:
        with ExitStack() as stack:
            if path == "-" or not Path(path).is_file():
                source = sys.stdin if path == "-" else stack.enter_context(Path(path).open(encoding="utf-8"))
                file = stack.enter_context(TemporaryFile("w+", encoding="utf-8"))
                copyfileobj(source, file)
                file.seek(0)
            else:
                file = stack.enter_context(Path(path).open(encoding="utf-8"))
            yield file
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint="'-f'") from error
    except UnicodeDecodeError as error:
        from taglane.errors import BadJobsFile  # noqa: PLC0415 - not for the help

        raise BadJobsFile(_name(path), 1, 1, f"is no UTF-8 text: {error.reason}") from error


@contextmanager
def _compared(connection: Connection, path: str, *, prune: bool, with_fields: bool = False) -> Iterator[JobsApply]:
    """Read a jobs file, check all of it, and compare it with the server."""
    from taglane_scheduler.jobs_apply import JobsApply  # noqa: PLC0415 - not for the help

    with JobsApply(connection.jobs, connection.limits, prune=prune, path=_name(path)) as work:
        _read(work, path)
        connection.check_tenants(work.tenants)
        with progress("comparing", work.jobs) as told:
            work.compare(told, noted=lambda error: click.echo(f"note: {error}", err=True), with_fields=with_fields)
        yield work


def _read(work: JobsApply, path: str) -> None:
    from taglane.errors import BadJobsFile  # noqa: PLC0415 - not for the help
    from taglane_scheduler.jobs_file import LARGE, stream_parts  # noqa: PLC0415 - not for the help

    name = _name(path)
    with _opened(path) as file:
        before = _version(file)
        text = file.read(LARGE)
        if len(text) < LARGE:
            work.read(stream_parts(text, name))
        else:
            with progress("reading", before[0]) as told:
                work.read(stream_parts(file, name), _counting(file, told))
        if _version(file) != before:  # its templates may be of the one, its tenants of the other
            raise BadJobsFile(name, 1, 1, "has changed while it was read: ask once more")


def _version(file: TextIO) -> tuple[int, int]:
    """Return what tells that a file was written to: its size, and when that was."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _counting(file: TextIO, told: Callable[[int], None] | None) -> Callable[[], None]:
    """Return what tells how many bytes more of a file have been read."""
    at = 0

    def count() -> None:
        nonlocal at
        if told:
            now = os.lseek(file.fileno(), 0, os.SEEK_CUR)
            told(max(0, now - at))
            at = max(at, now)

    return count


def _write(connection: Connection, work: JobsApply) -> None:
    from taglane.errors import OperatorNeeded  # noqa: PLC0415 - not for the help

    if connection.own_tenant and any(each.is_any for each in work.of_limits):
        raise OperatorNeeded("changing limits", connection.own_tenant)  # before anything is written
    try:
        with progress("applying", work.changed) as told:
            work.write(told)
    except BaseException:
        if work.changed:
            done = f"{work.written:,} of {work.changed:,} changed jobs are written, each of them whole"
            click.echo(f"note: {done}; the same apply again writes the rest", err=True)
        raise
