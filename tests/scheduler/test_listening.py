"""A subscription: what it hears, and that it finds out when it hears nothing any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster import Cluster
from eventually import eventually
from taglane.errors import ServerUnavailable
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler import listening as listening_module
from taglane_scheduler.listening import Listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.embedded import ServerBinary


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = Server(url)
    yield server
    server.close()


def test_patterns_and_names_are_heard(store: Server) -> None:
    """Both, and nothing else."""
    listening = Listening(store, "a test", patterns=[keys.WAKE_ALL], channels=[keys.POOLS])
    listening.open()
    for channel in (keys.wake("acme"), "another", keys.POOLS):
        store.redis.publish(channel, "x")

    heard = [eventually(lambda: listening.read(0.1))["channel"] for _ in range(2)]  # type: ignore[index]
    listening.close()

    assert {keys.wake("acme").encode(), keys.POOLS.encode()} == set(heard)


def test_without_a_subscription_nothing_is_waited_for(store: Server) -> None:
    """Whoever reads before it is open is told so."""
    with pytest.raises(ServerUnavailable, match="no subscription"):
        Listening(store, "a test", channels=[keys.POOLS]).read(0.0)


def test_a_node_that_says_nothing_is_found_out(binary: ServerBinary, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen one closes no connection; the next subscription is another node's, and hears all the same."""
    monkeypatch.setattr(listening_module, "ASK_S", 0.1)
    monkeypatch.setattr(listening_module, "SILENT_S", 0.5)
    with Cluster(binary, primaries=2, replicas=0) as cluster:
        server = Server(cluster.url)
        listening = Listening(server, "a test", channels=[keys.POOLS])
        listening.open()
        ports = [each.port for each in cluster.nodes]
        told = listening._pubsub.connection_pool.connection_kwargs  # type: ignore[union-attr]  # noqa: SLF001
        frozen = cluster.nodes[ports.index(told["port"])]
        other = next(each for each in cluster.nodes if each is not frozen)

        frozen.freeze()
        with pytest.raises(ServerUnavailable, match="says nothing"):
            eventually(lambda: listening.read(0.1))
        listening.open()
        other.client.publish(keys.POOLS, "x")

        assert b"x" == eventually(lambda: listening.read(0.1))["data"]  # type: ignore[index]
        listening.close()
        frozen.thaw()
        server.close()
