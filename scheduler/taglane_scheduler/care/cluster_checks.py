"""Judges what `doctor` has read of a cluster: what is wrong with one node names it, what is well is said once. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from taglane_scheduler.care.checks import Check, ServerFacts

SLOTS = 16_384

LONG_MS = 15_000
"""How long a node may have to be silent before its replica takes over; more is worth a warning."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What the nodes of a cluster say of themselves."""

    nodes: Sequence[ServerFacts] = ()
    """Those that answer, primaries and replicas; each has its name."""
    gone: Sequence[str] = ()
    """Those that give no answer."""
    strict: Sequence[str] = ()
    """Those that serve nobody when a slot has no node."""
    slots: int = SLOTS
    """Slots that are served, as the primary says that knows of the fewest."""
    timeout_ms: int | None = None
    """How long a node has to be silent before its replica takes over."""


def of_the_cluster(
    cluster: ClusterFacts, judge: Callable[[ServerFacts], Iterable[Check]], made: Callable[..., Check]
) -> Iterator[Check]:
    """Judge the cluster, then each node as *judge* does one server; *made* makes a check."""
    primaries = [node for node in cluster.nodes if node.role == "master"]
    yield _nodes(cluster, len(primaries), made)
    yield _coverage(cluster, made)
    yield _failover(cluster, [node.name for node in primaries if not node.replicas], made)
    yield from _together([(node, check) for node in cluster.nodes for check in judge(node)], len(cluster.nodes))


def _nodes(cluster: ClusterFacts, primaries: int, made: Callable[..., Check]) -> Check:
    if cluster.gone:
        seen = f"give no answer: {', '.join(cluster.gone)}"
        return made(
            "nodes", "fail", seen, "start them again: the tenants of a primary wait until its replica takes over"
        )
    if cluster.slots < SLOTS:
        seen = f"{SLOTS - cluster.slots} of {SLOTS} slots are served by no node: their tenants wait"
        return made("nodes", "fail", seen, "redis-cli --cluster fix HOST:PORT")
    return made("nodes", "ok", f"{primaries} primaries with {len(cluster.nodes) - primaries} replicas have all slots")


def _coverage(cluster: ClusterFacts, made: Callable[..., Check]) -> Check:
    if cluster.strict:
        where = ", ".join(cluster.strict)
        seen = f"cluster-require-full-coverage is yes on {where}: one node that is gone stops all tenants"
        return made("coverage", "fail", seen, "CONFIG SET cluster-require-full-coverage no  (on each node)")
    return made("coverage", "ok", "a node that is gone stops its own tenants alone")


def _failover(cluster: ClusterFacts, lonely: Sequence[str], made: Callable[..., Check]) -> Check:
    if lonely:
        seen = f"no replica would take over from {', '.join(lonely)}: the tenants there would wait for it"
        return made("failover", "warn", seen, "redis-cli --cluster add-node NEW ANY --cluster-slave")
    after = "" if cluster.timeout_ms is None else f" after {cluster.timeout_ms / 1000:g} s of silence, and an election"
    if (cluster.timeout_ms or 0) > LONG_MS:
        return made(
            "failover", "warn", f"a replica takes over{after}", "CONFIG SET cluster-node-timeout 5000  (on each)"
        )
    return made("failover", "ok", f"a replica takes over{after}")


def _together(found: Sequence[tuple[ServerFacts, Check]], nodes: int) -> Iterator[Check]:
    """Say what is well on all nodes once, as the first says it; and of each node what is not."""
    kinds = dict.fromkeys(check.check for _, check in found)
    for kind in kinds:
        of_kind = [(node, check) for node, check in found if check.check == kind]
        amiss = [(node, check) for node, check in of_kind if check.status != "ok"]
        for check in dict.fromkeys(check for _, check in amiss):
            where = [node.name for node, each in amiss if each == check]
            yield replace(check, seen=f"{', '.join(where)}: {check.seen}")
        if not amiss:
            first, check = of_kind[0]
            same = all(each.seen == check.seen for _, each in of_kind)
            rest = f"on all {nodes} nodes" if same else f"on {first.name}; no worse on the others"
            yield replace(check, seen=f"{check.seen} ({rest})")
