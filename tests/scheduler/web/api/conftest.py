"""The API in this process, with keys of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scheduler.web.api.world import URL, World
from starlette.testclient import TestClient
from taglane_scheduler.web.serve import console_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane_scheduler.services import Services


@pytest.fixture
def rest(services: Services) -> Callable[..., TestClient]:
    """Opens the API with a key: `rest()` administers all, `rest("acme", "read")` reads one tenant's. acme is there."""
    services.tenants.create("acme")
    app = console_app(services)

    def open_as(tenant: str | None = None, role: str = "admin") -> TestClient:
        secret, _ = services.access.api_keys.create(role, tenant)
        headers = {"Authorization": f"Bearer {secret}"}
        return TestClient(app, base_url=f"{URL}/api/v1", headers=headers, follow_redirects=False)

    return open_as


@pytest.fixture
def world(services: Services) -> World:
    """A server on which `acme` and `globex` have one of everything."""
    made = World(services)
    made.plant("acme")
    made.plant("globex")
    return made
