"""The desk's queues."""

from __future__ import annotations

import pytest
from desks import desk_of, services_at
from factories import enqueue
from taglane.errors import RoleNeeded, TagNotOwned


def test_a_queue_is_emptied_by_who_operates(url: str) -> None:
    """Of a tag of the tenant alone; workers of shared pools are for who sees all."""
    with services_at(url, "acme") as services:
        enqueue(services.server, "acme")
        desk = desk_of(services, "acme", "operate").queues

        assert [("acme", 1)] == [(each.tag, each.queued) for each in desk.list("acme")]
        with pytest.raises(TagNotOwned):
            desk.purge("acme", "globex")
        with pytest.raises(RoleNeeded):
            desk_of(services, "acme", "read").queues.purge("acme", "acme")
        assert 1 == desk.purge("acme", "acme")
        assert [] == list(desk.workers("acme"))
        with pytest.raises(RoleNeeded):
            desk.pool_workers()
        assert [] == list(desk_of(services).queues.pool_workers())
