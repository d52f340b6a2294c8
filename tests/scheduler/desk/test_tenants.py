"""The desk's tenants."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from factories import enqueue
from taglane.errors import RoleNeeded


def test_a_tenant_is_stopped_by_who_operates_and_limited_by_who_administers_all(url: str) -> None:
    """One that could raise its own limits would have none."""
    with services_at(url, "acme") as services:
        own, all_ = desk_of(services, "acme", "admin").tenants, desk_of(services, None, "admin").tenants

        for state in ("paused", "draining", ""):
            own.let("acme", state)
            assert state == services.stores.limits.state("acme")
        with pytest.raises(RoleNeeded):
            own.change_limits("acme", {"running": 100})
        assert 3 == all_.change_limits("acme", {"running": 3}).running == own.limits("acme").running
        enqueue(services.server, "acme")
        assert 1 == own.purge("acme")
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme", "read").tenants.let("acme", "paused")
