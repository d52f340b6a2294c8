"""Decides what putting a job does, by what the server has of it: the next due, and the arguments of the call. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from taglane.errors import BadParams, BadSchedule, ParamsOverLimit
from taglane.model import envelope
from taglane.model.instant import format_instant
from taglane.model.job import Job
from taglane.model.schedule import After, At, Every, Manual, describe, from_json, next_due, sorted_json, to_json
from taglane.store import keys
from taglane.store.stored_job import StoredJob, UnreadJob

if TYPE_CHECKING:
    from taglane.model.limits import Limits
    from taglane.model.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Put:
    """What a put did: `next_due`, ms, is None for a job that waits for something else than time."""

    change: Literal["created", "updated", "unchanged"]
    revision: int
    next_due: int | None


Plan = tuple[Job, Put, Sequence[Any]]
"""A job as it is to be kept, what putting it does, and the arguments of the call, empty when it does nothing."""


class Prepared(NamedTuple):
    """A job as a put sends it, in texts alone, without what depends on the server: small to keep, quick to compare.

    head, tail  the definition before its schedule and behind that
    schedule    as `to_json` writes it; of a fixed rate without a start the anchor is 0 until the job is put
    floats      whether that is so, '1' or ''
    The others are what the call takes of them.
    """

    name: str
    head: str
    tail: str
    schedule: str
    floats: str
    task: str
    tag: str
    step: str
    envelope: str
    delay: str
    overlap: str
    expires: str
    misfire: str
    no_worker: str

    def of(self, tag: str) -> Prepared:
        """Return the same job of a tenant whose own tag this is, in the place of the tenant's for which it was made."""
        # Behind the schedule stand numbers, the tag and the task, in whose names there is no quote.
        return self._replace(tag=tag, tail=self.tail.replace(f'"tag":"{self.tag}"', f'"tag":"{tag}"'))

    def definition(self, schedule: str) -> str:
        """Return its definition with this schedule, as `to_json` wrote it."""
        return f"{self.head}{sorted_json(from_json(schedule))}{self.tail}"

    def job(self, tenant: str) -> Job:
        """Return the job."""
        return Job.from_definition(tenant, self.name, self.definition(self.schedule))

    def is_as(self, definition: str) -> bool:
        """Whether a definition that was kept says the same, wherever it hangs on the grid."""
        if not self.floats:
            return definition == self.definition(self.schedule)
        before = f'{self.head}{{"anchor":'
        after = sorted_json(from_json(self.schedule)).removeprefix('{"anchor":0') + self.tail
        if not (definition.startswith(before) and definition.endswith(after)):
            return False
        anchor = definition[len(before) : len(definition) - len(after)]
        return anchor.isascii() and anchor.isdigit()


class Planned(NamedTuple):
    """What putting a prepared job does. *due*, *schedule* and *seen* are arguments of the call."""

    change: Literal["created", "updated", "unchanged"]
    due: str = ""
    schedule: str = ""
    seen: str = ""

    def arguments(self, job: Prepared) -> Sequence[str]:
        """Return what `put` is called with."""
        return [
            *(job.name, job.definition(self.schedule), job.task, job.tag, job.step, job.envelope, job.delay),
            *(job.overlap, job.expires, self.due, self.schedule, job.misfire, self.seen, job.no_worker),
        ]


def prepare(job: Job) -> Prepared:
    """Return a job as a put sends it."""
    schedule, floats = job.schedule, ""
    if isinstance(schedule, Every) and schedule.start is None:
        schedule, floats = replace(schedule, anchor=0), "1"
    head, tail = job.around_schedule
    return Prepared(
        name=job.name,
        head=head,
        tail=tail,
        schedule=to_json(schedule),
        floats=floats,
        task=job.task,
        tag=job.tag,
        step=str(keys.step_of(job.priority)),
        envelope=envelope.of_call(job.params, retry=job.retry, timeout=job.timeout, soft_timeout=job.soft_timeout),
        delay=_text(schedule.delay if isinstance(schedule, After) else None),
        overlap=job.overlap,
        expires=_text(job.expires),
        misfire="" if job.misfire == "once" else job.misfire,
        no_worker="" if job.no_worker == "wait" else job.no_worker,
    )


