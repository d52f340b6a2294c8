"""Keeps job definitions, through the functions of `lua/job.lua` and, to trigger one, `lua/fire.lua`."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from taglane.errors import BadParams, BadSchedule, JobNotFound, ServerUnavailable, TaglaneError
from taglane.model import envelope
from taglane.model.instant import format_instant
from taglane.model.job import Job, check_params
from taglane.model.names import new_run_id
from taglane.model.schedule import After, At, Every, Manual, describe, next_due, to_json
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)

_FIELDS = ("definition", "revision", "created", "paused", "last", "last_due")


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

        An update that leaves the schedule alone leaves the pending due alone.

        Raises:
            BadParams: the params of one are over the limit: nothing was written.
            BadSchedule: one would be due never, or in the past: nothing was written.
        """
        wanted = list(jobs)
        now, stored = self._read([(job.tenant, job.name) for job in wanted])
        puts = [self._planned(job, known, now) for job, known in zip(wanted, stored, strict=True)]
        answers = self._server.calls(("put", job.tenant, arguments) for job, _, arguments in puts if arguments)
        revisions = iter(answers)
        done = []
        for _, put, arguments in puts:
            answer = next(revisions) if arguments else put.revision
            if isinstance(answer, TaglaneError):
                raise answer
            done.append(replace(put, revision=int(answer)))
        return done

    def get(self, tenant: str, name: str) -> StoredJob:
        """Return one job.

        Raises:
            JobNotFound: there is none of that name.
        """
        return self._found(tenant, name)[1]

    def list(self, tenant: str) -> Sequence[StoredJob]:
        """Return the tenant's jobs by name, in two round trips; an unreadable one is left out, and logged."""
        with self._server.renamed("reading jobs"):
            members: Any = self._server.redis.smembers(keys.jobs(tenant))
        names = sorted(member.decode(errors="replace") for member in members)
        _, found = self._read([(tenant, name) for name in names])
        for name, job in zip(names, found, strict=True):
            if job is None:
                log.warning("job_unreadable tenant=%s job=%s", tenant, name)
        return [job for job in found if job is not None]

    def pause(self, tenant: str, name: str) -> StoredJob:
        """Stop firing a job; what it made goes on.

        Raises:
            JobNotFound: there is none of that name.
        """
        if not self._server.call("pause", tenant, name, "1", ""):
            raise JobNotFound(tenant, name)
        return self.get(tenant, name)

    def resume(self, tenant: str, name: str) -> StoredJob:
        """Fire a paused job again, at its first due from now on: what fell into the pause is not made up for.

        Raises:
            JobNotFound: there is none of that name.
        """
        now, found = self._found(tenant, name)
        if not found.paused:
            return found
        if not self._server.call("pause", tenant, name, "", _text(_next(found.job, now))):
            raise JobNotFound(tenant, name)
        return self.get(tenant, name)

    def trigger(self, tenant: str, name: str, params: dict[str, Any] | None = None) -> str:
        """Make a run of a job now, paused or not, whatever its schedule says; return the run's id.

        *params* take the place of the job's own.

        Raises:
            JobNotFound: there is none of that name.
            BadParams: *params* are no JSON object, or over the limit.
        """
        own = "" if params is None else self._envelope(name, check_params(params))
        run_id = new_run_id(tenant)
        if not self._server.call("trigger", tenant, name, run_id, own):
            raise JobNotFound(tenant, name)
        return run_id

    def delete(self, tenant: str, name: str) -> None:
        """Forget a job; its runs stay.

        Raises:
            JobNotFound: there is none of that name.
        """
        if not self._server.call("remove", tenant, name):
            raise JobNotFound(tenant, name)

    def _found(self, tenant: str, name: str) -> tuple[int, StoredJob]:
        now, (found,) = self._read([(tenant, name)])
        if found is not None:
            return now, found
        with self._server.renamed("reading a job"):
            there = self._server.redis.exists(keys.job(tenant, name))
        if there:
            raise ServerUnavailable(f"the record of job {name!r} of tenant {tenant!r} can't be read: put the job again")
        raise JobNotFound(tenant, name)

    def _read(self, names: Sequence[tuple[str, str]]) -> tuple[int, Sequence[StoredJob | None]]:
        """Return the server's time, ms, and the jobs; None for one that is missing or unreadable."""
        with self._server.renamed("reading jobs"):
            pipeline = self._server.redis.pipeline(transaction=False)
            pipeline.time()
            for tenant, name in names:
                pipeline.hmget(keys.job(tenant, name), _FIELDS)
                pipeline.zscore(keys.due(tenant), name)
            (seconds, micros), *answers = pipeline.execute(raise_on_error=False)
        pairs = zip(names, answers[::2], answers[1::2], strict=True)
        return seconds * 1000 + micros // 1000, [_stored(*name, fields, due) for name, fields, due in pairs]

    def _planned(self, job: Job, known: StoredJob | None, now: int) -> tuple[Job, Put, Sequence[Any]]:
        """Decide what a put does; the arguments of the call are empty when it does nothing."""
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
        return job, put, [*self._arguments(job), argument, to_json(job.schedule)]

    def _arguments(self, job: Job) -> Sequence[str | int]:
        delay = job.schedule.delay if isinstance(job.schedule, After) else None
        return [
            job.name,
            job.definition,
            job.task,
            job.tag,
            keys.step_of(job.priority),
            self._envelope(job.name, job.params),
            _text(delay),
            job.overlap,
            _text(job.expires),
        ]

    def _envelope(self, name: str, params: dict[str, Any]) -> str:
        text = envelope.of_call(params)
        size = len(text.encode())
        if size > self._payload_limit:
            raise BadParams(
                f"params of job {name!r} take {size} bytes: the limit is {self._payload_limit} (TAGLANE_PAYLOAD_LIMIT)"
            )
        return text


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


def _stored(tenant: str, name: str, fields: Any, due: Any) -> StoredJob | None:
    if isinstance(fields, Exception) or fields[0] is None:
        return None
    definition, revision, created, paused, last, last_due = fields
    try:
        return StoredJob(
            job=Job.from_definition(tenant, name, definition),
            revision=int(revision),
            created=int(created),
            paused=bool(paused),
            next_due=int(due) if isinstance(due, float) else None,
            last_run=last.decode() if last else None,
            last_due=int(last_due) if last_due else None,
        )
    except (ValueError, TypeError):  # pydantic's ValidationError is one
        return None
