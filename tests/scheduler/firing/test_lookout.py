"""What the loops of a cluster share, and that it is kept when the node is gone that has the record."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from cluster import Cluster
from eventually import eventually
from taglane.errors import ServerUnavailable
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.firing.lookout import Lookout
from taglane_scheduler.firing.shard import Inbox
from taglane_scheduler.firing.wakes import Wake

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taglane_scheduler.embedded import ServerBinary


def test_a_stranger_that_wakes_may_be_a_new_tenant(cluster: Cluster) -> None:
    """The record is read again, and its loop looks at it; whoever is in none is nobody."""
    server = Server(cluster.url)
    lookout, inboxes = Lookout(server), {shard: Inbox() for shard in server.shards()}
    lookout.tell(inboxes)
    lookout.step()
    assert frozenset() == lookout.tenants
    server.redis.hset(keys.TENANTS, "acme", "{}")

    lookout.pass_on([Wake("acme", 5), Wake("nobody", 5)])
    lookout.step()

    assert {"acme"} == lookout.tenants
    assert [Wake("acme", 0)] == inboxes[server.shard_of("acme")].wait(0, threading.Event())
    server.close()


def test_wakes_come_to_the_loop_whose_tenant_it_is(cluster: Cluster) -> None:
    """Published at any node; each loop begins with a look at all of its tenants."""
    server = Server(cluster.url)
    server.redis.hset(keys.TENANTS, mapping={"acme": "{}", "globex": "{}"})
    lookout, inboxes = Lookout(server), {shard: Inbox() for shard in server.shards()}
    lookout.tell(inboxes)
    lookout.step()
    stopping = threading.Event()
    thread = threading.Thread(target=lookout.hear, args=(stopping,))
    inbox = inboxes[server.shard_of("acme")]
    inbox.wait(0, stopping)
    thread.start()
    try:
        eventually(lambda: inbox.wait(0.1, stopping))
        for node in cluster.nodes:
            node.client.publish(keys.wake("acme"), "7")
            assert Wake("acme", 7) in eventually(lambda: inbox.wait(0.1, stopping))
    finally:
        stopping.set()
        thread.join(10)
    server.close()


def test_without_the_record_what_was_known_stays(binary: ServerBinary) -> None:
    """Its node is gone: it is said, and the tenants stay who they were."""
    with Cluster(binary, primaries=2, replicas=0) as cluster:
        server = Server(cluster.url)
        server.redis.hset(keys.TENANTS, "acme", "{}")
        lookout = Lookout(server)
        lookout.step()
        port = server.node_at(keys.TENANTS).get_connection_kwargs()["port"]

        next(node for node in cluster.nodes if node.port == port).kill()
        with pytest.raises(ServerUnavailable):
            lookout.step()

        assert {"acme"} == lookout.tenants
        assert 0 == lookout.delay("acme")
        server.close()


def test_what_goes_wrong_unforeseen_ends_neither_thread(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are said, and go on: without them no new tenant would be seen, and nobody woken."""
    server = Server(cluster.url)
    lookout, failures, stopping = Lookout(server), [KeyError("one"), KeyError("another")], threading.Event()

    def fail_once(tenants: Iterable[str]) -> None:
        if failures:
            raise failures.pop()
        Lookout.hand_on(lookout, tenants)
        heard.append(threading.current_thread().name)

    heard: list[str] = []
    monkeypatch.setattr(lookout, "hand_on", fail_once)
    threads = [
        threading.Thread(target=work, args=(stopping,), name=name)
        for name, work in (("lookout", lookout.look_out), ("wakes", lookout.hear))
    ]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: {"lookout", "wakes"} == set(heard))
    finally:
        stopping.set()
        for thread in threads:
            thread.join(10)
    assert [] == failures
    server.close()
