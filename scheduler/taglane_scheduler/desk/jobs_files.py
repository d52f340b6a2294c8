"""The desk's jobs files: what applying one would change, applying it, writing one of what there is.

They show and change params as they are, so they take the role `write`; limits take `admin` for all tenants.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from taglane_scheduler.jobs_apply import JobsApply
from taglane_scheduler.jobs_file import read_parts
from taglane_scheduler.jobs_text import jobs_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.jobs_diff import Change


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
        with self._compared(text, prune=prune, with_fields=True) as work:
            return list(work.changes(with_fields=True))

    def apply(self, text: str, *, prune: bool = False) -> Sequence[Change]:
        """Make the server's jobs and limits those of the file; raises as `diff` does, and then nothing was written."""
        with self._compared(text, prune=prune) as work:
            if any(each.is_any for each in work.of_limits):
                self._desk.principal.require_all("admin", "changing limits")
            work.write()
            only = work.tenants[0] if len(work.tenants) == 1 else ""
            self._desk.note("apply", only, tenants=len(work.tenants), **+work.counts)
            return list(work.changes())

    def export(self, tenant: str) -> str:
        """Return a jobs file of a tenant's jobs and limits: `diff` finds no difference to it."""
        self._desk.tenant(tenant, "write", "exporting jobs")
        jobs = [stored.job for stored in self._services.jobs.list(tenant)]
        return jobs_text(self._services.stores.limits.get_many([tenant]), jobs)

    @contextmanager
    def _compared(self, text: str, *, prune: bool, with_fields: bool = False) -> Iterator[JobsApply]:
        self._desk.principal.require("write", "applying a jobs file")
        services = self._services
        parts = list(read_parts(text, "jobs.yaml", self._desk.principal.require_sight))
        services.tenants.require([part.tenant for part in parts])
        with JobsApply(services.jobs, services.stores.limits, prune=prune) as work:
            work.read(parts)
            work.compare(with_fields=with_fields)
            yield work
