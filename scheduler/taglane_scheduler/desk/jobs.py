"""The desk's jobs: list, show, add, pause, resume, trigger, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taglane.model.job import Job
    from taglane.store.job_plan import Put
    from taglane.store.stored_job import StoredJob

    from taglane_scheduler.desk.desk import Desk


class JobDesk:
    """What one principal may do with jobs. Every method may raise TenantNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._jobs = desk.services.jobs

    def get(self, tenant: str, name: str) -> StoredJob:
        """Return one job."""
        self._desk.tenant(tenant, "read", "reading jobs")
        return self._jobs.get(tenant, name)

    def put(self, job: Job) -> Put:
        """Create a job, or make the one that is there the same."""
        self._desk.tenant(job.tenant, "write", "changing jobs")
        put = self._jobs.put(job)
        self._desk.note("job-put", job.tenant, job=job.name)
        return put

    def pause(self, tenant: str, name: str) -> StoredJob:
        """Stop firing a job until it is resumed."""
        self._desk.tenant(tenant, "operate", "pausing jobs")
        found = self._jobs.pause(tenant, name)
        self._desk.note("job-pause", tenant, job=name)
        return found

    def resume(self, tenant: str, name: str) -> StoredJob:
        """Fire a paused job again."""
        self._desk.tenant(tenant, "operate", "resuming jobs")
        found = self._jobs.resume(tenant, name)
        self._desk.note("job-resume", tenant, job=name)
        return found

    def trigger(self, tenant: str, name: str, params: dict[str, Any] | None = None) -> str:
        """Run a job now, with *params* in place of its own when given; return the run's id."""
        self._desk.tenant(tenant, "operate", "running jobs")
        if params is not None:
            self._desk.tenant(tenant, "write", "running jobs with other params")
        made = self._jobs.trigger(tenant, name, params)
        self._desk.note("job-trigger", tenant, job=name, run=made)
        return made

    def delete(self, tenant: str, name: str) -> None:
        """Forget a job; its runs stay."""
        self._desk.tenant(tenant, "write", "deleting jobs")
        self._jobs.delete(tenant, name)
        self._desk.note("job-delete", tenant, job=name)
