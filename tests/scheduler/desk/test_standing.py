"""The desk's view of how tenants stand."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from factories import HandWorker, enqueue
from taglane.errors import RoleNeeded, TenantNotFound


def test_who_sees_one_tenant_is_told_of_that_one_alone(url: str) -> None:
    """In lists, sums and what needs attention; who sees all, of all."""
    with services_at(url) as services:
        for tenant in ("acme", "globex", "globex"):
            enqueue(services.server, tenant)
        HandWorker(services.server, "acme").hello()
        services.alerts.raise_alert("memory", "globex", "", "too much")
        mine, all_of_them = desk_of(services, "acme", "read").standing, desk_of(services, None, "read").standing

        assert (["acme"], 1, 1) == ([each.tenant for each in mine.all()], mine.totals().queued, mine.totals().workers)
        assert [] == mine.attention()
        for reading in (lambda: mine.of("globex"), lambda: mine.all("globex")):
            with pytest.raises(TenantNotFound):
                reading()
        with pytest.raises(RoleNeeded):
            mine.page("tenant", "", 0, 10)

        shown, count = all_of_them.page("tenant", "glo", 0, 10)
        assert (["globex"], 1) == ([each.tenant for each in shown], count)
        assert ["acme", "globex"] == [each.tenant for each in all_of_them.all()]
        assert 3 == all_of_them.totals().queued
        assert ["globex"] == [each.tenant for each in all_of_them.attention()]
