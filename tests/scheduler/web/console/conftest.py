"""A console of which two tenants can be seen: one with work and a worker, and one that has spoiled its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import HandWorker, enqueue
from taglane.store import keys

if TYPE_CHECKING:
    from taglane_scheduler.services import Services


@pytest.fixture
def filled(services: Services) -> Services:
    """acme has two waiting runs, one that goes, a worker; globex waits in vain; zorg is unreadable."""
    for tenant in ("acme", "globex", "zorg"):
        services.tenants.create(tenant)
        enqueue(services.server, tenant)
    enqueue(services.server, "acme")
    enqueue(services.server, "acme")
    HandWorker(services.server, "acme").hello().fetch(1)
    for key in (keys.runs, keys.tags, keys.leases, keys.workers):
        services.server.redis.delete(key("zorg"))
        services.server.redis.set(key("zorg"), "<b>mine</b>")
    return services
