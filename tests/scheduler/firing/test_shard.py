"""What the loop of one primary is given: its own tenants, its node's time, the wakes that are meant for it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from factories import server_time
from taglane.errors import NodeUnavailable
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.firing.lookout import Lookout
from taglane_scheduler.firing.shard import Inbox, ShardRoster, node_of
from taglane_scheduler.firing.wakes import MOST, Wake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster import Cluster

TENANTS = {f"t{number}" for number in range(20)}
NEVER = threading.Event()


@pytest.fixture
def store(cluster: Cluster) -> Iterator[Server]:
    server = Server(cluster.url)
    server.redis.hset(keys.TENANTS, mapping=dict.fromkeys(TENANTS, "{}"))
    yield server
    server.close()


@pytest.fixture
def lookout(store: Server) -> Lookout:
    made = Lookout(store)
    made.step()
    return made


def test_each_tenant_is_one_shards(store: Server, lookout: Lookout) -> None:
    """All are somebody's, and none two's."""
    rosters = [ShardRoster(store, shard, lookout) for shard in store.shards()]
    parts = [roster.tenants() for roster in rosters]

    assert all(parts)
    assert sorted(TENANTS) == sorted(tenant for part in parts for tenant in part)
    assert all(roster.has(tenant) for roster, part in zip(rosters, parts, strict=True) for tenant in part)
    assert not rosters[0].has("stranger")


def test_who_is_another_shards_is_handed_on(store: Server, lookout: Lookout) -> None:
    """The other loop looks at it at once: it has moved there."""
    mine, other = (ShardRoster(store, shard, lookout) for shard in store.shards())
    inboxes = {shard: Inbox() for shard in store.shards()}
    lookout.tell(inboxes)
    (moved, *_), (stays, *_) = sorted(other.tenants()), sorted(mine.tenants())

    assert [stays] == mine.keep([stays, moved])

    assert [[], [Wake(moved, 0)]] == [inbox.wait(0, NEVER) for inbox in inboxes.values()]


def test_the_time_is_the_nodes(store: Server, lookout: Lookout, cluster: Cluster) -> None:
    """Each node has a clock of its own; one that is no primary has none."""
    for shard in store.shards():
        asked = ShardRoster(store, shard, lookout).beat(0.0)
        assert abs(asked - server_time(cluster.nodes[0].client)) < 5_000
    with pytest.raises(NodeUnavailable):
        node_of(store, "nobody")


def test_an_inbox_wakes_who_waits() -> None:
    """At once; and one that is full comes in parts."""
    inbox, begun = Inbox(), time.monotonic()
    threading.Timer(0.05, inbox.put, [[Wake("acme", number) for number in range(MOST + 1)]]).start()

    assert MOST == len(inbox.wait(30, NEVER))
    assert 1 == len(inbox.wait(0, NEVER))
    assert [] == inbox.wait(0, NEVER)
    assert time.monotonic() - begun < 10


def test_stopping_ends_a_wait() -> None:
    """Whoever is to stop does not wait to the end."""
    stopping = threading.Event()
    stopping.set()

    assert [] == Inbox().wait(30, stopping)
