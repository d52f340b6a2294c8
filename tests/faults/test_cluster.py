"""Nodes of a cluster that are killed, frozen, added and emptied, while all its tenants are at work.

`CLUSTER_SECONDS` says for how long each is watched after what befell it: 2 as in CI, 20 in `make cluster`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from cluster import Cluster
from eventually import eventually
from faults.scene_cluster import BusyCluster
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.embedded import ServerBinary

pytestmark = pytest.mark.timeout(240)

SECONDS = int(os.environ.get("CLUSTER_SECONDS", "2"))
LONG = pytest.mark.skipif(SECONDS <= 2, reason="a longer one: CLUSTER_SECONDS=20, as in `make cluster`")


@pytest.fixture(scope="module")
def busy(binary: ServerBinary) -> Iterator[BusyCluster]:
    with Cluster(binary) as cluster, BusyCluster(cluster) as made:
        yield made


def holds(busy: BusyCluster, *, paused: list[str]) -> None:
    """Nothing that was confirmed is lost, no instant has two runs or none; the others noticed nothing."""
    __tracebackhide__ = True
    busy.paused.update(paused)
    busy.wait_fires(SECONDS)
    busy.settle()
    for name, tenant in busy.tenants.items():
        fires = busy.fires(name)
        assert (0, 0) == (fires.missed, fires.doubled), name
        assert max(tenant.finished.values()) == 1, f"{name}: a run has ended twice"
        if name not in busy.paused:
            assert {} == tenant.errors, name
            assert max(tenant.executed.values()) == 1, f"{name}: a run was executed twice"
            assert fires.late <= fires.count // 4, f"{name}: {fires.late} of {fires.count} fires are late"


def test_a_killed_node_stops_its_tenants_alone(busy: BusyCluster) -> None:
    """They pause until the replica takes over; the others' fires and runs don't notice; nothing confirmed is lost."""
    node = busy.cluster.primaries[0]
    paused = busy.of(node)

    node.kill()
    busy.wait_fires(2, [name for name in busy.tenants if name not in paused])
    busy.cluster.wait_failed_over(node)
    busy.cluster.mend()  # it is a replica now: without any, nothing more would be confirmed

    holds(busy, paused=paused)
    assert all(busy.tenants[name].errors for name in paused)


@LONG
def test_the_node_of_the_record_may_be_gone(busy: BusyCluster) -> None:
    """Who the tenants are lies on one node: the schedulers go on with what they knew, and so do the others' workers."""
    node = next(each for each in busy.cluster.primaries if each.id == busy.operator.shard_at(keys.TENANTS))
    paused = busy.of(node)

    node.freeze()
    busy.wait_fires(2, [name for name in busy.tenants if name not in paused])
    busy.cluster.wait_failed_over(node)
    busy.cluster.mend()

    holds(busy, paused=paused)


def test_slots_move_while_their_tenants_work(busy: BusyCluster) -> None:
    """Key by key, as redis-cli does it: a tenant waits while its slot is on the way, and nothing is lost or doubled."""
    moved = [busy.of(node)[0] for node in busy.cluster.primaries]

    for name in moved:
        busy.cluster.move(name)
        busy.wait_fires(1, [name])

    holds(busy, paused=moved)


@LONG
def test_a_node_joins_and_goes(busy: BusyCluster) -> None:
    """It is given what it lacks, takes tenants over, and gives them back."""
    cluster, new = busy.cluster, busy.cluster.add()
    replica = cluster.add(replica_of=new)  # without one, nothing there would be confirmed
    homes = {busy.of(node)[0]: node for node in cluster.primaries}

    eventually(lambda: len(new.client.acl_users()) > len(busy.tenants), 10, "it is not given the tenants' users")
    for name in homes:
        if not cluster.move_whole(name, new):
            cluster.move(name, new)
    busy.wait_fires(2, list(homes))
    for name, home in homes.items():
        if not cluster.move_whole(name, home):
            cluster.move(name, home)
    for node in (replica, new):
        cluster.take_away(node)

    holds(busy, paused=list(homes))
