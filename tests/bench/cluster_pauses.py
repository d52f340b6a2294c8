"""For how long tenants of a cluster wait when a node dies, freezes, or hands slots on: those concerned, the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster import Cluster
from faults.scene_cluster import BusyCluster
from taglane_scheduler.embedded import find_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cluster import ClusterNode


@dataclass(frozen=True, slots=True)
class Pause:
    """The longest waits, s: of a fire behind its instant, of a caller between two confirmed runs."""

    what: str
    fire: float
    caller: float
    others_fire: float
    others_caller: float


def pauses() -> Iterator[Pause]:
    """Do to one cluster under load what befalls clusters, one thing after the other, and measure each."""
    with Cluster(find_server()) as cluster, BusyCluster(cluster) as busy:
        yield _pause(busy, "a node is killed, its replica takes over", _killed(cluster))
        yield _pause(busy, "a node is frozen, its replica takes over", _frozen(cluster))
        yield _pause(busy, "a slot moves key by key", _moved(busy, whole=False))
        yield _pause(busy, "a slot moves as a whole (Valkey 9)", _moved(busy, whole=True))


def lines(found: Iterator[Pause]) -> Iterator[str]:
    """A table."""
    yield f"{'longest wait, s':42} {'fire':>6} {'caller':>7}   {'others: fire':>12} {'caller':>7}"
    for each in found:
        mine, others = f"{each.fire:6.2f} {each.caller:7.2f}", f"{each.others_fire:12.2f} {each.others_caller:7.2f}"
        yield f"{each.what:42} {mine}   {others}"


def _pause(busy: BusyCluster, what: str, happen: Callable[[BusyCluster], list[str]]) -> Pause:
    busy.wait_fires(2)
    since = {name: busy.fires(name).newest for name in busy.tenants}
    for tenant in busy.tenants.values():
        tenant.longest_gap = 0.0
    concerned = happen(busy)
    busy.wait_fires(3)
    waits = {name: busy.fires(name).longest_wait(after=since[name]) / 1000 for name in busy.tenants}
    gaps = {name: tenant.longest_gap for name, tenant in busy.tenants.items()}
    others = [name for name in busy.tenants if name not in concerned]
    return Pause(
        what,
        fire=max(waits[name] for name in concerned),
        caller=max(gaps[name] for name in concerned),
        others_fire=max(waits[name] for name in others),
        others_caller=max(gaps[name] for name in others),
    )


def _killed(cluster: Cluster) -> Callable[[BusyCluster], list[str]]:
    def happen(busy: BusyCluster) -> list[str]:
        node = cluster.primaries[0]
        concerned = busy.of(node)
        node.kill()
        cluster.wait_failed_over(node)
        cluster.mend()
        return concerned

    return happen


def _frozen(cluster: Cluster) -> Callable[[BusyCluster], list[str]]:
    def happen(busy: BusyCluster) -> list[str]:
        node: ClusterNode = cluster.node_of(next(iter(busy.tenants)))
        concerned = busy.of(node)
        node.freeze()
        cluster.wait_failed_over(node)
        cluster.mend()
        return concerned

    return happen


def _moved(busy: BusyCluster, *, whole: bool) -> Callable[[BusyCluster], list[str]]:
    def happen(_: BusyCluster) -> list[str]:
        name = next(iter(busy.tenants))
        source = busy.cluster.node_of(name)
        target = next(node for node in busy.cluster.primaries if node is not source)
        if not whole or not busy.cluster.move_whole(name, target):
            busy.cluster.move(name, target)
        return [name]

    return happen
