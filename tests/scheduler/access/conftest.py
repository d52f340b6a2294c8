"""Who may come in, on an empty server with a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane.settings import load_settings
from taglane_scheduler.services import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.access.access import Access
    from taglane_scheduler.services import Services


@pytest.fixture
def services(url: str) -> Iterator[Services]:
    """The operator's services, on an empty server that has the library."""
    made = build(load_settings(url=url))
    made.prepare()
    yield made
    made.close()


@pytest.fixture
def access(services: Services) -> Access:
    """Of a server with the tenant acme."""
    services.tenants.create("acme")
    return services.access
