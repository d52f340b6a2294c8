"""The desk's jobs files: what applying one would change, applying it, writing one of what there is.

They show and change params as they are, so they take the role `write`; limits take `admin` for all tenants.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from taglane.store.job_plan import check_payload

from taglane_scheduler.jobs_diff import changes
from taglane_scheduler.jobs_file import read_jobs_file
from taglane_scheduler.jobs_text import jobs_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.jobs_diff import Change
    from taglane_scheduler.jobs_file import JobsFile


class JobsFileDesk:
    """What one principal may do with jobs files. Every method may raise TenantNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    def diff(self, text: str, *, prune: bool = False) -> Sequence[Change]:
        """Return what applying the file would change, or leave.

        Raises:
            BadJobsFile: with the place of the first mistake.
            JobTooNew: a newer Taglane wrote a job that the file names.
            ParamsOverLimit: a job's params are over what its tenant may send.
        """
        return self._compared(text, prune=prune)[1]

    def apply(self, text: str, *, prune: bool = False) -> Sequence[Change]:
        """Make the server's jobs and limits those of the file; raises as `diff` does, and then nothing was written."""
        wanted, found = self._compared(text, prune=prune)
        limits = {each.tenant: wanted.limits[each.tenant] for each in found if each.job is None and each.is_any}
        if limits:
            self._desk.principal.require_all("admin", "changing limits")
        self._services.jobs.put_many(wanted.jobs, ready=lambda: self._services.stores.limits.put_many(limits))
        self._services.jobs.delete_many(
            (each.tenant, each.job) for each in found if each.job and each.change == "pruned"
        )
        counts = Counter(str(change.change) for change in found)
        only = wanted.tenants[0] if len(wanted.tenants) == 1 else ""
        self._desk.note("apply", only, tenants=len(wanted.tenants), **counts)
        return found

    def export(self, tenant: str) -> str:
        """Return a jobs file of a tenant's jobs and limits: `diff` finds no difference to it."""
        self._desk.tenant(tenant, "write", "exporting jobs")
        jobs = [stored.job for stored in self._services.jobs.list(tenant)]
        return jobs_text(self._services.stores.limits.get_many([tenant]), jobs)

    def _compared(self, text: str, *, prune: bool) -> tuple[JobsFile, Sequence[Change]]:
        self._desk.principal.require("write", "applying a jobs file")
        wanted = read_jobs_file(text, "jobs.yaml", self._desk.principal.require_sight)
        self._services.tenants.require(wanted.tenants)
        named = {(job.tenant, job.name) for job in wanted.jobs}
        stored = []
        for jobs, unread in self._services.jobs.list_many(wanted.tenants).values():
            stored += [kept.job for kept in jobs]
            for each in unread:
                if each.too_new and (each.tenant, each.name) in named:
                    raise each.error()  # it would lose what the newer one can do more
        limits = self._services.stores.limits.get_many(wanted.tenants)
        found = changes(wanted, stored, limits, prune=prune)
        changed = {(each.tenant, each.job) for each in found if each.is_any}
        for job in wanted.jobs:
            if (job.tenant, job.name) in changed:
                check_payload(job, wanted.limits.get(job.tenant, limits[job.tenant]))
        return wanted, found
