"""Users and library lie in no data of the server: after a restart, on a replica, on a new one, the fence stands."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from processes import SchedulerProcess
from sentinel import Group, Node
from taglane.errors import Refused, TaglaneError
from taglane.store import functions, keys
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.audit import Audit
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from pathlib import Path

    from taglane_scheduler.embedded import ServerBinary


def serves(url: str) -> bool:
    """Whether a tenant's own move is made there."""
    server = Server(url)
    try:
        with suppress(TaglaneError):
            return bool(server.call("beat", "acme", "nobody") == 0)
    finally:
        server.close()
    return False


def assert_the_fence_stands(url: str) -> None:
    """Its own is reached, another's is not, nor is what is the operator's."""
    server = Server(url)
    assert server.redis.hgetall(keys.run("acme", "acme.1")) == {}
    for call in (
        lambda: server.call("beat", "globex", "nobody"),
        lambda: Tenants(server).names(),
        lambda: Audit(server).list(),
    ):
        with pytest.raises(Refused):
            call()
    server.close()


def at(node: Node, url: str) -> str:
    """A tenant's url, for another node than the one that it names."""
    return url.rpartition(":")[0] + f":{node.port}/0"


def test_after_a_restart(binary: ServerBinary, tmp_path: Path) -> None:
    """A server that reads its data again has no users: the scheduler makes them, with the passwords that hold."""
    with EmbeddedServer(binary=binary, directory=tmp_path) as server:
        operator = Server(server.url)
        tenants = Tenants(operator)
        tenants.create("globex")
        first = tenants.create("acme")
        second = tenants.rotate("acme", overlap=3_600_000)
        third = tenants.rotate("acme", overlap=0)
        with SchedulerProcess(server.url) as scheduler:
            scheduler.wait_ready()
            server.kill()
            server.restart()
            eventually(lambda: serves(third.url), 30, "the users do not come back")
        assert_the_fence_stands(third.url)
        assert [False, False] == [serves(old.url) for old in (first, second)]
        assert [] == tenants.users_amiss()
        operator.close()


def test_on_a_replica_that_takes_over_and_on_a_new_one(binary: ServerBinary) -> None:
    """Each has the users before it is needed; what was noted of the past comes along."""
    with Group(binary, replicas=1, sentinels=0) as group:
        primary, replica = group.nodes
        operator = Server(primary.url)
        functions.load(operator.redis)
        tenants = Tenants(operator)
        tenants.create("globex")
        made = tenants.create("acme")
        late = group.add_replica(primary.port)
        tenants.sweep()

        for node in (replica, late):
            assert_the_fence_stands_for_reading(at(node, made.url))
        operator.redis.wait(2, 5_000)
        with replica.client() as redis:
            redis.execute_command("REPLICAOF", "NO", "ONE")
        eventually(lambda: serves(at(replica, made.url)), 20, "it takes no writes")
        assert_the_fence_stands(at(replica, made.url))
        promoted = Server(replica.url)
        assert ["create", "create"] == [entry.action for entry in Audit(promoted).list()]
        assert [] == Tenants(promoted).users_amiss()
        promoted.close()
        operator.close()


def assert_the_fence_stands_for_reading(url: str) -> None:
    """As far as a replica lets anybody do anything."""
    server = Server(url)
    assert server.redis.get(keys.run("acme", "none")) is None
    with pytest.raises(Refused), server.renamed("reading"):
        server.redis.get(keys.run("globex", "none"))
    server.close()
