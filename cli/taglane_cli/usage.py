"""`taglane usage`: what tenants and their jobs have used, by day."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from taglane_cli.options import tenant_option
from taglane_cli.render import output_option, show_list

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taglane.model.usage import DayUsage, Histogram

    from taglane_cli.connection import Connection

_COUNTS = ("succeeded", "failed", "cancelled", "expired", "dead", "retried", "due", "fired", "skipped", "missed")
_PERCENTS = (50, 95, 99)


@click.command()
@tenant_option
@click.option("--days", type=click.IntRange(1, 35), default=7, show_default=True, help="Up to today, UTC.")
@click.option(
    "--by",
    type=click.Choice(["day", "job", "tenant"]),
    help="A row for each tenant and day (default), for each of its jobs, too, or for all the days of a tenant.",
)
@click.option("--job", metavar="J", help="This job's rows alone.")
@output_option
@click.pass_obj
def usage(  # noqa: PLR0913 - one for each option
    connection: Connection, *, tenant: str | None, days: int, by: str | None, job: str | None, output: str
) -> None:
    """Show what tenants used: runs, fires, workers' seconds, waits.

    Each event counts for the day, UTC, on which it happened. DUE instants were FIRED, SKIPPED (a record was made) or
    MISSED (passed over). WAIT is from queue to start, of each attempt; LATE from due to run, of each fire: their
    percentiles are the ends of buckets, and the true ones less, by half at most.

    What tenants used is kept for 35 days, and what their jobs used for 8: of some 4,000 a day, and * is all others.
    """
    if job and by not in (None, "job"):
        raise click.UsageError(f"--job goes with --by job, and not with --by {by}")
    owners = connection.tenants_in_reach(tenant)
    store = connection.usage
    since, until = store.last_days(days)
    if job or by == "job":
        found = store.jobs_of(owners, since, until, job)
    elif by == "tenant":
        found = list(_sums(store.days_of(owners, since, until)))
    else:
        found = store.days_of(owners, since, until)
    show_list(
        [_row(each, output) for each in found],
        _columns(by="job" if job else by or "day"),
        output,
        empty=f"nothing was used from {since} to {until}",
    )


def _sums(days: Iterable[DayUsage]) -> Iterable[DayUsage]:
    from taglane.model.usage import total  # noqa: PLC0415 - not for the help

    sums = (total(group) for _, group in groupby(days, key=lambda each: each.tenant))
    return (found for found in sums if found is not None)


def _columns(by: str) -> list[str]:
    named = {"day": ["tenant", "day"], "job": ["tenant", "day", "job"], "tenant": ["tenant"]}[by]
    spans = [] if by == "job" else ["wait_p50_p95_p99", "late_p50_p95_p99"]
    return [*named, "runs", *_COUNTS, "worker_seconds", *spans]


def _row(each: DayUsage, output: str) -> dict[str, Any]:
    row: dict[str, Any] = {"tenant": each.tenant, "day": f"{each.day}", "job": each.job, "runs": each.made}
    row |= {name: getattr(each, name) for name in _COUNTS}
    row["worker_seconds"] = each.ms / 1000
    if output == "json":
        row |= {name: getattr(each, name) for name in ("triggered", "replayed", "died", "attempts")}
        for name, found in (("wait", each.wait), ("late", each.late)):
            row |= {f"{name}_p{percent}_ms": found.below(percent) for percent in _PERCENTS}
    else:
        row["worker_seconds"] = f"{each.ms / 1000:.1f}"
        row |= {"wait_p50_p95_p99": _told(each.wait), "late_p50_p95_p99": _told(each.late)}
    return row


def _told(found: Histogram) -> str | None:
    ends = [found.below(percent) for percent in _PERCENTS]
    return " ".join(_span(end) for end in ends if end is not None) or None


def _span(ms: int) -> str:
    """Return a duration that is a power of two, in ms: `512ms`, `4.1s`, `35m`."""
    for least, unit, name in ((3_600_000, 3_600_000, "h"), (120_000, 60_000, "m"), (1_000, 1_000, "s")):
        if ms >= least:
            return f"{ms / unit:.1f}{name}"
    return f"{ms}ms"
