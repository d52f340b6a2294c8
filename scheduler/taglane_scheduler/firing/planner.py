"""Decides what becomes of the jobs that are due: which instant is fired, under which id, and when each is due next.

Pure: no Redis, no clock. Two schedulers that plan for the same due instant make the same claim, so one of them wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from taglane.model.duration import format_duration
from taglane.model.instant import format_instant
from taglane.model.names import fired_run_id
from taglane.model.no_worker import DAY_MS, read_no_worker
from taglane.model.schedule import After, Cron, Every, count_due, from_json, next_due

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taglane.model.schedule import Schedule

GRACE_MS = 60_000
"""How late a due instant may be before we say that it was missed. Within it every instant is fired, one by one."""

MADE_UP = 100
"""Missed instants of a job, at most, that `misfire: all` makes up for; more are counted up to as many again."""

PACE_MS = 100
"""Between two runs that make up for missed instants: ten a second, a job."""

CALLS = 2_000
"""Instants that one step looks for to make up for what was missed, or to count it: each may cost croniter 0.3 ms."""

COUNTED_MS = 35 * 86_400_000
"""For how long back what was missed is counted: as long as the ledger is kept."""


class Unserved(NamedTuple):
    """A tag that no living worker serves, and what its job says of that: *policy* is '' for wait."""

    tag: str
    policy: str = ""
    expires: bool = False
    """Whether the job's runs expire anyway, by its own `expires`."""


class DueJob(NamedTuple):
    """A job as `look` lists it: due at *due*, ms, by its *schedule*, JSON; *misfire* is '' for once."""

    name: str
    due: int
    revision: str
    created: str
    schedule: str
    misfire: str = ""
    unserved: Unserved | None = None
    """None when a worker serves its tag, as nearly always."""


class Claim(NamedTuple):
    """One due instant of a job to turn into the run *run_id*; without one, the due only moves to *next_due*.

    The claim holds as long as the job's due and revision are what they were when it was read.
    """

    job: str
    due: int
    revision: str
    next_due: int | None
    run_id: str | None
    delay: int = 0
    """How long, ms, its run waits before it may be served."""

    skipped: str = ""
    """Why its run is a record alone, in the state `skipped`."""

    missed: int = 0
    """How many instants between *due* and *next_due* are passed over: no run stands for them, and no record.

    Where a step has too much to count it is 0, and of an outage longer than `COUNTED_MS` it counts the end.
    """

    failed: str = ""
    """Why its run ends as `failed` at once."""

    ttl: int = 0
    """How long, ms, its run waits for a worker at most; 0: as the job's own `expires` says."""

    tag: str = ""
    """The tag that its run asks for instead of the job's own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to claim: the claims of a job stand together, each due where the one before it moves the due to."""

    claims: list[Claim]
    unreadable: list[str]
    """The names of the jobs whose schedule can't be read: those are left alone."""

    calls: int
    """How many instants it has looked for to make up for what was missed."""

    left: int | None
    """When the first of the jobs was due for which too few calls were left; None when all are planned."""


def plan(tenant: str, jobs: Iterable[DueJob], *, now: int, calls: int = CALLS) -> Plan:
    """Plan the due *jobs* of a tenant at the server's time *now*, ms; see `CALLS` for *calls*."""
    claims: list[Claim] = []
    unreadable: list[str] = []
    spent, left = 0, None
    for job in jobs:
        try:
            schedule = from_json(job.schedule)
            if not _is_made_up_for(job, schedule, now):
                claim = _by_no_worker(tenant, job, schedule, now, _claim(tenant, job, schedule, now))
                cost = _cost(schedule, job.due, now) if claim.run_id and _is_missed(job.due, now) else 0
                if 0 < cost <= calls - spent:
                    claim = claim._replace(missed=_passed(tenant, job, schedule, now, now))
                    spent += cost
                claims.append(claim)
            elif spent < calls:
                chain, cost = _chain(tenant, job, schedule, now)
                claims += [_by_no_worker(tenant, job, schedule, now, claim) for claim in chain]
                spent += cost
            else:
                left = job.due if left is None else min(left, job.due)
        except (ValueError, TypeError, RecursionError):
            unreadable.append(job.name)
    return Plan(claims, unreadable, spent, left)


