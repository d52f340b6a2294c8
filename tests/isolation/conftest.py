"""A world of its own for each module: what is tried there may break a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from isolation.world import Attacker, World
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

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
