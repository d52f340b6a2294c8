"""`taglane job`: add jobs, see when they are due, pause, trigger and delete them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.options import params_option, read_params, tenant_option
from taglane_cli.render import Instant, instant, iso, output_option, show_json, show_list, show_one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.stored_job import StoredJob

    from taglane_cli.connection import Connection

_SHOWN = 3
"""How many of the next times a job just added is shown with."""


@click.group()
def job() -> None:
    """Add jobs, see when they are due, pause and trigger them."""


@job.command()
@click.argument("name")
@tenant_option
@click.option("--task", required=True, metavar="DOTTED", help="The Celery task's name, like shop.tasks.report.")
@click.option("--cron", metavar="E", help="5 fields, 6 with seconds first, or an alias like @daily.")
@click.option("--every", metavar="DURATION", help="A fixed rate, like 30s.")
@click.option("--after", metavar="DURATION", help="A fixed delay, counted from the end of the last run, like 5m.")
@click.option("--at", metavar="ISO", help="Once, like 2026-11-22T09:00:00Z.")
@click.option("--manual", is_flag=True, help="Never by itself: only when triggered.")
@click.option(
    "--tz", metavar="Z", help="The IANA time zone of --cron, and of instants without an offset [default: UTC]."
)
@params_option
@click.option("--tag", metavar="TAG", help="Which workers it asks for [default: the tenant's own tag].")
@click.option("--start", metavar="ISO", help="The first instant at which it may be due.")
@click.option("--end", metavar="ISO", help="The instant from which on it is not due any more.")
@click.option(
    "--overlap",
    metavar="skip|queue|allow|cancel_running",
    default="skip",
    help="While the last run still goes: skip the next, queue it up, run it beside, or in its place [default: skip].",
)
@click.option(
    "--misfire",
    metavar="once|skip|all",
    default="once",
    help="Of the times that no scheduler was there for: run once, never, or for all of them [default: once].",
)
@click.option(
    "--no-worker",
    metavar="wait[:DURATION]|skip|fail|overflow:TAG",
    default="wait",
    help="While no worker serves the tag: wait for one (a day, or as --expires says), or so long at most; skip; fail at"
    " once; or ask for another tag [default: wait].",
)
@click.option("--priority", type=click.IntRange(0, 9), default=0, help="0 is served first [default: 0].")
@click.option("--expires", metavar="DURATION", help="How long a run may wait for a worker.")
@click.option(
    "--retry",
    metavar="N|FIELD=VALUE,...",
    help="Tries in all, like 5; or like attempts=5,delay=10s,backoff=fixed,max_delay=5m,jitter=false,"
    "on=ConnectionError+TimeoutError, of which attempts alone is needed.",
)
@click.option("--timeout", metavar="DURATION", help="How long an execution may take before it is killed.")
@click.option("--soft-timeout", metavar="DURATION", help="How long it may take before its task gets an exception.")
@output_option
@click.pass_obj
def add(connection: Connection, /, name: str, tenant: str | None, output: str, **fields: Any) -> None:
    """Add a job, or change the one of that name; shows when it fires next."""
    from taglane.model.job import make_job  # noqa: PLC0415 - not for the help

    owner = connection.tenant(tenant)
    fields["params"] = read_params(fields["params"])
    fields["retry"] = _read_retry(fields["retry"])
    wanted = make_job(owner, name, **fields)
    put = connection.jobs.put(wanted)
    connection.note("job-put", owner, job=name, change=put.change, revision=put.revision)
    stored = connection.jobs.get(owner, name)
    coming = stored.coming(_SHOWN, now=_now())
    if output == "json":
        head = {"tenant": owner, "job": name, "change": put.change, "revision": put.revision}
        show_json({**head, "next": [Instant(due) for due in coming]})
    else:
        click.echo(f"{put.change} job {name} of tenant {owner}: {_schedule(stored)}, tag {stored.job.tag}")
        for due in coming:
            click.echo(f"  fires {iso(due)}")
    if stored.paused:
        click.echo(f"note: it is paused:  taglane job resume {name} --tenant {owner}", err=True)
    connection.note_missing_worker(stored.job.tag)


@job.command("next")
@click.argument("name", required=False)
@tenant_option
@click.option("--cron", metavar="E", help="Instead of a job: any cron expression.")
@click.option("--tz", metavar="Z", help="Its time zone [default: UTC].")
@click.option("--from", "since", metavar="ISO", help="The times after this instant [default: now].")
@click.option("-n", "--count", type=click.IntRange(1, 1_000), default=5, show_default=True, help="How many.")
@output_option
@click.pass_obj
def next_(
    connection: Connection, /, name: str | None, tenant: str | None, count: int, output: str, **given: Any
) -> None:
    """Show when a job, or a cron expression, fires next."""
    from taglane.errors import BadSchedule  # noqa: PLC0415 - not for the help
    from taglane.model.instant import parse_instant  # noqa: PLC0415
    from taglane.model.schedule import Cron, upcoming  # noqa: PLC0415

    cron, tz, since = given["cron"], given["tz"], given["since"]
    if (name is None) == (cron is None):
        raise click.UsageError("Give a job's NAME with --tenant, or --cron.")
    try:
        after = None if since is None else parse_instant(since, tz or "UTC")
        cron_schedule = None if cron is None else Cron(expr=cron, tz=tz or "UTC")
    except ValueError as error:
        raise BadSchedule(str(error)) from error
    if cron_schedule is not None:
        coming: Sequence[int] = upcoming(cron_schedule, now=_now() if after is None else after, count=count)
    else:
        stored = connection.jobs.get(connection.tenant(tenant), str(name))
        coming = stored.coming(count, now=_now(), after=after)
    if output == "json":
        show_json([Instant(due) for due in coming])
    else:
        for due in coming:
            click.echo(iso(due))


@job.command("list")
@tenant_option
@output_option
@click.pass_obj
def list_(connection: Connection, tenant: str | None, output: str) -> None:
    """List jobs, of one tenant or of all."""
    found = [connection.jobs.list_all(each) for each in connection.tenants_in_reach(tenant)]
    rows = [_row(stored) for jobs, _ in found for stored in jobs]
    for job in (job for _, unread in found for job in unread):
        click.echo(f"note: {job.error()}", err=True)
    columns = ["tenant", "job", "task", "schedule", "tag", "paused", "next", "last_run"]
    some = any(unread for _, unread in found)
    none = "no job that can be read" if some else "no job yet"
    empty = f"{none}:  taglane job add NAME --tenant T --task DOTTED --every 30s"
    show_list(rows, columns, output, empty=empty)


@job.command()
@click.argument("name")
@tenant_option
@output_option
@click.pass_obj
def show(connection: Connection, name: str, tenant: str | None, output: str) -> None:
    """Show a job's whole definition."""
    stored = connection.jobs.get(connection.tenant(tenant), name)
    more = {
        "params": stored.job.params,
        "overlap": stored.job.overlap,
        "parked": stored.parked,
        "misfire": stored.job.misfire,
        "no_worker": stored.job.no_worker,
        "priority": stored.job.priority,
        "expires_ms": stored.job.expires,
        "retry": stored.job.retry.spelled() if stored.job.retry else None,
        "timeout_ms": stored.job.timeout,
        "soft_timeout_ms": stored.job.soft_timeout,
        "revision": stored.revision,
        "created": instant(stored.created),
    }
    show_one({**_row(stored), **more}, output)


