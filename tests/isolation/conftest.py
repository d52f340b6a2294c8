"""A world of its own for each module: what is tried there may break a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from isolation.world import Attacker, World
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


@pytest.fixture(scope="module")
def world(binary: ServerBinary) -> Iterator[World]:
    with EmbeddedServer(binary=binary, options={"slowlog-log-slower-than": "0"}) as server:
        made = World(server.url)
        yield made
        made.close()


@pytest.fixture
def attacker(world: World) -> Iterator[Attacker]:
    """With the attacker's own credential."""
    made = Attacker(world.attackers_url)
    yield made
    made.close()


@pytest.fixture
def scene(binary: ServerBinary, tmp_path: Path) -> Iterator[Scene]:
    """A server of its own, and one tenant on it: what processes are let loose on."""
    with EmbeddedServer(binary=binary) as server:
        operator = Server(server.url)
        tenant = Tenants(operator).create("acme")
        lane = Taglane(tenant.url)
        yield Scene(server, operator, tenant.url, lane, tmp_path, operator.redis.hget(keys.TENANTS, "acme"))
        lane.close()
        operator.close()
