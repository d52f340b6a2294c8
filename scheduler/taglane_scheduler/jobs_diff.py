"""Says what applying a jobs file changes, in the fields that a jobs file has. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from taglane.model.duration import format_duration
from taglane.model.instant import format_instant
from taglane.model.schedule import After, At, Cron, Every

if TYPE_CHECKING:
    from taglane.model.job import Job
    from taglane.model.retry import Retry


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one job, or of a tenant's limits: *job* is None then.

    *before* and *after* are its fields as a jobs file spells them, None where there is no such job, or none was asked.
    """

    tenant: str
    job: str | None
    change: Literal["created", "updated", "unchanged", "pruned"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    template: str | None = None
    """Of which template of the file the job is."""

    @property
    def is_any(self) -> bool:
        """Whether it changes anything."""
        return self.change != "unchanged"

    @property
    def subject(self) -> str:
        """What it is about, in a line: `acme/report`, `acme limits`."""
        return f"{self.tenant} limits" if self.job is None else f"{self.tenant}/{self.job}"


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