def _claim(tenant: str, job: DueJob, schedule: Schedule, now: int) -> Claim:
    if schedule.start is not None and job.due < schedule.start:
        return Claim(job.name, job.due, job.revision, _next(tenant, job, schedule, schedule.start - 1), None)
    if schedule.end is not None and job.due >= schedule.end:
        return Claim(job.name, job.due, job.revision, None, None)
    run_id = fired_run_id(tenant, job.name, job.created, job.due)
    if job.misfire == "skip" and _is_missed(job.due, now):
        late = format_duration((now - job.due) // 1000 * 1000)
        following = _from_now(tenant, job, schedule, now)
        return Claim(job.name, job.due, job.revision, following, run_id, skipped=f"missed by {late}: misfire is skip")
    return Claim(job.name, job.due, job.revision, _following(tenant, job, schedule, now), run_id)


def _by_no_worker(tenant: str, job: DueJob, schedule: Schedule, now: int, claim: Claim) -> Claim:
    """Return the claim as it stands when a worker serves the job's tag, and else as the job says.

    A worker that comes between the look and the fire comes too late for this one, and takes the next.
    """
    if job.unserved is None or claim.run_id is None or claim.skipped:
        return claim
    policy = read_no_worker(tenant, job.unserved.policy or "wait")
    if policy.kind == "wait":  # nearly always
        return claim._replace(ttl=policy.ttl or (0 if job.unserved.expires else DAY_MS))
    why = f"no worker serves tag {job.unserved.tag!r}: no_worker is {policy.kind}"
    match policy.kind:
        case "skip":
            following = _from_now(tenant, job, schedule, now) if isinstance(schedule, After) else claim.next_due
            return claim._replace(skipped=why, next_due=following, delay=0)
        case "fail":
            return claim._replace(failed=why, delay=0)
        case _:
            return claim._replace(tag=policy.tag)


def _from_now(tenant: str, job: DueJob, schedule: Schedule, now: int) -> int | None:
    """Return when a job is due after a fire that made nothing: a fixed delay counts from now, in whole seconds."""
    return _next(tenant, job, schedule, now // 1000 * 1000 if isinstance(schedule, After) else now)


def _is_missed(due: int, now: int) -> bool:
    return now - due > GRACE_MS


def _is_made_up_for(job: DueJob, schedule: Schedule, now: int) -> bool:
    inside = (schedule.start or 0) <= job.due and (schedule.end is None or job.due < schedule.end)
    return job.misfire == "all" and inside and _is_missed(job.due, now) and not isinstance(schedule, After)


def _following(tenant: str, job: DueJob, schedule: Schedule, now: int) -> int | None:
    """Return when the job is due after this instant: a missed one stands for all that were missed with it."""
    if isinstance(schedule, After):
        return None  # the end of the run says when
    return _next(tenant, job, schedule, now if _is_missed(job.due, now) else job.due)


def _chain(tenant: str, job: DueJob, schedule: Schedule, now: int) -> tuple[list[Claim], int]:
    """Claim each missed instant of a job up to a bound, then one that stands for the rest; and count what that cost."""
    dues: list[int | None] = [job.due]
    while (due := dues[-1]) is not None and _is_missed(due, now) and len(dues) <= MADE_UP:
        dues.append(_next(tenant, job, schedule, due))
    claims = []
    for number, (due, following) in enumerate(pairwise(dues)):
        if due is not None:
            run_id = fired_run_id(tenant, job.name, job.created, due)
            claims.append(Claim(job.name, due, job.revision, following, run_id, delay=number * PACE_MS))
    first, cost = dues[-1], len(dues)
    if first is not None and _is_missed(first, now):
        until = _next(tenant, job, schedule, now - GRACE_MS - 1)
        count, more = _count(tenant, job, schedule, first, now)
        run_id = fired_run_id(tenant, job.name, job.created, first)
        skipped, rest = _told(first, now, count), job._replace(due=first)
        missed = _passed(tenant, rest, schedule, now - GRACE_MS - 1, now)
        claims.append(Claim(job.name, first, job.revision, until, run_id, skipped=skipped, missed=missed))
        cost += 1 + more + _cost(schedule, first, now)
    return claims, cost


def _count(tenant: str, job: DueJob, schedule: Schedule, first: int, now: int) -> tuple[int | None, int]:
    """Count the missed instants from *first* on, None for more than we count; and how many instants that looked for."""
    last = now - GRACE_MS - 1
    if isinstance(schedule, Every):
        if schedule.end is not None:
            last = min(last, schedule.end - 1)
        return (last - first) // schedule.interval + 1, 0
    due = first
    for count in range(1, MADE_UP + 1):
        following = _next(tenant, job, schedule, due)
        if following is None or not _is_missed(following, now):
            return count, count
        due = following
    return None, MADE_UP


def _cost(schedule: Schedule, due: int, now: int) -> int:
    """Return how many calls `_passed` takes, about."""
    return min(now - due, COUNTED_MS) // 86_400_000 + 2 if isinstance(schedule, Cron) else 1


def _passed(tenant: str, job: DueJob, schedule: Schedule, until: int, now: int) -> int:
    """Count the instants after that of a job, and not after *until*, ms."""
    after = max(job.due, now - COUNTED_MS)
    return count_due(schedule, after=after, until=until, hash_id=f"{tenant}/{job.name}")


def _told(first: int, now: int, count: int | None) -> str:
    instants = f"more than {MADE_UP} instants" if count is None else f"{count} instant{'s' if count > 1 else ''}"
    until = format_instant((now - GRACE_MS) // 1000 * 1000)
    return f"missed {instants} from {format_instant(first)} to {until}: misfire all makes up for {MADE_UP}"


def _next(tenant: str, job: DueJob, schedule: Schedule, after: int) -> int | None:
    return next_due(schedule, after=after, hash_id=f"{tenant}/{job.name}")
