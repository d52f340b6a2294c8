"""Who may come in, on an empty server with a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from taglane_scheduler.services import Services
    from taglane_scheduler.web.auth.access import Access


@pytest.fixture
def access(services: Services) -> Access:
    """Of a server with the tenant acme."""
    services.tenants.create("acme")
    return services.access
