"""Keeps job definitions, through the functions of `lua/job.lua` and, to trigger one, `lua/fire.lua`."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from redis.exceptions import NoPermissionError

from taglane.errors import BadParams, BadSchedule, Conflict, JobNotFound, JobTooNew, ServerUnavailable, TaglaneError
from taglane.model import envelope
from taglane.model.instant import format_instant
from taglane.model.job import Job, TooNew
from taglane.model.names import new_run_id
from taglane.model.params import check_params
from taglane.model.schedule import After, At, Every, Manual, describe, next_due, to_json
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)

TRIES = 20
"""How often a change is planned anew because another caller changed the job meanwhile."""

_FIELDS = ("definition", "revision", "created", "paused", "last", "last_due", "born")


@dataclass(frozen=True, slots=True)
class Put:
    """What a put did: `next_due`, ms, is None for a job that waits for something else than time."""

    change: Literal["created", "updated", "unchanged"]
    revision: int
    next_due: int | None


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


class Jobs:
    """The jobs of all tenants that the server's credential reaches.

    Args:
        server: a tenant's own, or the operator's.
        payload_limit: the most bytes that a job's envelope may take.
    """

    def __init__(self, server: Server, payload_limit: int) -> None:
        self._server = server
        self._payload_limit = payload_limit

    def put(self, job: Job) -> Put:
        """Create or update one job; see `put_many`."""
        return self.put_many([job])[0]

    def put_many(self, jobs: Iterable[Job]) -> Sequence[Put]:
        """Create or update jobs, in two round trips; what is unchanged is not written.

        An update that leaves the schedule alone leaves the pending due alone. What others change meanwhile is followed.

        Raises:
            BadParams: the params of one are over the limit: nothing was written.
            JobTooNew: one was written by a newer Taglane, and would lose what that can do more: nothing was written.
            BadSchedule: one would be due never, or in the past: nothing was written.
            Conflict: others changed one again and again: the rest was written.
        """
        wanted = list(jobs)
        done: dict[int, Put] = {}
        for _ in range(TRIES):
            left = [number for number in range(len(wanted)) if number not in done]
            puts = self._put([wanted[number] for number in left])
            done |= {number: put for number, put in zip(left, puts, strict=True) if put}
            if len(done) == len(wanted):
                return [done[number] for number in range(len(wanted))]
        raise _contended(next(job for number, job in enumerate(wanted) if number not in done))

    def _put(self, wanted: Sequence[Job]) -> Sequence[Put | None]:
        """Put each job by one reading of it; None for one that was changed since."""
        now, stored = self._read([(job.tenant, job.name) for job in wanted])
        for known in stored:
            if isinstance(known, UnreadJob) and known.too_new:
                raise known.error()
        puts = [self._planned(job, known, now) for job, known in zip(wanted, stored, strict=True)]
        revisions = iter(self._server.calls(("put", job.tenant, said) for job, _, said in puts if said))
        done: list[Put | None] = []
        for _, put, arguments in puts:
            answer = next(revisions) if arguments else put.revision
            if isinstance(answer, TaglaneError):
                raise answer
            done.append(replace(put, revision=int(answer)) if answer >= 0 else None)
        return done

    def get(self, tenant: str, name: str) -> StoredJob:
        """Return one job.

        Raises:
            JobNotFound: there is none of that name.
            JobTooNew: a newer Taglane wrote it.
        """
        return self._found(tenant, name)[1]

    def list(self, tenant: str) -> Sequence[StoredJob]:
        """Return the tenant's jobs by name, in two round trips; what can't be read is left out, and logged."""
        found, unread = self.list_all(tenant)
        for job in unread:
            log.warning("job_unreadable tenant=%s job=%s why=%s", tenant, job.name, job.error())
        return found

    def list_all(self, tenant: str) -> tuple[Sequence[StoredJob], Sequence[UnreadJob]]:
        """Return the tenant's jobs by name, and those that can't be read."""
        with self._server.renamed("reading jobs"):
            members: Any = self._server.redis.smembers(keys.jobs(tenant))
        names = sorted(member.decode(errors="replace") for member in members)
        _, found = self._read([(tenant, name) for name in names])
        unread = [
            UnreadJob(tenant, name) if job is None else job
            for name, job in zip(names, found, strict=True)
            if not isinstance(job, StoredJob)
        ]
        return [job for job in found if isinstance(job, StoredJob)], unread

    def pause(self, tenant: str, name: str) -> StoredJob:
        """Stop firing a job; what it made goes on.

        Raises:
            JobNotFound: there is none of that name.
        """
        self._found(tenant, name)
        if not self._server.call("pause", tenant, name, "1", ""):
            raise JobNotFound(tenant, name)
        return self.get(tenant, name)

    def resume(self, tenant: str, name: str) -> StoredJob:
        """Fire a paused job again, at its first due from now on: what fell into the pause is not made up for.

        A fixed delay is counted from the end of its last run, when that still goes.

        Raises:
            JobNotFound: there is none of that name.
            Conflict: others changed it again and again.
        """
        for _ in range(TRIES):
            now, found = self._found(tenant, name)
            if not found.paused:
                return found
            answer = self._server.call("pause", tenant, name, "", _text(_next(found.job, now)), _seen(found))
            if answer >= 0:
                return self.get(tenant, name)
        raise _contended(found.job)

    def trigger(self, tenant: str, name: str, params: dict[str, Any] | None = None) -> str:
        """Make a run of a job now, paused or not, whatever its schedule says; return the run's id.

        *params* take the place of the job's own; its retry and time limits stay.

        Raises:
            JobNotFound: there is none of that name.
            BadParams: *params* are no JSON object, or over the limit.
        """
        own = "" if params is None else self._with_params(tenant, name, check_params(params))
        run_id = new_run_id(tenant)
        if not self._server.call("trigger", tenant, name, run_id, own):
            raise JobNotFound(tenant, name)
        return run_id

    def delete(self, tenant: str, name: str) -> None:
        """Forget a job; its runs stay, but those end as cancelled that wait for its last one.

        Raises:
            JobNotFound: there is none of that name.
        """
        if not self._server.call("remove", tenant, name):
            raise JobNotFound(tenant, name)

    def _found(self, tenant: str, name: str) -> tuple[int, StoredJob]:
        now, (found,) = self._read([(tenant, name)])
        if isinstance(found, StoredJob):
            return now, found
        raise JobNotFound(tenant, name) if found is None else found.error()

    def _read(self, names: Sequence[tuple[str, str]]) -> tuple[int, Sequence[StoredJob | UnreadJob | None]]:
        """Return the server's time, ms, and the jobs; None for one that is missing."""
        with self._server.renamed("reading jobs"):
            pipeline = self._server.redis.pipeline(transaction=False)
            pipeline.time()
            for tenant, name in names:
                pipeline.hmget(keys.job(tenant, name), _FIELDS)
                pipeline.zscore(keys.due(tenant), name)
                pipeline.llen(keys.parked(tenant, name))
            (seconds, micros), *answers = pipeline.execute(raise_on_error=False)
            for answer in answers:
                if isinstance(answer, NoPermissionError):
                    raise answer
        rows = zip(names, answers[::3], answers[1::3], answers[2::3], strict=True)
        found = [_stored(*name, fields, due, parked) for name, fields, due, parked in rows]
        return seconds * 1000 + micros // 1000, found

    def _planned(self, job: Job, found: StoredJob | UnreadJob | None, now: int) -> tuple[Job, Put, Sequence[Any]]:
        """Decide what a put does; the arguments of the call are empty when it does nothing."""
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
        return job, put, [*self._arguments(job), argument, to_json(job.schedule), misfire, _seen(found), no_worker]

    def _arguments(self, job: Job) -> Sequence[str | int]:
        delay = job.schedule.delay if isinstance(job.schedule, After) else None
        call = envelope.of_call(job.params, retry=job.retry, timeout=job.timeout, soft_timeout=job.soft_timeout)
        return [
            job.name,
            job.definition,
            job.task,
            job.tag,
            keys.step_of(job.priority),
            self._sized(job.name, call),
            _text(delay),
            job.overlap,
            _text(job.expires),
        ]

    def _with_params(self, tenant: str, name: str, params: dict[str, Any]) -> str:
        """Return the envelope of a job with other params: all else that it holds, a newer Taglane's too, stays."""
        with self._server.renamed("reading a job"):
            kept: Any = self._server.redis.hget(keys.job(tenant, name), "envelope")
        if kept is None:
            raise JobNotFound(tenant, name)
        try:
            both = {**json.loads(kept), **json.loads(envelope.of_call(params))}
            return self._sized(name, json.dumps(both, separators=(",", ":"), ensure_ascii=False))
        except (ValueError, TypeError) as error:
            raise UnreadJob(tenant, name).error() from error

    def _sized(self, name: str, text: str) -> str:
        size = len(text.encode())
        if size > self._payload_limit:
            raise BadParams(
                f"params of job {name!r} take {size} bytes: the limit is {self._payload_limit} (TAGLANE_PAYLOAD_LIMIT)"
            )
        return text


def _seen(found: StoredJob | UnreadJob | None) -> str:
    """Return what put and pause are told of the job that the caller planned by; a spoiled record is put over."""
    if isinstance(found, UnreadJob):
        return ""
    return f"{found.revision}-{found.born}" if found else "0"


def _contended(job: Job) -> Conflict:
    return Conflict(f"job {job.name!r} of tenant {job.tenant!r} is changed by others all the time: ask once more")


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


def _stored(tenant: str, name: str, fields: Any, due: Any, parked: Any) -> StoredJob | UnreadJob | None:
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
