"""Replies that are lost, connections that are cut, a server that stands still: Celery never notices."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from taglane import Taglane

if TYPE_CHECKING:
    from scene import Scene

POOLS = ("prefork", "threads", "solo")
MANY = 200


def numbers(count: int) -> list[dict[str, int]]:
    return [{"n": n} for n in range(count)]


def has_done(scene: Scene, count: int) -> bool:
    return scene.states()["succeeded"] >= count


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("move", ["taglane_fetch", "taglane_finish", "taglane_renew"])
def test_a_lost_reply_loses_nothing_and_repeats_nothing(scene: Scene, pool: str, move: str) -> None:
    """When the server has made a move and its reply is lost, the move is asked again, and done once."""
    with scene.proxied() as (proxy, url), scene.worker(pool, url=url) as worker:
        worker.wait_ready()
        proxy.lose_reply_to(move.encode())
        runs = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=numbers(MANY))
        assert list(range(MANY)) == [run.wait(timeout=60).result for run in runs]
        eventually(lambda: proxy.lost == 1, 10, "no reply was lost")
        assert "Traceback" not in worker.log_text()
    assert {run.id: 1 for run in runs} == scene.starts()


@pytest.mark.parametrize("pool", POOLS)
def test_cut_connections_repeat_nothing(scene: Scene, pool: str) -> None:
    """When every connection of a busy worker is cut, again and again, each run is still run once."""
    with scene.proxied() as (proxy, url), scene.worker(pool, url=url):
        runs = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=numbers(MANY))
        for part in range(1, 5):
            eventually(partial(has_done, scene, part * MANY // 5), 60, "no progress")
            proxy.cut()
        assert list(range(MANY)) == [run.wait(timeout=60).result for run in runs]
    assert {run.id: 1 for run in runs} == scene.starts()


def test_a_lost_reply_to_enqueue_makes_one_run(scene: Scene) -> None:
    """A client whose reply was lost may ask again with the same idempotency key: there is one run."""
    with scene.proxied() as (proxy, url):
        lane = Taglane(url)
        proxy.lose_reply_to(b"taglane_enqueue")
        with pytest.raises(Exception, match="no server"):
            lane.enqueue("faulty.celery.work", tenant="acme", key="one")
        run = lane.enqueue("faulty.celery.work", tenant="acme", key="one")
        lane.close()
        assert not run.created
        assert 1 == sum(scene.states().values())


@pytest.mark.one_server("of a cluster a replica would take over: test_cluster.py")
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("pool", "seconds"), [("prefork", 30), ("threads", 6), ("solo", 6)])
def test_a_server_that_stands_still_is_waited_for(scene: Scene, pool: str, seconds: int) -> None:
    """A server stopped for long, leases past, costs time and nothing else: what executes is not run again."""
    with scene.worker(pool) as worker:
        worker.wait_ready()
        runs = scene.lane.enqueue_many(
            "faulty.celery.work", tenant="acme", params=[{"n": n, "seconds": 0.05} for n in range(MANY)]
        )
        eventually(lambda: scene.states()["succeeded"] > 20, 60, "no progress")
        scene.server.freeze()
        threading.Event().wait(seconds)  # the time itself is what is tested
        scene.server.thaw()
        scene.lane.server.redis.connection_pool.disconnect()
        assert list(range(MANY)) == [run.wait(timeout=60).result for run in runs]
        assert worker.alive
    assert {run.id: 1 for run in runs} == scene.starts()


@pytest.mark.one_server("of a cluster a replica would take over: test_cluster.py")
@pytest.mark.parametrize("pool", POOLS)
def test_a_restarted_server_is_found_again(scene: Scene, pool: str) -> None:
    """A worker outlives a server that goes and comes back; it is served again, and serves again."""
    with scene.worker(pool) as worker:
        worker.wait_ready()
        scene.server.kill()
        eventually(lambda: "server_gone" in worker.log_text(), 30, "it did not notice")
        scene.server.restart()
        scene.restore_tenant()
        run = scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 5})
        assert 5 == run.wait(timeout=60).result
        assert worker.alive
