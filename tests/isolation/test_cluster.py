"""A tenant's credential on a cluster: on no node, primary or replica, does it reach another tenant, or the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from cluster import Cluster
from factories import enqueue
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as LostConnection
from taglane.store import functions, keys
from taglane.store.command_keys import slot_of
from taglane.store.runs import Runs
from taglane.store.server import Server
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster import ClusterNode
    from taglane_scheduler.embedded import ServerBinary

OTHER = keys.prefix("globex")


@dataclass
class Fenced:
    """A cluster with two tenants, one of whom tries to reach the other."""

    cluster: Cluster
    operator: Server
    url: str

    def at(self, node: ClusterNode, *, reads: bool = False) -> Any:
        """A plain client of one node with the tenant's credential."""
        login = urlsplit(self.url)
        client: Any = Redis(
            port=node.port, username=login.username, password=login.password, protocol=2, driver_info=None
        )
        if reads:
            client.execute_command("READONLY")
        return client


@pytest.fixture(scope="module")
def fenced(binary: ServerBinary) -> Iterator[Fenced]:
    with Cluster(binary, primaries=2, replicas=1) as cluster:
        operator = Server(cluster.url)
        functions.load(operator.redis)
        url = Tenants(operator).create("acme").url
        Tenants(operator).create("globex")
        for tenant in ("acme", "globex"):
            enqueue(operator, tenant)
        cluster.wait_healthy()
        yield Fenced(cluster, operator, url)
        operator.close()


@pytest.mark.parametrize(
    "command",
    [
        "CLUSTER NODES", "CLUSTER SHARDS", "CLUSTER INFO", "CLUSTER MYID", "CLUSTER KEYSLOT x", "CLUSTER RESET HARD",
        "CLUSTER GETKEYSINSLOT 5 10", "CLUSTER COUNTKEYSINSLOT 5", "CLUSTER SETSLOT 5 STABLE", "CLUSTER FAILOVER FORCE",
        "CLUSTER FORGET x", "CLUSTER MEET 127.0.0.1 1", "CLUSTER ADDSLOTS 5", "CLUSTER DELSLOTS 5", "CLUSTER LINKS",
        "CLUSTER FLUSHSLOTS", "CLUSTER SAVECONFIG", "CLUSTER BUMPEPOCH", "READONLY", "READWRITE",
        f"MIGRATE 127.0.0.1 1 {OTHER}runs 0 100", f"MIGRATE 127.0.0.1 1 {keys.prefix('acme')}runs 0 100",
        f"DUMP {keys.prefix('acme')}runs", f"RESTORE {keys.prefix('acme')}x 0 x", "REPLICAOF NO ONE", "PSYNC ? -1",
        f"SPUBLISH {OTHER}done:x y", f"SSUBSCRIBE {OTHER}done:x", f"PUBLISH {OTHER}wake 0", f"SUBSCRIBE {OTHER}wake",
        f"ZCARD {OTHER}runs", f"FCALL taglane_standing 1 {OTHER} 1000", f"HGETALL {keys.TENANTS}",
    ],
)  # fmt: skip
def test_on_every_node_it_is_refused(fenced: Fenced, command: str) -> None:
    """Whatever a client of a cluster may ask a node, and what nodes ask one another."""
    for node in fenced.cluster.nodes:
        with fenced.at(node) as client, pytest.raises(NoPermissionError):
            client.execute_command(*command.split())


def test_which_node_has_a_key_is_told(fenced: Fenced) -> None:
    """That alone, which every client needs: slots and addresses, and no tenant's name."""
    for node in fenced.cluster.nodes:
        with fenced.at(node) as client:
            assert "globex" not in str(client.execute_command("CLUSTER SLOTS"))


def test_asking_reaches_its_own_keys_alone(fenced: Fenced) -> None:
    """It is for a slot that is on its way; another tenant's is refused behind it as well."""
    for node in fenced.cluster.nodes:
        with fenced.at(node) as client:
            pipeline = client.pipeline(transaction=False)
            pipeline.execute_command("ASKING")
            pipeline.execute_command("ZCARD", f"{OTHER}runs")
            _, refused = pipeline.execute(raise_on_error=False)
            assert isinstance(refused, NoPermissionError)


def test_while_its_slot_moves_it_reads_on(fenced: Fenced) -> None:
    """Key by key: what is there still and what is there already; and no function runs on a half of it."""
    cluster, own = fenced.cluster, Server(fenced.url)
    slot, source = slot_of(keys.prefix("acme")), cluster.node_of("acme")
    target = next(node for node in cluster.primaries if node is not source)
    (run,) = Runs(own).list("acme")
    cluster.begin_move(slot, source, target)

    while cluster.move_keys(slot, source, target, 1):
        assert "queued" == Runs(own).get(run.id).state
        for node in (source, target):
            with fenced.at(node) as client, pytest.raises(ResponseError):
                client.fcall("taglane_standing", 1, keys.prefix("acme"), 1_000)
    cluster.end_move(slot, source, target)

    assert "queued" == Runs(own).get(run.id).state
    own.close()


def test_each_node_has_each_tenants_user(fenced: Fenced) -> None:
    """Replicas as well: one may be the primary in a moment."""
    users = [{str(name) for name in map(_text, node.client.acl_users())} for node in fenced.cluster.nodes]

    assert [{"default", "taglane-acme", "taglane-globex"}] * len(users) == users


def test_a_password_that_was_replaced_opens_no_node(fenced: Fenced) -> None:
    """And the connections that it has opened end, on all of them."""
    old = [fenced.at(node) for node in fenced.cluster.nodes]
    for client in old:
        client.ping()

    fenced.url = Tenants(fenced.operator).rotate("acme", overlap=0).url

    for client in old:
        with pytest.raises((AuthenticationError, LostConnection)):  # cut; and refused, where it connects again
            client.ping()
        client.close()
    for node in fenced.cluster.nodes:
        with fenced.at(node) as client:
            assert client.ping()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
