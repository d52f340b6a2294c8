"""Many commands at once to a cluster: one node's trouble is in the places of its own commands, and in no others."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import make_server
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import ResponseError
from taglane.errors import NodeUnavailable
from taglane.store import keys
from taglane.store.server import Server

if TYPE_CHECKING:
    from cluster import Cluster

TENANTS = [f"t{number}" for number in range(12)]


def test_answers_are_in_the_order_of_the_commands(cluster: Cluster) -> None:
    """Whatever node each came from; what went wrong with one is raised, or stands in its place."""
    server = Server(cluster.url)
    pipeline = server.redis.pipeline(transaction=False)
    for number, name in enumerate(TENANTS):
        pipeline.rpush(keys.runs(name), *range(number + 1))
    assert [number + 1 for number in range(12)] == pipeline.execute()
    pipeline.llen(keys.runs("t3")).get(keys.runs("t4")).hgetall(keys.limits("t5")).time()

    length, wrong, table, (seconds, _) = pipeline.execute(raise_on_error=False)
    assert (4, {}) == (length, table)
    assert seconds > 1_700_000_000
    assert isinstance(wrong, ResponseError)
    pipeline.llen(keys.runs("t3")).get(keys.runs("t4"))
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        pipeline.execute()
    assert [] == pipeline.execute()
    server.close()


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_a_node_that_is_gone_spoils_its_own_tenants_alone(cluster: Cluster, how: str) -> None:
    """The others are answered in the same round trip, the first time too; when another has its slots, all are."""
    server = Server(cluster.url + "?socket_timeout=0.3")
    make_server(cluster.url).close()
    calls = [("beat", name, ["w"]) for name in TENANTS]
    assert [0] * 12 == server.calls(calls)
    node = cluster.node_of("t1")
    its = {name for name in TENANTS if cluster.node_of(name) is node}
    assert 0 < len(its) < 12

    getattr(node, how)()
    for _ in range(3):
        answers = dict(zip(TENANTS, server.calls(calls), strict=True))
        assert its == {name for name, answer in answers.items() if isinstance(answer, NodeUnavailable)}
        assert {0} == {answer for name, answer in answers.items() if name not in its}

    eventually(lambda: server.calls(calls) == [0] * 12, 20)
    server.close()


def test_who_is_interrupted_as_he_waits_leaves_no_answer_to_others(cluster: Cluster) -> None:
    """Nor a connection that nobody gives back: of no node that he has asked."""
    server = Server(cluster.url)
    make_server(cluster.url).close()
    calls = [("beat", name, ["w"]) for name in TENANTS]
    assert [0] * 12 == server.calls(calls)
    pools = [client.connection_pool for client in server.nodes()]
    node = cluster.node_of(TENANTS[0])  # it is heard first
    before = signal.signal(signal.SIGALRM, _interrupt)
    node.freeze()
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            server.calls(calls)
    finally:
        node.thaw()
        signal.signal(signal.SIGALRM, before)

    assert [set()] * 3 == [pool._in_use_connections for pool in pools]  # noqa: SLF001
    assert [0] * 12 == server.calls(calls)
    server.close()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_transaction_with_a_node_that_is_gone_is_refused(cluster: Cluster) -> None:
    """Others' go on."""
    server = Server(cluster.url)
    server.shards()
    node = cluster.node_of("t1")
    other = next(name for name in TENANTS if cluster.node_of(name) is not node)
    node.kill()
    for _ in range(2):
        with server.redis.pipeline() as pipeline, pytest.raises(LostConnection):
            pipeline.set(keys.runs("t1"), "1").execute()
        with server.redis.pipeline() as pipeline:
            assert [True] == pipeline.set(keys.runs(other), "1").execute()
    server.close()


def test_a_slot_that_has_moved_is_followed(cluster: Cluster) -> None:
    """Within the same call."""
    server = make_server(cluster.url)
    calls = [("beat", name, ["w"]) for name in TENANTS]
    assert [0] * 12 == server.calls(calls)
    cluster.move("t1")
    cluster.move("t2")

    assert [0] * 12 == server.calls(calls)
    assert cluster.node_of("t1").id == server.shard_of("t1")
    server.close()
