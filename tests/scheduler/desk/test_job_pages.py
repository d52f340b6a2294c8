"""The desk's pages of jobs."""

from __future__ import annotations

import pytest
from desks import desk_of, ended, put_job, services_at
from taglane.errors import TenantNotFound
from taglane_scheduler.desk.job_pages import JobFilter


def test_jobs_are_listed_by_filter(url: str) -> None:
    """By name, tag, task, paused; of the tenants that the principal sees; with their last runs."""
    with services_at(url) as services:
        put_job(services, "report")
        put_job(services, "sync", tag="acme.gpu", task="shop.tasks.sync")
        put_job(services, "sync", tenant="globex")
        services.jobs.pause("globex", "sync")
        run_id = ended(services, job="report")
        pages, own = desk_of(services).job_pages, desk_of(services, "acme", "read").job_pages

        def names(wanted: JobFilter) -> list[str]:
            return [f"{stored.job.tenant}/{stored.job.name}" for stored in pages.list(wanted).jobs]

        assert ["acme/report", "acme/sync", "globex/sync"] == names(JobFilter())
        assert ["acme/sync"] == names(JobFilter(tag="acme.gpu"))
        assert ["acme/sync"] == names(JobFilter(task="shop.tasks.sy*"))
        assert ["globex/sync"] == names(JobFilter(name="sync", paused=True))
        assert 2 == len(own.list(JobFilter()).jobs)
        assert [run_id] == [each.id for each in own.list(JobFilter()).last["acme", "report"]]
        assert [run_id] == [each.id for each in own.last_runs("acme", "report")]
        with pytest.raises(TenantNotFound):
            own.list(JobFilter(tenant="globex"))


def test_a_job_is_told_with_its_secrets_covered(url: str) -> None:
    """And an edit that leaves them covered keeps them."""
    with services_at(url) as services:
        put_job(services, "report", params={"token": "t0p", "n": 1})
        ended(services, job="report")
        pages = desk_of(services, "acme", "write").job_pages

        assert ({"token": "••••••", "n": 1}, 1) == pages.params("acme", "report")
        assert {"token": "t0p", "n": 2} == pages.restored("acme", "report", {"token": "••••••", "n": 2})
        assert [(1, 1)] == [(day.made, day.failed) for day in pages.usage("acme", "report")]
        assert (True, False) == (pages.has("acme", "report"), pages.has("acme", "none"))
