"""The desk's workers."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from factories import HandWorker, enqueue
from taglane.errors import RoleNeeded, TenantNotFound, WorkerNotFound


def test_a_worker_is_drained_by_an_operator_of_its_tenant(url: str) -> None:
    """And that is noted."""
    with services_at(url) as services:
        HandWorker(services.server, "acme").hello()
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme", "read").workers.drain("acme", "worker-1")
        with pytest.raises(TenantNotFound):
            desk_of(services, "globex").workers.drain("acme", "worker-1")
        with pytest.raises(WorkerNotFound):
            desk_of(services).workers.drain("acme", "worker-2")
        desk_of(services, "acme", "operate").workers.drain("acme", "worker-1")

        assert services.stores.workers.list("acme")[0].draining
        assert "worker-drain" == services.audit.list("acme", count=1)[0].action


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
