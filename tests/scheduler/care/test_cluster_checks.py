"""What `doctor` makes of a cluster: what is wrong with one node names it, what is well is said once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scheduler.care.test_checks import FACTS, SERVER
from taglane_scheduler.care.checks import Check, checks_of
from taglane_scheduler.care.cluster_checks import ClusterFacts

PRIMARY = replace(SERVER, cluster=True)
NODES = (replace(PRIMARY, name="a:1"), replace(PRIMARY, name="b:2"), replace(PRIMARY, name="c:3", role="slave"))
CLUSTER = ClusterFacts(nodes=NODES, timeout_ms=5_000)


def judged(**changed: Any) -> list[Check]:
    return checks_of(replace(FACTS, server=None, cluster=replace(CLUSTER, **changed)))


def test_a_healthy_cluster_passes() -> None:
    """One line a check, however many nodes."""
    checks = judged()

    assert {"ok"} == {check.status for check in checks}
    assert len(checks) == len({check.check for check in checks})
    assert "on all 3 nodes" in next(check.seen for check in checks if check.check == "eviction")


@pytest.mark.parametrize(
    ("changed", "check", "status", "seen"),
    [
        ({"gone": ["d:4"]}, "nodes", "fail", "d:4"),
        ({"slots": 16_000}, "nodes", "fail", "384 of 16384"),
        ({"strict": ["a:1"]}, "coverage", "fail", "a:1"),
        ({"timeout_ms": 60_000}, "failover", "warn", "60 s"),
        ({"nodes": (replace(PRIMARY, name="a:1", replicas=0),)}, "failover", "warn", "a:1"),
        ({"nodes": (*NODES, replace(PRIMARY, name="d:4", policy="allkeys-lru"))}, "eviction", "fail", "d:4: "),
    ],
)
def test_what_is_wrong_names_its_node(changed: dict[str, Any], check: str, status: str, seen: str) -> None:
    """With what mends it."""
    (found,) = (each for each in judged(**changed) if each.check == check)

    assert status == found.status
    assert seen in found.seen
    assert found.mend
