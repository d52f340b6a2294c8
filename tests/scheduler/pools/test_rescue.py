"""Watching the workers of pools: what a dead one held is in `test_pool_leases`; here is who counts as dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster import everywhere
from pooling import POOL, HandPool
from taglane.errors import ServerUnavailable
from taglane.store import functions, keys
from taglane.store.pools import Pools
from taglane.store.server import Server
from taglane_scheduler.pools.rescue import PoolRescue

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pool(url: str) -> Iterator[HandPool]:
    found = HandPool(url)
    functions.load(found.redis)
    found.tenants("acme")
    found.keeper.connect()
    yield found
    found.close()


def watch(pool: HandPool, times: int, every: float = 0.2) -> int:
    found = 0
    for _ in range(times):
        found += pool.rescue.step([POOL])
        pool.clock += every
    return found


def test_a_worker_that_beats_lives(pool: HandPool) -> None:
    """However long it is watched; one that has stopped is dead after its lease, once."""
    living, silent = pool.worker("living"), pool.worker("silent")
    for _ in range(12):
        pool.server.call_at(*living.heartbeat)
        watch(pool, 1)

    assert ["living"] == list(pool.pools.beats(POOL))
    assert silent.fetch(1, [], idle=True) is None
    assert living.fetch(1, [], idle=True) is not None


def test_a_watcher_that_did_not_look_kills_nobody(pool: HandPool) -> None:
    """A gap between two looks starts the watch anew."""
    pool.worker()

    assert 0 == watch(pool, 10, every=5.0)


def test_a_tenant_that_was_deleted_is_left_alone(pool: HandPool) -> None:
    """What the dead worker held of it is gone; nothing is written for it again."""
    worker = pool.worker()
    pool.enqueue("acme", 1)
    pool.attend()
    worker.fetch(1, [], idle=True)
    pool.redis.hdel(keys.TENANTS, "acme")
    for key in everywhere(pool.redis).keys("taglane:{acme}:*"):
        pool.redis.delete(key)

    assert 1 == watch(pool, 10)
    assert [] == everywhere(pool.redis).keys("taglane:{acme}:*")


def test_without_a_server_every_watch_starts_anew(pool: HandPool) -> None:
    """It says so."""
    gone = Server("redis://127.0.0.1:1/0")
    rescue = PoolRescue(gone, Pools(gone), 1_000, lambda: pool.clock)

    with pytest.raises(ServerUnavailable):
        rescue.step([POOL])
