"""The desk's usage."""

from __future__ import annotations

import pytest
from desks import desk_of, put_job, services_at
from taglane.errors import TenantNotFound


def test_usage_is_by_day_and_by_job(url: str) -> None:
    """Of tenants that one sees."""
    with services_at(url, "acme", "globex") as services:
        put_job(services)
        services.jobs.trigger("acme", "report")
        desk = desk_of(services, "acme", "read").usage

        assert [("acme", None, 1)] == [(each.tenant, each.job, each.made) for each in desk.days(["acme"], 7)]
        assert [("report", 1)] == [(each.job, each.triggered) for each in desk.jobs(["acme"], 7)]
        with pytest.raises(TenantNotFound):
            desk.days(["acme", "globex"], 7)
