"""A job as the server keeps it: what its readers ask for, and how that is read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.errors import JobTooNew, ServerUnavailable
from taglane.model.job import Job, TooNew
from taglane.model.schedule import upcoming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.errors import TaglaneError

FIELDS = ("definition", "revision", "created", "paused", "last", "last_due", "born")
"""What a reader asks a job's hash for, in the order in which `stored_job` takes it."""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as the server keeps it. Times are ms since 1970."""

    job: Job
    revision: int
    created: int
    paused: bool
    next_due: int | None
    last_run: str | None
    """The id of the run that it last made: by a fire that was not skipped, or by a trigger."""
    last_due: int | None
    parked: int = 0
    """How many runs wait for its last one to end."""
    born: str = ""
    """What tells it from an earlier job of the same name."""

    def coming(self, count: int, *, now: int, after: int | None = None) -> Sequence[int]:
        """Return when it fires next, ms: first when the server says, unless asked for the times *after* an instant."""
        schedule, hash_id = self.job.schedule, f"{self.job.tenant}/{self.job.name}"
        if after is None and self.next_due is not None:
            return [self.next_due, *upcoming(schedule, now=self.next_due, count=count - 1, hash_id=hash_id)]
        if after is None and self.paused:
            return []
        return upcoming(schedule, now=now if after is None else after, count=count, hash_id=hash_id)


@dataclass(frozen=True, slots=True)
class UnreadJob:
    """A job that is there and can't be read."""

    tenant: str
    name: str
    too_new: str = ""
    """What a newer Taglane has written in it; '' when the record is spoiled."""

    def error(self) -> TaglaneError:
        """Return what to raise for it."""
        if self.too_new:
            return JobTooNew(self.tenant, self.name, self.too_new)
        subject = f"job {self.name!r} of tenant {self.tenant!r}"
        return ServerUnavailable(f"the record of {subject} can't be read: put the job again")


@dataclass(frozen=True, slots=True)
class KeptJob:
    """What the server keeps of a job, perhaps nothing: to be read only where that matters."""

    tenant: str
    name: str
    fields: Any
    """The values of `FIELDS`, or the error that was answered in their place."""

    @property
    def definition(self) -> str | None:
        """Its definition as it was written; None for no job, or what is none of ours."""
        text = None if isinstance(self.fields, Exception) else self.fields[0]
        return None if text is None else text.decode(errors="replace")

    def read(self) -> StoredJob | UnreadJob | None:
        """Read it; None when there is no such job. When it is due, and what is parked, are not in it."""
        return stored_job(self.tenant, self.name, self.fields, None, None)


def stored_job(tenant: str, name: str, fields: Any, due: Any, parked: Any) -> StoredJob | UnreadJob | None:
    """Read the values of `FIELDS`, the job's score in `due` and how much is parked; None when there is no such job."""
    if isinstance(fields, Exception):
        return UnreadJob(tenant, name)
    definition, revision, created, paused, last, last_due, born = fields
    if definition is None:
        return UnreadJob(tenant, name) if any(fields) else None
    try:
        return StoredJob(
            job=Job.from_definition(tenant, name, definition),
            revision=int(revision),
            created=int(created),
            paused=bool(paused),
            next_due=int(due) if isinstance(due, float) else None,
            last_run=last.decode() if last else None,
            last_due=int(last_due) if last_due else None,
            parked=parked if isinstance(parked, int) else 0,
            born=born.decode() if born else "",
        )
    except TooNew as error:
        return UnreadJob(tenant, name, error.what)
    except (ValueError, TypeError):  # pydantic's ValidationError is one
        return UnreadJob(tenant, name)
