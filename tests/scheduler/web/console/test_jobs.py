"""The page of the jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desks import put_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_jobs_are_listed_with_what_a_role_may_do(services: Services, console: Callable[..., TestClient]) -> None:
    """Schedule in words and as written; who may only read gets no buttons; what can't be read is told."""
    for tenant in ("acme", "globex"):
        services.tenants.create(tenant)
        put_job(services, "report", tenant=tenant, cron="0 3 * * *")
    services.server.redis.set("taglane:{globex}:job:spoiled", "mine")
    services.server.redis.zadd("taglane:{globex}:jobs", {"spoiled": 0})

    page, own, chinese = (
        console().get("/jobs"),
        console("acme", "read").get("/jobs"),
        console("acme").get("/jobs", headers={"Accept-Language": "zh-CN"}),
    )

    assert "At 03:00 (UTC)" in page.text
    assert "cron 0 3 * * * (UTC)" in page.text
    assert 'action="/jobs/globex/report/pause"' in page.text
    assert "job &#39;spoiled&#39; of tenant &#39;globex&#39; can&#39;t be read" in page.text
    assert "globex" not in own.text
    assert "/pause" not in own.text
    assert "在 03:00" in chinese.text


def test_filters_are_in_the_address(services: Services, console: Callable[..., TestClient]) -> None:
    """And a job that none of them takes is not there; a place that is none is a mistake."""
    services.tenants.create("acme")
    put_job(services, "report")
    put_job(services, "sync")

    assert 'id="job-acme-sync"' not in console().get("/jobs?tenant=acme&name=rep*").text
    assert "No job is like that." in console().get("/jobs?paused=yes").text
    assert 422 == console().get("/jobs?name=%3Cb%3E").status_code
