"""A pool's worker on a cluster: tenants on all nodes, of which one may be gone."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import run_field
from pooling import POOL, TAG, HandPool
from taglane.errors import NodeUnavailable
from taglane.model.limits import Limits
from taglane.store import functions, keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster import Cluster, ClusterNode
    from taglane.model.envelope import Delivery
    from taglane.store.pool_leases import PoolLeases


@pytest.fixture
def pool(cluster: Cluster) -> Iterator[HandPool]:
    found = HandPool(cluster.url + "?socket_timeout=0.3")
    functions.load(found.redis)
    found.keeper.connect()
    yield found
    found.close()


def elsewhere(cluster: Cluster) -> tuple[str, str, ClusterNode]:
    """A tenant on a node that has neither the pool nor what is nobody's; one on another; and the first one's node."""
    central = {cluster.node_at(keys.pool_prefix(POOL)), cluster.node_at(keys.TENANTS)}
    names = [f"t{number}" for number in range(40)]
    far = next(name for name in names if cluster.node_of(name) not in central)
    near = next(name for name in names if cluster.node_of(name) in central)
    return far, near, cluster.node_of(far)


def finish(worker: PoolLeases, runs: list[Delivery]) -> None:
    ends = [value for run in runs for value in (run.run, run.token, "succeeded", 1, "{}", "")]
    worker.say([("finish", ends)], lambda _move, _answer: None)


def fetched(worker: PoolLeases) -> list[Delivery]:
    answer: Any = worker.fetch(4, [TAG], idle=True)
    return list(answer.deliveries)


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_a_node_that_is_gone_keeps_no_other_tenant_waiting(cluster: Cluster, pool: HandPool, how: str) -> None:
    """Ends of its tenants' runs are said when their slots are served again; no run is lost, and others go on."""
    far, near, node = elsewhere(cluster)
    pool.tenants(far, near)
    worker = pool.worker()
    first = pool.enqueue(far, 1)
    wake(pool, far)
    (held,) = fetched(worker)
    assert first == [held.run]
    assert 1 == node.client.wait(1, 2_000)

    getattr(node, how)()
    finish(worker, [held])
    assert worker.owes
    made = pool.enqueue(near, 8)
    wake(pool, near)
    done: set[str] = set()
    while len(done) < 8:
        runs = fetched(worker)
        finish(worker, runs)
        done |= {run.run for run in runs}
    assert set(made) == done
    assert worker.owes

    cluster.wait_failed_over(node)
    eventually(lambda: said_all(worker), 20)
    with cluster.client() as client:
        assert "succeeded" == run_field(client, held.run, "state", far)
    more = eventually(lambda: enqueued(pool, far), 20)
    wake(pool, far)
    done = set()
    while set(more) != done:
        done |= {run.run for run in fetched(worker)}


def wake(pool: HandPool, tenant: str) -> None:
    """As a scheduler does that has heard of work: this one may have listened at the node that is gone."""
    pool.pools.wake(POOL, {tenant: Limits()})


def enqueued(pool: HandPool, tenant: str) -> list[str]:
    with suppress(NodeUnavailable):
        return pool.enqueue(tenant, 2)
    return []


def said_all(worker: PoolLeases) -> bool:
    worker.say([("renew", [worker.worker, 0, 0])], lambda _move, _answer: None)
    return not worker.owes
