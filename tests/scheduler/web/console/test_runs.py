"""The page of the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desks import ended, put_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_runs_are_found_by_a_query(services: Services, console: Callable[..., TestClient]) -> None:
    """What tenants wrote is escaped; the filters keep what else is asked for; who may only read gets no buttons."""
    services.tenants.create("acme")
    services.tenants.create("globex")
    put_job(services)
    mine, others = ended(services, job="report"), ended(services, tenant="globex")

    page = console().get("/runs?q=tenant:acme+state:failed+job:rep*")
    own = console("acme", "read").get("/runs")

    assert f'id="run-{mine}"' in page.text
    assert f'id="run-{others}"' not in page.text
    assert "ValueError: &lt;b&gt;no&lt;/b&gt; red" in page.text
    assert 'href="/runs?q=tenant%3Aacme%20job%3Arep%2A%20state%3Aopen"' in page.text
    assert "/runs/bulk" in page.text
    assert others not in own.text
    assert "/runs/bulk" not in own.text
    assert 404 == console("acme").get("/runs?q=tenant:globex").status_code


def test_a_query_that_says_nothing_is_marked_where(console: Callable[..., TestClient]) -> None:
    """A caret stands under the place."""
    page = console().get("/runs?q=tenant:acme+stat:<b>")

    assert 422 == page.status_code
    assert "tenant:acme <mark>stat:&lt;b&gt;</mark>\n            ^" in page.text
    assert "did you mean &#39;state&#39;?" in page.text
