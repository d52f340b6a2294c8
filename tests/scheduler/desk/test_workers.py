"""The desk's workers."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from factories import HandWorker, enqueue
from taglane.errors import RoleNeeded, TenantNotFound


def test_workers_are_seen_by_who_sees_their_tenant(url: str) -> None:
    """With some of what they hold; pools are the operator's."""
    with services_at(url) as services:
        run = enqueue(services.server, "acme")
        HandWorker(services.server, "acme").hello().fetch()
        desk = desk_of(services, "acme", "read").workers

        found = desk.list(["acme"])
        assert {("acme", "worker-1"): [run]} == desk.holding(found)
        with pytest.raises(TenantNotFound):
            desk.list(["acme", "globex"])
        with pytest.raises(RoleNeeded):
            desk.pools()
        assert [] == [*desk_of(services).workers.pools()]
