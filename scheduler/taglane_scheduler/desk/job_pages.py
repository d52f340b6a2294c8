"""The desk's pages of jobs: lists by filter, what a job ran last, what it used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taglane.errors import JobNotFound, TaglaneError
from taglane.model.query import matches

from taglane_scheduler.desk.redact import restored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane.model.run import RunInfo
    from taglane.model.usage import DayUsage
    from taglane.store.last_runs import LastRun
    from taglane.store.stored_job import StoredJob, UnreadJob

    from taglane_scheduler.desk.desk import Desk

FURTHEST, SIFTED = 3, 200
"""Pages of jobs, and jobs of each, that are read through, at most, for those of a tag or a task."""

DOTS = 10
"""How many of each job's last runs a list shows."""

DAYS = 8
"""Of which the ledger of jobs is kept."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; empty fields ask for nothing. *name* is a name, or its beginning with a ``*``."""

    tenant: str = ""
    name: str = ""
    tag: str = ""
    task: str = ""
    paused: bool | None = None
    overdue: bool | None = None


@dataclass(frozen=True, slots=True)
class JobList:
    """A page of jobs."""

    jobs: Sequence[StoredJob]
    unread: Sequence[UnreadJob] = ()
    next: str = ""
    last: Mapping[tuple[str, str], Sequence[LastRun]] = field(default_factory=dict)
    """The last runs of each, by tenant and name, the newest first."""


class JobPageDesk:
    """What one principal may see of jobs. Every method may raise TenantNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._jobs = desk.services.jobs

    def list(self, wanted: JobFilter, *, after: str = "", limit: int = 50) -> JobList:
        """Return the jobs that a filter takes, by tenant and name, *limit* at most, behind those of the page *after*.

        By tag or task it reads through a bounded number of jobs: where few match, a page may be nearly empty; where
        many do, it may have more than *limit*.
        """
        tenants = self._desk.tenants_in_reach(wanted.tenant or None)
        sifts = bool(wanted.tag or wanted.task)
        jobs: list[StoredJob] = []
        unread: list[UnreadJob] = []
        for _ in range(FURTHEST if sifts else 1):
            page = self._jobs.page(
                tenants,
                pattern=wanted.name,
                after=after,
                limit=SIFTED if sifts else limit,
                paused=wanted.paused,
                overdue=wanted.overdue,
            )
            jobs += [
                each for each in page.jobs if matches(wanted.tag, each.job.tag) and matches(wanted.task, each.job.task)
            ]
            unread += page.unread
            after = page.next
            if not after or len(jobs) >= limit:
                break
        names = [(each.job.tenant, each.job.name) for each in jobs]
        return JobList(jobs, unread, after, self._desk.services.stores.last_runs.of(names, DOTS))

    def has(self, tenant: str, name: str) -> bool:
        """Whether there is a job of that name, be it one that can't be read."""
        self._desk.tenant(tenant, "read", "reading jobs")
        try:
            self._jobs.get(tenant, name)
        except JobNotFound:
            return False
        except TaglaneError:
            return True
        return True

    def last_runs(self, tenant: str, name: str, count: int = 50) -> Sequence[RunInfo]:
        """Return what a job ran last, the newest first; of a deleted job, too."""
        self._desk.tenant(tenant, "read", "reading runs")
        return self._jobs.last_runs(tenant, name, count)

    def usage(self, tenant: str, name: str) -> Sequence[DayUsage]:
        """Return what a job did on each of the last days on which it did anything."""
        self._desk.tenant(tenant, "read", "reading usage")
        usage = self._desk.services.stores.usage
        return usage.jobs_of([tenant], *usage.last_days(DAYS), name)

    def params(self, tenant: str, name: str) -> tuple[dict[str, Any], int]:
        """Return a job's params, with what speaks of secrets covered, and how much that is."""
        self._desk.tenant(tenant, "read", "reading jobs")
        covered, count = self._desk.calls.cover(self._jobs.get(tenant, name).job.params)
        return covered, count

    def restored(self, tenant: str, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Return *params* with what is still covered in them as the job has it."""
        self._desk.tenant(tenant, "write", "changing jobs")
        found: dict[str, Any] = restored(params, self._jobs.get(tenant, name).job.params)
        return found
