"""What a client knows of a cluster's nodes: who has a slot, who is gone, who is back."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from redis.exceptions import ConnectionError as LostConnection
from taglane.errors import ClusterUrlNeeded, NoCluster, NodeUnavailable, Refused
from taglane.store import functions, keys
from taglane.store.cluster_nodes import NodeGone, Nodes
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer, free_port

if TYPE_CHECKING:
    from cluster import Cluster
    from taglane_scheduler.embedded import ServerBinary


def nodes_of(server: Server) -> Nodes:
    found = server.redis.nodes
    assert isinstance(found, Nodes)
    return found


def ports_of(server: Server) -> set[int]:
    nodes_of(server).refresh()
    return {client.connection_pool.connection_kwargs["port"] for client in server.nodes(replicas=True)}


def test_some_seed_is_enough(cluster: Cluster) -> None:
    """Of the nodes that a url names one has to answer; the others are found, replicas too."""
    alive, gone = cluster.nodes[4], free_port()
    server = Server(f"cluster://:{cluster.password}@127.0.0.1:{gone},127.0.0.1:{alive.port}")

    assert {node.id for node in cluster.primaries} == set(server.shards())
    assert cluster.node_of("acme").id == server.shard_of("acme")
    eventually(lambda: 6 == len(ports_of(server)), message="a node that another test has started again is not listed")
    server.close()


def test_no_seed_answers() -> None:
    """The error says where it was looked, and shows no password."""
    first, second = free_port(), free_port()
    server = Server(f"cluster://:hush@127.0.0.1:{first},127.0.0.1:{second}")

    with pytest.raises(NodeUnavailable, match=f"no server at 127.0.0.1:{first},127.0.0.1:{second}") as caught:
        server.call("beat", "acme", "w")
    assert "hush" not in str(caught.value)
    server.close()


def test_a_wrong_password_is_refused(cluster: Cluster) -> None:
    """And nobody is taken for dead because of it."""
    server = Server(cluster.url.replace(cluster.password, "wrong"))

    with pytest.raises(Refused):
        server.call("beat", "acme", "w")
    with pytest.raises(Refused):
        server.shards()
    server.close()


def test_each_url_says_which_the_server_needs(cluster: Cluster, binary: ServerBinary) -> None:
    """A node of a cluster that is taken for a server by itself, and the other way round."""
    elsewhere = next(node for node in cluster.primaries if node is not cluster.node_of("acme"))
    plain = Server(elsewhere.url)
    with pytest.raises(ClusterUrlNeeded, match=r"begin with cluster://"):
        plain.call("beat", "acme", "w")
    plain.close()
    with EmbeddedServer(binary=binary) as lonely:
        server = Server(lonely.url.replace("redis://", "cluster://").removesuffix("/0"))
        with pytest.raises(NoCluster, match=r"begin with redis://"):
            server.call("beat", "acme", "w")
        server.close()


def test_a_node_that_is_gone_is_not_asked_until_it_is_back(cluster: Cluster) -> None:
    """Whoever wants it is refused at once; a thread finds out who has its slots, or that it answers again."""
    server = Server(cluster.url)
    node = cluster.node_of("acme")
    assert 1 == server.redis.incr(keys.run("acme", "x"))
    node.kill()

    with pytest.raises(LostConnection):
        server.redis.incr(keys.run("acme", "x"))
    with pytest.raises(NodeGone, match=f"node 127.0.0.1:{node.port}"):
        server.redis.incr(keys.run("acme", "x"))
    new = cluster.wait_failed_over(node)
    eventually(lambda: new.id == server.shard_of("acme"), 20)
    assert server.redis.incr(keys.run("acme", "x")) in {1, 2}  # replicas follow a little later
    eventually(lambda: not nodes_of(server)._watching, 20)  # noqa: SLF001
    server.close()


def test_a_look_that_fails_is_not_the_last(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the thread that looks after the nodes that are gone they would be so for ever."""
    server = Server(cluster.url)
    node, nodes = cluster.node_of("acme"), nodes_of(server)
    server.shards()
    ours = nodes.at(("127.0.0.1", node.port))
    failures = [RuntimeError("one look"), MemoryError("another")]

    def refresh() -> bool:
        if failures:
            raise failures.pop()
        return Nodes.refresh(nodes)

    monkeypatch.setattr(nodes, "refresh", refresh)
    ours.gone = True
    nodes._watch()  # noqa: SLF001

    eventually(lambda: not nodes._watching, 20)  # noqa: SLF001
    assert [] == failures
    assert not ours.gone
    server.close()


def test_a_frozen_node_comes_back(cluster: Cluster) -> None:
    """It is asked by nobody while it stands still; what goes wrong on one connection makes no node gone."""
    server = Server(cluster.url + "?socket_timeout=0.2")
    functions.load(server.redis)
    node = cluster.node_of("acme")
    node.client.client_kill_filter(_type="normal", skipme=True)
    (answer,) = server.calls([("beat", "acme", ["w"])])
    assert answer == 0 or isinstance(answer, NodeUnavailable)
    assert 0 == server.call("beat", "acme", "w")

    node.freeze()
    with pytest.raises(NodeUnavailable):
        server.call("beat", "acme", "w")
    with pytest.raises(NodeUnavailable, match="gives no answer"):
        server.call("beat", "acme", "w")
    node.thaw()

    eventually(lambda: server.calls([("beat", "acme", ["w"])]) == [0], 20)
    server.close()


def test_a_forked_child_goes_on(cluster: Cluster) -> None:
    """With connections and threads of its own, whoever held what in its parent."""
    server = Server(cluster.url)
    server.redis.set("k", "1")
    with nodes_of(server)._lock:  # noqa: SLF001
        child = os.fork()
        if not child:
            signal.alarm(20)
            nodes_of(server)._refreshed = float("-inf")  # noqa: SLF001
            os._exit(0 if nodes_of(server).refresh() and server.redis.get("k") == b"1" else 1)
    assert 0 == os.waitpid(child, 0)[1]
    assert b"1" == server.redis.get("k")
    server.close()
