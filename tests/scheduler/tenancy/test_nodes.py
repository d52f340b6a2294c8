"""The nodes of a cluster: which there are, and that each has the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.store import functions
from taglane.store.server import Server
from taglane_scheduler.tenancy.nodes import load_library, members

if TYPE_CHECKING:
    from cluster import Cluster


def test_each_node_is_known_and_has_the_functions(cluster: Cluster) -> None:
    """Whoever was emptied has them again."""
    server = Server(cluster.url)
    for node in cluster.nodes:
        node.client.function_flush()

    assert sorted(node.address for node in cluster.nodes) == sorted(members(server))
    load_library(server)

    version = functions.version().encode()
    assert [version] * len(cluster.nodes) == [node.client.fcall("taglane_version", 0) for node in cluster.nodes]
    server.close()