def plan(tenant: str, job: Prepared, found: StoredJob | UnreadJob | None, now: int, payload_limit: int) -> Planned:
    """Decide what a put at *now*, ms, does; what can't be read is put over.

    *payload_limit* is the most bytes that the job's envelope may take.

    Raises:
        BadParams: the params are over the limit.
        JobTooNew: a newer Taglane wrote what is there.
        BadSchedule: the job would be due never, or in the past.
    """
    if isinstance(found, UnreadJob) and found.too_new:
        raise found.error()
    known = found if isinstance(found, StoredJob) else None
    if known and job.is_as(known.job.definition):
        return Planned("unchanged")
    sized(job.name, job.envelope, payload_limit)
    schedule = _anchored(from_json(job.schedule), known.job.schedule if known else None, now, floats=bool(job.floats))
    if known and known.job.schedule == schedule:
        return Planned("updated", "keep", to_json(schedule), seen(found))
    due = _next(schedule, now, f"{tenant}/{job.name}")
    if due is None and not isinstance(schedule, Manual):
        raise BadSchedule(f"{_subject(job.name, schedule)} lies in the past: it would never be due")
    return Planned("updated" if known else "created", _text(due), to_json(schedule), seen(found))


def plan_put(job: Job, found: StoredJob | UnreadJob | None, now: int, payload_limit: int) -> Plan:
    """Decide what a put at *now*, ms, does; *payload_limit* is the most bytes that the job's envelope may take.

    Raises:
        BadParams: the params are over the limit.
        JobTooNew: a newer Taglane wrote what is there.
        BadSchedule: the job would be due never, or in the past.
    """
    known = found if isinstance(found, StoredJob) else None
    prepared = prepare(job)
    planned = plan(job.tenant, prepared, found, now, payload_limit)
    if known and planned.change == "unchanged":
        return known.job, Put("unchanged", known.revision, known.next_due), []
    due = known.next_due if known and planned.due == "keep" else int(planned.due) if planned.due else None
    put = Put(planned.change, 0, None if known and known.paused else due)
    kept = job.model_copy(update={"schedule": from_json(planned.schedule)})
    return kept, put, planned.arguments(prepared)


def resumed_due(job: Job, now: int) -> str:
    """Return when a job that is resumed at *now* is due next, as the call takes it."""
    return _text(_next(job.schedule, now, f"{job.tenant}/{job.name}"))


def seen(found: StoredJob | UnreadJob | None) -> str:
    """Return what put and pause are told of the job that the caller planned by; a spoiled record is put over."""
    if isinstance(found, UnreadJob):
        return ""
    return f"{found.revision}-{found.born}" if found else "0"


def sized(name: str, text: str, limit: int) -> str:
    """Return a job's envelope.

    Raises:
        BadParams: it takes more than *limit* bytes.
    """
    size = len(text.encode())
    if size > limit:
        raise BadParams(f"params of job {name!r} take {size} bytes: the limit is {limit} (TAGLANE_PAYLOAD_LIMIT)")
    return text


def check_payload(tenant: str, job: Prepared, limits: Limits) -> None:
    """Check a job's params against the limits that its tenant has, or is about to get: the server does so again.

    Raises:
        ParamsOverLimit: they take more bytes than the tenant may send.
    """
    if limits.payload is not None and (size := len(job.envelope.encode())) > limits.payload:
        raise ParamsOverLimit(tenant, size, limits.payload)


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _next(schedule: Schedule, now: int, hash_id: str) -> int | None:
    """Return the first due after *now*, ms; a fixed delay counts in whole seconds, as after a run's end."""
    after = now // 1000 * 1000 if isinstance(schedule, After) else now
    return next_due(schedule, after=after, hash_id=hash_id)


def _subject(name: str, schedule: Schedule) -> str:
    if isinstance(schedule, At):
        return f"at: {format_instant(schedule.instant)}"
    return f"job {name!r}: the end of {describe(schedule)!r}"


def _anchored(schedule: Schedule, kept: Schedule | None, now: int, *, floats: bool) -> Schedule:
    """Hang a fixed rate without a start on the server's time, or leave it on the grid where it was."""
    if not floats or not isinstance(schedule, Every):
        return schedule
    if isinstance(kept, Every) and replace(schedule, anchor=kept.anchor) == kept:
        return kept
    return replace(schedule, anchor=now)