@job.command()
@click.argument("name")
@tenant_option
@output_option
@click.pass_obj
def pause(connection: Connection, name: str, tenant: str | None, output: str) -> None:
    """Stop firing a job until it is resumed; what it made goes on."""
    owner = connection.tenant(tenant)
    stored = connection.jobs.pause(owner, name)
    connection.note("job-pause", owner, job=name)
    show_one(_row(stored), output)


@job.command()
@click.argument("name")
@tenant_option
@output_option
@click.pass_obj
def resume(connection: Connection, name: str, tenant: str | None, output: str) -> None:
    """Fire a paused job again, from now on."""
    owner = connection.tenant(tenant)
    stored = connection.jobs.resume(owner, name)
    connection.note("job-resume", owner, job=name)
    show_one(_row(stored), output)


@job.command()
@click.argument("name")
@tenant_option
@params_option
@output_option
@click.pass_obj
def trigger(connection: Connection, name: str, tenant: str | None, params: str | None, output: str) -> None:
    """Run a job once, now, paused or not; print the run's id."""
    owner = connection.tenant(tenant)
    run_id = connection.jobs.trigger(owner, name, read_params(params))
    connection.note("job-trigger", owner, job=name, run=run_id)
    show_json({"id": run_id, "tenant": owner, "job": name}) if output == "json" else click.echo(run_id)


@job.command()
@click.argument("name")
@tenant_option
@output_option
@click.pass_obj
def delete(connection: Connection, name: str, tenant: str | None, output: str) -> None:
    """Forget a job; its runs stay, but those are cancelled that wait for its last one.

    A run of it that goes on is not stopped; a job of that name that is added again waits for its end, as its overlap
    says.
    """
    owner = connection.tenant(tenant)
    connection.jobs.delete(owner, name)
    connection.note("job-delete", owner, job=name)
    if output == "json":
        show_json({"tenant": owner, "job": name, "deleted": True})
    else:
        click.echo(f"deleted job {name} of tenant {owner}")


def _read_retry(text: str | None) -> int | dict[str, Any] | None:
    """Return what `--retry` says, as a jobs file would: `5`, or `attempts=5,delay=10s,on=A+B`.

    Raises:
        BadSchedule: a part of it is no FIELD=VALUE, or is there twice.
    """
    from taglane.errors import BadSchedule  # noqa: PLC0415 - not for the help

    if text is None:
        return None
    if "=" not in text and text.isascii() and text.isdigit():
        return {"attempts": _retry_value("attempts", text)}
    fields: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or name in fields:
            why = "is there twice" if equals else "is no FIELD=VALUE"
            raise BadSchedule(f"retry: {part!r} {why}: write it like 5 or attempts=5,delay=10s,on=ConnectionError")
        fields[name] = _retry_value(name, value)
    return fields


def _retry_value(name: str, text: str) -> Any:
    if name == "on":
        return text.split("+")
    if name == "attempts" and text.isascii() and text.isdigit() and len(text) < 20:  # Python won't read just any
        return int(text)
    return {"true": True, "false": False}.get(text, text) if name == "jitter" else text


def _now() -> int:
    return time.time_ns() // 1_000_000


def _row(stored: StoredJob) -> dict[str, Any]:
    return {
        "tenant": stored.job.tenant,
        "job": stored.job.name,
        "task": stored.job.task,
        "schedule": _schedule(stored),
        "tag": stored.job.tag,
        "paused": stored.paused,
        "next": instant(stored.next_due),
        "last_run": stored.last_run,
        "last_due": instant(stored.last_due),
    }


def _schedule(stored: StoredJob) -> str:
    from taglane.model.schedule import describe  # noqa: PLC0415 - not for the help

    return describe(stored.job.schedule)
