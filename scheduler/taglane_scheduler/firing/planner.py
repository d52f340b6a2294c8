"""Decides what becomes of the jobs that are due: which instant is fired, under which id, and when each is due next.

Pure: no Redis, no clock. Two schedulers that plan for the same due instant make the same claim, so one of them wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taglane.model.names import fired_run_id
from taglane.model.schedule import After, from_json, next_due

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taglane.model.schedule import Schedule

GRACE_MS = 60_000
"""How late a due instant may be before we say that it was missed. Within it every instant is fired, one by one."""


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job as `look` lists it: due at *due*, ms, by its *schedule*, JSON."""

    name: str
    due: int
    revision: str
    created: str
    schedule: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One due instant of a job to turn into the run *run_id*; without one, the due only moves to *next_due*.

    The claim holds as long as the job's due and revision are what they were when it was read.
    """

    job: str
    due: int
    revision: str
    next_due: int | None
    run_id: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to claim, and the names of the jobs whose schedule can't be read: those are left alone."""

    claims: list[Claim]
    unreadable: list[str]


def plan(tenant: str, jobs: Iterable[DueJob], *, now: int) -> Plan:
    """Plan the due *jobs* of a tenant at the server's time *now*, ms."""
    claims: list[Claim] = []
    unreadable: list[str] = []
    for job in jobs:
        try:
            claims.append(_claim(tenant, job, from_json(job.schedule), now))
        except (ValueError, TypeError, RecursionError):
            unreadable.append(job.name)
    return Plan(claims, unreadable)


def _claim(tenant: str, job: DueJob, schedule: Schedule, now: int) -> Claim:
    if schedule.start is not None and job.due < schedule.start:
        return Claim(job.name, job.due, job.revision, _first(tenant, job.name, schedule), None)
    if schedule.end is not None and job.due >= schedule.end:
        return Claim(job.name, job.due, job.revision, None, None)
    run_id = fired_run_id(tenant, job.name, job.created, job.due)
    return Claim(job.name, job.due, job.revision, _following(tenant, job, schedule, now), run_id)


def _following(tenant: str, job: DueJob, schedule: Schedule, now: int) -> int | None:
    """Return when the job is due after this instant: a missed one stands for all that were missed with it."""
    if isinstance(schedule, After):
        return None  # the end of the run says when
    missed = now - job.due > GRACE_MS
    return next_due(schedule, after=now if missed else job.due, hash_id=f"{tenant}/{job.name}")


def _first(tenant: str, name: str, schedule: Schedule) -> int | None:
    return next_due(schedule, after=(schedule.start or 0) - 1, hash_id=f"{tenant}/{name}")
