"""Keeps job definitions, through the functions of `lua/job.lua` and, to trigger one, `lua/fire.lua`."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import NoPermissionError

from taglane.errors import Conflict, JobNotFound, TaglaneError
from taglane.model import envelope
from taglane.model.names import new_run_id
from taglane.model.params import check_params
from taglane.store import keys
from taglane.store.job_pages import JobFilter, JobPage, JobPages, last_runs
from taglane.store.job_plan import Plan, Planned, Put, plan, plan_put, resumed_due, seen, sized
from taglane.store.stored_job import FIELDS, KeptJob, StoredJob, UnreadJob, stored_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from taglane.model.job import Job
    from taglane.model.run import RunInfo
    from taglane.store.job_plan import Prepared
    from taglane.store.server import Server

log = logging.getLogger(__name__)

TRIES = 20
"""How often a change is planned anew because another caller changed the job meanwhile."""

BATCH = 500
"""How many jobs are read, or written, in one round trip: the server serves others in between."""

T = TypeVar("T")


def batches(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into parts of *size*, the last one shorter."""
    return (values[start : start + size] for start in range(0, len(values), size))


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

    def put_many(
        self,
        jobs: Iterable[Job],
        told: Callable[[int], None] | None = None,
        ready: Callable[[], None] | None = None,
    ) -> Sequence[Put]:
        """Create or update jobs, in two round trips for every few hundred; what is unchanged is not written.

        An update that leaves the schedule alone leaves the pending due alone. What others change meanwhile is followed.

        Args:
            jobs: what to put; all are read and checked before the first is written.
            told: is told how many more are done, now and then.
            ready: is called once, when all are checked and nothing is written yet.

        Raises:
            BadParams: the params of one are over the limit: nothing was written.
            JobTooNew: one was written by a newer Taglane, and would lose what that can do more: nothing was written.
            BadSchedule: one would be due never, or in the past: nothing was written.
            ParamsOverLimit: the params of one are over what its tenant may send: others may have been written.
            Conflict: others changed one again and again: the rest was written.
        """
        wanted = list(jobs)
        done: dict[int, Put] = {}
        left: Sequence[int] = range(len(wanted))
        for _ in range(TRIES):
            planned = [plan for part in batches(left, BATCH) for plan in self._plans([wanted[n] for n in part])]
            if ready:
                ready()
                ready = None
            for part in batches(list(zip(left, planned, strict=True)), BATCH):
                puts = self._put([plan for _, plan in part])
                done |= {number: put for (number, _), put in zip(part, puts, strict=True) if put}
                if told:
                    told(sum(put is not None for put in puts))
            left = [number for number in range(len(wanted)) if number not in done]
            if not left:
                return [done[number] for number in range(len(wanted))]
        raise _contended(wanted[left[0]])

    def _plans(self, wanted: Sequence[Job]) -> Sequence[Plan]:
        """Decide, by one reading of each job, what putting it does."""
        now, stored = self._read([(job.tenant, job.name) for job in wanted])
        return [plan_put(job, known, now, self._payload_limit) for job, known in zip(wanted, stored, strict=True)]

    def _put(self, plans: Sequence[Plan]) -> Sequence[Put | None]:
        """Do what was planned; None for a job that was changed since."""
        revisions = iter(self._server.calls(("put", job.tenant, said) for job, _, said in plans if said))
        done: list[Put | None] = []
        for _, put, arguments in plans:
            answer = next(revisions) if arguments else put.revision
            if isinstance(answer, TaglaneError):
                raise answer
            done.append(replace(put, revision=int(answer)) if answer >= 0 else None)
        return done

    def plan(self, tenant: str, job: Prepared, kept: KeptJob, now: int) -> Planned:
        """Decide what putting a job does where *kept* is what the server has, by its time *now*, ms; see `plan`."""
        definition = kept.definition
        if definition is not None and job.is_as(definition):
            return Planned("unchanged")  # most of what is applied again: nothing of it is read any further
        return plan(tenant, job, kept.read(), now, self._payload_limit)

    def put_planned(self, puts: Sequence[tuple[str, Prepared, Planned]]) -> Sequence[bool]:
        """Put jobs, each with its tenant, as was planned, in one round trip; False for one that was changed since.

        Raises:
            ParamsOverLimit: the params of one are over what its tenant may send: others may have been written.
        """
        answers = self._server.calls(("put", tenant, planned.arguments(job)) for tenant, job, planned in puts)
        for answer in answers:
            if isinstance(answer, TaglaneError):
                raise answer
        return [answer >= 0 for answer in answers]

    def kept(self, names: Sequence[tuple[str, str]]) -> tuple[int, Sequence[KeptJob]]:
        """Return the server's time, ms, and what it keeps of each of these jobs, given as tenant and name."""
        with self._server.renamed("reading jobs"):
            pipeline = self._server.redis.pipeline(transaction=False)
            pipeline.time()
            for tenant, name in names:
                pipeline.hmget(keys.job(tenant, name), FIELDS)
            (seconds, micros), *answers = pipeline.execute(raise_on_error=False)
            _raise_refused(answers)
        found = [KeptJob(*name, fields) for name, fields in zip(names, answers, strict=True)]
        return seconds * 1000 + micros // 1000, found

    def names(self, tenants: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Return tenant and name of each of their jobs, by name, in one round trip."""
        pipeline = self._server.redis.pipeline(transaction=False)
        for tenant in tenants:
            pipeline.zrange(keys.jobs(tenant), 0, -1)
        with self._server.renamed("reading jobs"):
            answers = pipeline.execute(raise_on_error=False)
        found = []
        for tenant, members in zip(tenants, answers, strict=True):
            if isinstance(members, Exception):
                with self._server.renamed(f"reading the jobs of tenant {tenant}"):
                    raise members
            found += [(tenant, name) for name in sorted(member.decode(errors="replace") for member in members)]
        return found

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
        return self.list_many([tenant])[tenant]

    def list_many(
        self, tenants: Sequence[str], told: Callable[[int], None] | None = None
    ) -> dict[str, tuple[Sequence[StoredJob], Sequence[UnreadJob]]]:
        """Return what `list_all` does for each of these tenants, in two round trips for every few hundred jobs.

        *told* is told of how many more tenants the jobs are known, now and then.
        """
        found: dict[str, tuple[list[StoredJob], list[UnreadJob]]] = {tenant: ([], []) for tenant in tenants}
        for some in batches(tenants, BATCH):
            names = self.names(some)
            for part in batches(names, BATCH):
                _, stored = self._read(part)
                for (tenant, name), job in zip(part, stored, strict=True):
                    good, unread = found[tenant]
                    if isinstance(job, StoredJob):
                        good.append(job)
                    else:
                        unread.append(UnreadJob(tenant, name) if job is None else job)
            if told:
                told(len(some))
        return {tenant: (good, unread) for tenant, (good, unread) in found.items()}

    def page(  # noqa: PLR0913 - one for each thing to ask for
        self,
        tenants: Sequence[str],
        *,
        pattern: str = "",
        after: str = "",
        limit: int = 50,
        paused: bool | None = None,
        overdue: bool | None = None,
    ) -> JobPage:
        """Return the jobs of these tenants, in their order and by name, *limit* at most, behind those of page *after*.

        *pattern* is a name, or its beginning with a ``*``; *paused* and *overdue* ask for those that are, or are not.
        The work of one page is bounded: where few of very many jobs match it may end before it is full.

        Raises:
            BadQuery: *after* is no page of jobs, or *pattern* can't be one.
        """
        pages = JobPages(self._server, self._read)
        return pages.page(tenants, JobFilter(pattern, paused, overdue), after, limit)

    def last_runs(self, tenant: str, name: str, count: int = 50) -> Sequence[RunInfo]:
        """Return the last runs of a job that are kept, skipped ones too, the newest first: a hundred at most."""
        return last_runs(self._server, tenant, name, count)

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
            answer = self._server.call("pause", tenant, name, "", resumed_due(found.job, now), seen(found))
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

    def delete_many(self, jobs: Iterable[tuple[str, str]]) -> None:
        """Forget jobs, given as tenant and name, as `delete` does; those that are gone already are passed over."""
        for part in batches(list(jobs), BATCH):
            for answer in self._server.calls(("remove", tenant, [name]) for tenant, name in part):
                if isinstance(answer, TaglaneError):
                    raise answer

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
                pipeline.hmget(keys.job(tenant, name), FIELDS)
                pipeline.zscore(keys.due(tenant), name)
                pipeline.llen(keys.parked(tenant, name))
            (seconds, micros), *answers = pipeline.execute(raise_on_error=False)
            _raise_refused(answers)
        rows = zip(names, answers[::3], answers[1::3], answers[2::3], strict=True)
        found = [stored_job(*name, fields, due, parked) for name, fields, due, parked in rows]
        return seconds * 1000 + micros // 1000, found

    def _with_params(self, tenant: str, name: str, params: dict[str, Any]) -> str:
        """Return the envelope of a job with other params: all else that it holds, a newer Taglane's too, stays."""
        with self._server.renamed("reading a job"):
            kept: Any = self._server.redis.hget(keys.job(tenant, name), "envelope")
        if kept is None:
            raise JobNotFound(tenant, name)
        try:
            both = {**json.loads(kept), **json.loads(envelope.of_call(params))}
            text = json.dumps(both, separators=(",", ":"), ensure_ascii=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise UnreadJob(tenant, name).error() from error
        return sized(name, text, self._payload_limit)


def _raise_refused(answers: Iterable[Any]) -> None:
    for answer in answers:
        if isinstance(answer, NoPermissionError):
            raise answer


def _contended(job: Job) -> Conflict:
    return Conflict(f"job {job.name!r} of tenant {job.tenant!r} is changed by others all the time: ask once more")
