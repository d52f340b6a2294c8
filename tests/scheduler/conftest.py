"""A cluster for what is about clusters, whatever server the other tests run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster import Cluster, flush

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.embedded import ServerBinary


@pytest.fixture(scope="session")
def shared_cluster(binary: ServerBinary) -> Iterator[Cluster]:
    with Cluster(binary, primaries=2, replicas=0) as running:
        yield running


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """Two primaries without replicas, emptied."""
    flush(shared_cluster)
    return shared_cluster
