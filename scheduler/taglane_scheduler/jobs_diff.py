"""Decides what applying a jobs file changes. Pure.

A job is compared as its author wrote it: the anchor of a fixed rate, which the server chose, is no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from taglane.model.duration import format_duration
from taglane.model.instant import format_instant
from taglane.model.schedule import After, At, Cron, Every

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taglane.model.job import Job
    from taglane.model.retry import Retry


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one job; *before* and *after* are its fields, None where there is no such job."""

    tenant: str
    job: str
    change: Literal["created", "updated", "unchanged", "pruned"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def changes(wanted: Iterable[Job], stored: Iterable[Job], *, prune: bool) -> list[Change]:
    """Compare the jobs of a file with those of the same tenants on the server; in the file's order, the pruned last."""
    known = {(job.tenant, job.name): fields_of(job) for job in stored}
    found = []
    for job in wanted:
        before, after = known.pop((job.tenant, job.name), None), fields_of(job)
        if before is None:
            found.append(Change(job.tenant, job.name, "created", None, after))
        else:
            found.append(Change(job.tenant, job.name, "unchanged" if before == after else "updated", before, after))
    if prune:
        found += [Change(tenant, name, "pruned", before, None) for (tenant, name), before in sorted(known.items())]
    return found


def fields_of(job: Job) -> dict[str, Any]:
    """Return a job's fields as a jobs file spells them, without those that have their default."""
    schedule = job.schedule
    fields: dict[str, Any] = {"task": job.task}
    match schedule:
        case Cron():
            fields["cron"] = schedule.expr
        case Every():
            fields["every"] = format_duration(schedule.interval)
        case After():
            fields["after"] = format_duration(schedule.delay)
        case At():
            fields["at"] = format_instant(schedule.instant)
        case _:
            fields["manual"] = True
    optional = {
        "timezone": None if schedule.tz == "UTC" else schedule.tz,
        "start": None if schedule.start is None else format_instant(schedule.start),
        "end": None if schedule.end is None else format_instant(schedule.end),
        "params": job.params or None,
        "tag": None if job.tag == job.tenant else job.tag,
        "priority": job.priority or None,
        "overlap": None if job.overlap == "skip" else job.overlap,
        "misfire": None if job.misfire == "once" else job.misfire,
        "no_worker": None if job.no_worker == "wait" else job.no_worker,
        "expires": _duration(job.expires),
        "retry": None if job.retry is None else _retry(job.retry),
        "timeout": _duration(job.timeout),
        "soft_timeout": _duration(job.soft_timeout),
    }
    return {**fields, **{name: value for name, value in optional.items() if value is not None}}


def _duration(value: int | None) -> str | None:
    return None if value is None else format_duration(value)


def _retry(retry: Retry) -> int | dict[str, Any]:
    spelled = retry.spelled()
    return retry.attempts if set(spelled) == {"attempts"} else spelled
