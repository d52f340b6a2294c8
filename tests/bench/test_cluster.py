"""The bench of clusters, in its shortest form: that it runs, and counts what was fired."""

from __future__ import annotations

import pytest
from bench import cluster_runs
from bench.cluster import KINDS, cost, table


@pytest.mark.timeout(120)
def test_the_bench_of_clusters_runs() -> None:
    """Each kind of server fires, and costs something; a cluster's nodes talk to one another."""
    found = {kind: [cost(primaries, tenants=6, jobs=30, seconds=1.5)] for kind, primaries in KINDS.items()}

    assert all(each.fires > 5 and each.scheduler >= 0 and each.servers > 0 for (each,) in found.values())
    assert found["cluster of 3"][0].bus > 0 == found["one server"][0].bus
    assert 1 + len(KINDS) == len(list(table(found)))


@pytest.mark.timeout(120)
def test_the_bench_of_runs_on_clusters_runs() -> None:
    """Each kind of server makes and ends runs, which costs client and servers something."""
    found = {kind: [cluster_runs.cost(primaries, tenants=4, runs=80)] for kind, primaries in KINDS.items()}

    assert all(each.enqueue > 0 and each.many > 0 and each.work > 0 for (each,) in found.values())
    assert 1 + len(KINDS) == len(list(cluster_runs.table(found)))
