"""`taglane export`, `taglane tenant export`: write jobs as a jobs file, and all that is kept of a tenant as files."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from taglane_cli.options import tenant_option
from taglane_cli.progress import progress
from taglane_cli.render import jsonable, output_option, show_list, show_one
from taglane_cli.run_logs import fields_of
from taglane_cli.runs import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taglane.model.job import Job
    from taglane.model.limits import Limits
    from taglane.store.stored_job import StoredJob, UnreadJob

    from taglane_cli.connection import Connection

JOBS, RUNS, LEDGER, LOGS = "jobs.yaml", "runs.jsonl", "ledger.json", "logs.jsonl"
_AT_ONCE = 50  # tenants whose jobs are read together
_COLUMNS = ("tenant", "folder", "jobs", "runs", "days")


@click.command("export")
@tenant_option
@click.pass_obj
def export_jobs(connection: Connection, tenant: str | None) -> None:
    """Print the jobs and limits of tenants as a jobs file.

    Of one tenant, or of all that the credential reaches. `taglane diff -f` finds no difference to it, and `taglane
    apply -f` takes it back.
    """
    tenants = connection.tenants_in_reach(tenant)
    with progress("exporting", len(tenants)) as told:
        for part in _jobs_file(connection, tenants, told, Counter()):
            click.echo(part, nl=False)


@click.command("export")
@click.argument("name", required=False)
@click.option("--all", "all_", is_flag=True, help="Of every tenant, each into a folder of its name.")
@click.option("-d", "--dir", "folder", required=True, metavar="DIR", help="Where to; made when it is missing.")
@click.option("--logs", is_flag=True, help="What its runs have logged, too.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@output_option
@click.pass_obj
def export_tenant(  # noqa: PLR0913 - one for each option
    connection: Connection, *, name: str | None, all_: bool, folder: str, logs: bool, force: bool, output: str
) -> None:
    """Write what is kept of a tenant into a folder.

    \b
    jobs.yaml    its jobs and limits, for  taglane apply -f
    runs.jsonl   its kept runs, the oldest first, one a line as  taglane run show -o json  has it
    ledger.json  what was counted of it, by the day
    logs.jsonl   with --logs: what its kept runs have logged, one line each as  taglane run logs -o json  has it
    """  # noqa: D301 - click's mark for lines to be left alone
    if (name is None) != all_:
        raise click.UsageError("Give a tenant's NAME, or --all.")
    target = Path(folder)
    tenants = connection.tenants_in_reach(None) if name is None else [connection.tenant(name)]
    folders = {tenant: target / tenant if all_ else target for tenant in tenants}
    if not force:
        files = (JOBS, RUNS, LEDGER, *([LOGS] if logs else []))
        _check_free([each / file for each in folders.values() for file in files])
    rows = [_export(connection, tenant, each, logs=logs) for tenant, each in folders.items()]
    if all_:
        show_list(rows, list(_COLUMNS), output, empty="no tenant yet:  taglane tenant create NAME")
    else:
        show_one(rows[0], output)


def _export(connection: Connection, tenant: str, folder: Path, *, logs: bool) -> dict[str, Any]:
    """Write the files of one tenant; return what is in them."""
    parts = list(_jobs_file(connection, [tenant], None, counts := Counter[str]()))
    runs = 0
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _replacing(folder / JOBS) as file:
            file.writelines(parts)
        with _replacing(folder / RUNS) as file:
            for info in connection.history.runs(tenant):
                file.write(json.dumps(whole(info), default=jsonable) + "\n")
                runs += 1
        with _replacing(folder / LEDGER) as file:
            ledger = connection.history.ledger(tenant)
            file.write(json.dumps(ledger, indent=2) + "\n")
        if logs:
            with _replacing(folder / LOGS) as file:
                for line in _logged(connection, tenant):
                    file.write(json.dumps(line) + "\n")
    connection.note("export", tenant, jobs=counts["jobs"], runs=runs, to=str(folder))
    return dict(zip(_COLUMNS, (tenant, str(folder), counts["jobs"], runs, len(ledger)), strict=True))


def _logged(connection: Connection, tenant: str) -> Iterator[dict[str, str | int]]:
    """Yield the lines of every kept run; one that is trimmed meanwhile has none."""
    from taglane.errors import RunNotFound  # noqa: PLC0415 - not for the help

    for info in connection.history.runs(tenant):
        with suppress(RunNotFound):
            for line in connection.logs.all(info.id, tenant):
                yield {"run": info.id, **fields_of(line)}


def _jobs_file(
    connection: Connection, tenants: Sequence[str], told: Callable[[int], None] | None, counts: Counter[str]
) -> Iterator[str]:
    """Yield the parts of the jobs file of these tenants, and count its jobs; what it can't hold is said on stderr."""
    from taglane_scheduler.jobs_text import jobs_file  # noqa: PLC0415 - not for the help

    def read() -> Iterator[tuple[str, Limits, Sequence[Job]]]:
        for start in range(0, len(tenants), _AT_ONCE):
            some = tenants[start : start + _AT_ONCE]
            limits = connection.limits.get_many(some)
            states = connection.limits.states(some)
            found = connection.jobs.list_many(some)
            for tenant, (jobs, unread) in found.items():
                _say_what_is_lost(tenant, jobs, unread, states[tenant])
                counts["jobs"] += len(jobs)
                yield tenant, limits[tenant], [stored.job for stored in jobs]
            if told:
                told(len(some))

    yield from jobs_file(read())


def _say_what_is_lost(tenant: str, jobs: Sequence[StoredJob], unread: Sequence[UnreadJob], state: str) -> None:
    for each in unread:
        click.echo(f"note: left out: {each.error()}", err=True)
    for stored in jobs:
        if stored.paused:
            again = f"taglane job pause {stored.job.name} --tenant {tenant}"
            click.echo(
                f"note: a jobs file can't say that a job is paused; after an apply elsewhere:  {again}", err=True
            )
    if state:
        click.echo(f"note: the file can't say that tenant {tenant} is {state}", err=True)


def _check_free(paths: Sequence[Path]) -> None:
    there = next((path for path in paths if path.exists()), None)
    if there is not None:
        raise click.UsageError(f"{there} is there already: take another folder, or write over it with --force.")


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """Open a file beside *path*, and put it in its place once all is written: whoever looks finds the whole or none.

    It holds what a tenant's tasks were given and returned, and so is for nobody's eyes but its owner's.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode=0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Say in a line what the system has against the folder."""
    try:
        yield
    except OSError as error:
        raise click.FileError(str(error.filename or folder), error.strerror) from error
