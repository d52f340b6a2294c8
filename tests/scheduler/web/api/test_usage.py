"""The API's usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient


@pytest.mark.parametrize(("by", "jobs"), [("day", [None]), ("job", ["report"]), ("tenant", [None])])
def test_usage_is_by_day_job_or_tenant(rest: Callable[..., TestClient], by: str, jobs: list[str | None]) -> None:
    """Of a job alone, when that is asked for."""
    client = rest("acme", "write")
    client.put("/tenants/acme/jobs/report", json={"task": "shop.report", "every": "1h"})
    client.post("/tenants/acme/jobs/report/trigger")

    rows = client.get("/usage", params={"by": by}).json()["items"]

    assert [("acme", job, 1) for job in jobs] == [(row["tenant"], row["job"], row["triggered"]) for row in rows]
    assert [] == client.get("/usage?job=other").json()["items"]
    assert 422 == client.get("/usage?days=36").status_code
