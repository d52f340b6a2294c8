"""The page of the templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factories import make_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_what_tenants_share(services: Services, console: Callable[..., TestClient]) -> None:
    """One line a job that more than one has, with who has it otherwise; the operator's alone."""
    for tenant in ("acme", "globex", "initech"):
        services.tenants.create(tenant)
        services.jobs.put(make_job("report", tenant=tenant, every="5m" if tenant == "globex" else "1h"))
    services.jobs.put(make_job("lonely", tenant="acme"))
    services.jobs.pause("initech", "report")

    text = console(None, "read").get("/templates").text

    row = text.partition("/jobs?name=report")[2].partition("</tr>")[0]
    assert "every 1h" in row
    assert "/tenants/globex" in row
    assert "/tenants/initech" in row
    assert "lonely" not in text
    assert "lonely" in console().get("/templates?alone=1").text
    assert "lonely" not in console().get("/templates?alone=1&name=rep*").text
    assert 403 == console("acme", "admin").get("/templates").status_code
