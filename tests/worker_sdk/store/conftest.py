"""Two tenants on the shared server: what the tests of the stores work on, unless they make their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_server
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    """The operator's, with the tenants acme and globex."""
    server = make_server(url)
    server.redis.hset(keys.TENANTS, "globex", '{"created":1,"password_hashes":[]}')
    yield server
    server.close()


@pytest.fixture
def acme(store: Server) -> Iterator[Server]:
    """With the tenant's own credential."""
    server = Server(Tenants(store).create("acme").url)
    yield server
    server.close()
