"""Decides what putting a job does, by what the server has of it: the next due, and the arguments of the call. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from taglane.errors import BadParams, BadSchedule, ParamsOverLimit
from taglane.model import envelope
from taglane.model.instant import format_instant
from taglane.model.job import Job
from taglane.model.schedule import After, At, Every, Manual, describe, next_due, to_json
from taglane.store import keys
from taglane.store.stored_job import StoredJob, UnreadJob

if TYPE_CHECKING:
    from taglane.model.limits import Limits


@dataclass(frozen=True, slots=True)
class Put:
    """What a put did: `next_due`, ms, is None for a job that waits for something else than time."""

    change: Literal["created", "updated", "unchanged"]
    revision: int
    next_due: int | None


Plan = tuple[Job, Put, Sequence[Any]]
"""A job as it is to be kept, what putting it does, and the arguments of the call, empty when it does nothing."""


def plan_put(job: Job, found: StoredJob | UnreadJob | None, now: int, payload_limit: int) -> Plan:
    """Decide what a put at *now*, ms, does; *payload_limit* is the most bytes that the job's envelope may take.

    Raises:
        BadParams: the params are over the limit.
        BadSchedule: the job would be due never, or in the past.
    """
    known = found if isinstance(found, StoredJob) else None
    old = known.job if known else None
    job = _anchored(job, old, now)
    if known and known.job.definition == job.definition:
        return job, Put("unchanged", known.revision, known.next_due), []
    if known and known.job.schedule == job.schedule:
        due, argument = known.next_due, "keep"
    else:
        due = _next(job, now)
        if due is None and not isinstance(job.schedule, Manual):
            raise BadSchedule(f"{_subject(job)} lies in the past: it would never be due")
        argument = _text(due)
    put = Put("updated" if known else "created", 0, None if known and known.paused else due)
    misfire = "" if job.misfire == "once" else job.misfire
    no_worker = "" if job.no_worker == "wait" else job.no_worker
    how = [argument, to_json(job.schedule), misfire, seen(found), no_worker]
    return job, put, [*_arguments(job, payload_limit), *how]


def resumed_due(job: Job, now: int) -> str:
    """Return when a job that is resumed at *now* is due next, as the call takes it."""
    return _text(_next(job, now))


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


def check_payload(job: Job, limits: Limits) -> None:
    """Check a job's params against the limits that its tenant has, or is about to get: the server does so again.

    Raises:
        ParamsOverLimit: they take more bytes than the tenant may send.
    """
    if limits.payload is not None and (size := len(_envelope(job).encode())) > limits.payload:
        raise ParamsOverLimit(job.tenant, size, limits.payload)


def _envelope(job: Job) -> str:
    return envelope.of_call(job.params, retry=job.retry, timeout=job.timeout, soft_timeout=job.soft_timeout)


def _arguments(job: Job, payload_limit: int) -> Sequence[str | int]:
    delay = job.schedule.delay if isinstance(job.schedule, After) else None
    return [
        job.name,
        job.definition,
        job.task,
        job.tag,
        keys.step_of(job.priority),
        sized(job.name, _envelope(job), payload_limit),
        _text(delay),
        job.overlap,
        _text(job.expires),
    ]


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _next(job: Job, now: int) -> int | None:
    """Return the first due after *now*, ms; a fixed delay counts in whole seconds, as after a run's end."""
    after = now // 1000 * 1000 if isinstance(job.schedule, After) else now
    return next_due(job.schedule, after=after, hash_id=f"{job.tenant}/{job.name}")


def _subject(job: Job) -> str:
    if isinstance(job.schedule, At):
        return f"at: {format_instant(job.schedule.instant)}"
    return f"job {job.name!r}: the end of {describe(job.schedule)!r}"


def _anchored(job: Job, old: Job | None, now: int) -> Job:
    """Hang a fixed rate without a start on the server's time, or leave it on the grid where it was."""
    schedule = job.schedule
    if not isinstance(schedule, Every) or schedule.start is not None:
        return job
    kept = old.schedule if old is not None else None
    if not isinstance(kept, Every) or replace(schedule, anchor=kept.anchor) != kept:
        kept = replace(schedule, anchor=now)
    return job.model_copy(update={"schedule": kept})
