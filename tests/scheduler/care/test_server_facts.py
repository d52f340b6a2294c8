"""What a server, and each node of a cluster, says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.store.server import Server
from taglane_scheduler.care.server_facts import facts_of, facts_of_all, settings_of

if TYPE_CHECKING:
    from cluster import Cluster


def test_every_node_of_a_cluster_is_asked(cluster: Cluster) -> None:
    """Each by its name; what they say of the cluster is told once."""
    server = Server(cluster.url)

    found = facts_of_all(server)

    assert sorted(f"127.0.0.1:{node.port}" for node in cluster.nodes) == sorted(node.name for node in found.nodes)
    assert ((), (), 16_384, 1_000) == (found.gone, found.strict, found.slots, found.timeout_ms)
    assert all(node.cluster and node.role == "master" and node.open_default is False for node in found.nodes)
    server.close()


def test_settings_are_told_by_their_names(cluster: Cluster) -> None:
    """Those that are asked for."""
    node = cluster.nodes[0].client

    assert {"cluster-node-timeout": "1000"} == settings_of(node, ("cluster-node-timeout",))
    assert "noeviction" == facts_of(node).policy
