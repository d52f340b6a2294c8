"""A server of its own for each scene, and a tenant's credential: faults are for nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cluster import CLUSTERED, Cluster
from scene import Scene
from taglane import Taglane
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taglane_scheduler.embedded import ServerBinary


@pytest.fixture
def scene(binary: ServerBinary, tmp_path: Path) -> Iterator[Scene]:
    server: Any
    with Cluster(binary) if CLUSTERED else EmbeddedServer(binary=binary) as server:
        operator = Server(server.url)
        tenant = Tenants(operator).create("acme")
        lane = Taglane(tenant.url)
        record = operator.redis.hget(keys.TENANTS, "acme")
        yield Scene(server, operator, tenant.url, lane, tmp_path, record)
        lane.close()
        operator.close()
