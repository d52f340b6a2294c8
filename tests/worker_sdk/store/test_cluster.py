"""The client of a cluster: single commands, and what becomes of them while slots and nodes come and go."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import HandWorker, enqueue, listeners, make_server, run_ids
from redis.exceptions import AskError
from taglane.errors import NodeUnavailable, NotReplicated
from taglane.model.envelope import of_call
from taglane.store import cluster as cluster_module
from taglane.store import keys
from taglane.store.command_keys import slot_of
from taglane.store.leases import Leases
from taglane.store.runs import Runs
from taglane.store.server import Server

if TYPE_CHECKING:
    from cluster import Cluster


def test_each_tenant_is_on_the_node_of_its_slot(cluster: Cluster) -> None:
    """And on no other: what one node has is what its tenants wrote."""
    server = make_server(cluster.url)
    names = [f"t{number}" for number in range(12)]
    made = {name: enqueue(server, name) for name in names}

    assert made == {name: run_ids(server.redis, name)[0] for name in names}
    for name in names:
        assert 1 == cluster.node_of(name).client.exists(keys.runs(name))
        assert server.node_at(keys.prefix(name)).exists(keys.runs(name))
    assert 3 == len({cluster.node_of(name) for name in names})
    server.close()


def test_a_slot_that_is_moved_under_load_loses_nothing(cluster: Cluster) -> None:
    """Threads make runs while their tenant goes from node to node, key by key: each that was answered is there once."""
    server = make_server(cluster.url)
    done = threading.Event()
    made: list[str] = []

    def make() -> None:
        while not done.is_set():
            made.append(enqueue(server))

    with ThreadPoolExecutor(4) as pool:
        threads = [pool.submit(make) for _ in range(4)]
        for _ in range(6):
            before = len(made)
            cluster.move("acme")  # meanwhile all wait, and no longer than a single call does
            eventually(lambda: len(made) > before + 4)  # noqa: B023 - asked here
        done.set()
        for thread in threads:
            thread.result(30)

    assert sorted(made) == sorted(run_ids(server.redis))
    assert len(made) == server.redis.llen(keys.queue("acme", "acme", 0))
    server.close()


def test_while_a_slot_is_on_its_way_no_function_sees_half_a_tenant(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits, and writes nothing anywhere; single keys are found where they are; afterwards all goes on."""
    monkeypatch.setattr(cluster_module, "MOVING", 0.1)
    server = make_server(cluster.url)
    made = [enqueue(server) for _ in range(3)]
    source = cluster.node_of("acme")
    target = next(node for node in cluster.primaries if node is not source)
    slot = slot_of(keys.prefix("acme"))
    cluster.begin_move(slot, source, target)
    cluster.move_keys(slot, source, target, 3)
    before = {node: node.client.dbsize() for node in (source, target)}

    with pytest.raises(NodeUnavailable) as caught:
        enqueue(server)
    assert caught.value.moving
    (answer,) = server.calls([("enqueue", "acme", ["acme.x", "a.b", "acme", 0, of_call({}), "", "", "", ""])])
    assert isinstance(answer, NodeUnavailable)
    assert before == {node: node.client.dbsize() for node in (source, target)}
    with pytest.raises(NodeUnavailable):
        Leases(server, "acme", "w").beats()
    assert {b"queued"} == {server.redis.hget(keys.run("acme", run), "state") for run in made}
    while cluster.move_keys(slot, source, target, 50):
        pass
    cluster.end_move(slot, source, target)

    assert {*made, enqueue(server)} == set(run_ids(server.redis))
    server.close()


def test_a_planned_failover_is_followed(cluster: Cluster) -> None:
    """Each command goes where it is sent on to, and the client learns who has the slots now."""
    server = make_server(cluster.url)
    made = enqueue(server)
    old = cluster.node_of("acme")
    cluster.replica_of(old).client.execute_command("CLUSTER FAILOVER")
    new = cluster.wait_failed_over(old)

    assert [made] == run_ids(server.redis)
    assert new.id == server.shard_of("acme")
    assert new.id in server.shards()
    server.close()


def test_a_transaction_follows_its_keys(cluster: Cluster) -> None:
    """What was watched and has moved has changed: whoever watched it looks again."""
    server = Server(cluster.url)
    key = keys.run("acme", "x")
    server.redis.set(key, "1")
    for _ in range(2):
        cluster.move("acme")
        with server.redis.pipeline() as pipeline:
            pipeline.watch(key)
            value = int(pipeline.get(key))
            pipeline.multi()
            pipeline.set(key, value + 1)
            assert [True] == pipeline.execute()
        cluster.move("acme")
        with server.redis.pipeline() as pipeline:
            pipeline.incr(key)
            pipeline.exists(key)
            pipeline.execute()
    assert b"5" == server.redis.get(key)
    server.close()


def test_replicas_confirm_on_each_node(cluster: Cluster) -> None:
    """Whatever nodes the tenants are on; what was made before is confirmed again; too few say so."""
    server = Server(cluster.url, replicas=1)
    make_server(cluster.url).close()
    moves = [("enqueue", name, [f"{name}.1", "a.b", name, 0, "{}", "", "", "", ""]) for name in ("acme", "b", "c", "d")]

    for new in (1, 0):
        assert [[f"{name}.1".encode(), new] for name in ("acme", "b", "c", "d")] == server.confirmed(moves)
    careful = Server(cluster.url, replicas=2)
    with pytest.raises(NotReplicated, match="1 of 2"):
        careful.confirmed(moves[:1])
    server.close()
    careful.close()


def test_who_asks_for_replicas_has_asked_with_the_run(cluster: Cluster) -> None:
    """Not when that is answered: a node would be asked then that has taken over meanwhile, perhaps without the run."""
    make_server(cluster.url).close()
    hasty = Server(cluster.url + "?socket_timeout=0.2", replicas=1)
    assert 0 == hasty.redis.exists(keys.noted("acme"))  # it is connected
    node = cluster.node_of("acme")
    node.freeze()

    (answer,) = hasty.confirmed([("enqueue", "acme", ["acme.1", "a.b", "acme", 0, "{}", "", "", "", ""])])
    assert isinstance(answer, NodeUnavailable)
    hasty.close()
    node.thaw()

    eventually(lambda: node.client.exists(keys.noted("acme"), keys.run("acme", "acme.1")) == 2)


def test_a_command_that_may_be_split_is_asked_at_the_target(cluster: Cluster) -> None:
    """A key that is there already, of a slot on its way, is read there."""
    server = Server(cluster.url)
    source = cluster.node_of("acme")
    target = next(node for node in cluster.primaries if node is not source)
    slot = slot_of(keys.prefix("acme"))
    cluster.begin_move(slot, source, target)
    assert server.redis.set(keys.run("acme", "x"), "1")

    assert b"1" == server.redis.get(keys.run("acme", "x"))
    assert 0 == source.client.dbsize()
    with pytest.raises(AskError):
        source.client.get(keys.run("acme", "x"))
    cluster.end_move(slot, source, target)
    server.close()


CHANGES = [
    "a move",
    "a move and back",
    "a move as a whole",
    "a planned failover",
    "a failover",
    "a frozen node",
]


def change(cluster: Cluster, how: str) -> None:
    """Let something happen to the node of a tenant that has been idle for a moment."""
    node = cluster.node_of("acme")
    if how.startswith("a move"):
        other = next(each for each in cluster.primaries if each is not node)
        if not (how.endswith("as a whole") and cluster.move_whole("acme", other)):
            cluster.move("acme", other)
        if how.endswith("back"):
            cluster.move("acme", node)
        return
    assert 1 == node.client.wait(1, 2_000)
    if how == "a planned failover":
        cluster.replica_of(node).client.execute_command("CLUSTER FAILOVER")
    else:
        (node.freeze if how == "a frozen node" else node.kill)()
    cluster.wait_failed_over(node)


@pytest.mark.parametrize("how", CHANGES)
def test_who_waits_for_a_run_follows_its_tenant(cluster: Cluster, how: str) -> None:
    """Though nobody else in its process has anything to ask."""
    server, idle = make_server(cluster.url), Server(cluster.url)
    worker = HandWorker(server).hello()
    run_id = enqueue(server)
    token = worker.fetch(1)

    with ThreadPoolExecutor(1) as pool, cluster.client() as client:
        waiting = pool.submit(Runs(idle).wait, run_id, 40)
        eventually(lambda: listeners(client, keys.done("acme", run_id)) == 1)
        change(cluster, how)
        assert [1] == eventually(lambda: finished(worker, token), 20)
        began = time.monotonic()

        assert "succeeded" == waiting.result(20).state
        assert time.monotonic() - began < 12
    server.close()
    idle.close()


def finished(worker: HandWorker, held: list[tuple[str, int]]) -> list[int]:
    with suppress(NodeUnavailable):
        return worker.finish(held)
    return []


@pytest.mark.parametrize("how", CHANGES)
def test_an_idle_worker_follows_its_tenant(cluster: Cluster, how: str) -> None:
    """It waits for its bell, and has nothing else to ask; then it is given each run once."""
    server = make_server(cluster.url)
    leases = Leases(Server(cluster.url), "acme", "w1")
    leases.hello({"slots": 1}, ["acme"], ["a.b"])
    given: list[str] = []
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            with suppress(NodeUnavailable):
                answer = leases.fetch(5, ["acme"], idle=True, wait=5.0)
                given.extend(run.run for run in (answer.deliveries if answer else ()))

    with ThreadPoolExecutor(1) as pool, cluster.client() as client:
        working = pool.submit(work)
        eventually(lambda: client.info("clients")["blocked_clients"] == 1)
        change(cluster, how)
        made = [eventually(lambda: enqueued(server), 20)]
        eventually(lambda: given == made, 12)
        made.append(enqueue(server))
        eventually(lambda: given == made, 2)
        stopped.set()
        leases.stop_waiting()
        working.result(20)
    server.close()


def enqueued(server: Server) -> str:
    with suppress(NodeUnavailable):
        return enqueue(server)
    return ""
