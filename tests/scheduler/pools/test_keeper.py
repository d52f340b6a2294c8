"""The keeper of pools: a tenant's word that it has work becomes a turn; and what was not heard is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster import everywhere
from eventually import eventually
from pooling import POOL, TAG, HandPool
from taglane.store import functions, keys
from taglane.store.limits import LimitStore
from taglane.store.pools import Pools
from taglane.store.server import Server
from taglane_scheduler.pools.keeper import PoolKeeper
from taglane_scheduler.pools.rescue import PoolRescue

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pool(url: str) -> Iterator[HandPool]:
    found = HandPool(url)
    functions.load(found.redis)
    found.tenants("acme", "globex")
    yield found
    found.close()


def active(pool: HandPool) -> list[str]:
    return sorted(name.decode() for name in pool.redis.zrange(keys.pool_active(POOL), 0, -1))


def test_work_that_came_before_anybody_listened_is_found(pool: HandPool) -> None:
    """By the look at every tenant that each connect begins with."""
    pool.worker()
    pool.enqueue("acme", 3)

    pool.keeper.connect()

    assert ["acme"] == active(pool)


def test_a_tenant_says_once_that_it_has_work(pool: HandPool) -> None:
    """However much it enqueues, until a worker has found its queue empty."""
    worker = pool.worker()
    pool.keeper.connect()
    pool.attend()
    pool.enqueue("acme", 500)
    pool.enqueue("acme", 500)

    assert 1 == pool.keeper.step(1.0)
    assert 0 == pool.keeper.step(0.05)
    pool.serve(worker, 2_000, most=64)
    pool.enqueue("acme", 1)

    assert 1 == pool.keeper.step(1.0)


def test_a_new_pool_finds_what_waits_for_it(pool: HandPool) -> None:
    """Its first worker's hello is heard: nobody waits for a sweep."""
    pool.keeper.connect()
    pool.enqueue("acme", 1)
    assert 0 == pool.keeper.step(0.05)

    pool.worker()
    pool.keeper.step(1.0)

    assert ["acme"] == active(pool)


def test_a_word_that_was_not_heard_costs_a_sweep(pool: HandPool) -> None:
    """Who is parked stays parked meanwhile."""
    pool.worker()
    pool.keeper.connect()
    pool.redis.rpush(keys.bell("acme", TAG), "1")

    pool.keeper.sweep()

    assert ["acme"] == active(pool)


@pytest.mark.parametrize("told", ["shared.other", "acme", "shared.", "", "shared.small.x", "x" * 300, "small"])
def test_what_a_tenant_says_of_no_pool_of_ours_is_nothing(pool: HandPool, told: str) -> None:
    """It may say anything on its channel; it makes no key, and wakes nobody."""
    pool.worker()
    pool.keeper.connect()
    before = set(everywhere(pool.redis).keys("*"))

    pool.redis.publish(keys.pool("acme"), told)
    pool.keeper.step(0.2)

    assert ([], before) == (active(pool), set(everywhere(pool.redis).keys("*")))


def test_who_is_no_tenant_gets_no_turn(pool: HandPool) -> None:
    """A tenant that was just deleted may have said something before."""
    pool.worker()
    pool.keeper.connect()

    pool.redis.publish(keys.pool("nobody"), TAG)

    assert 0 == pool.keeper.step(0.2)


def test_weights_are_in_force_at_once(pool: HandPool) -> None:
    """A change of the limits of a tenant with work is said to the pools."""
    pool.worker()
    pool.keeper.connect()
    pool.enqueue("acme", 3)
    pool.attend()

    pool.tenants("heavy", weight=4.0)
    pool.enqueue("heavy", 1)
    pool.attend()

    assert b"4.0 0 -" == pool.redis.hget(keys.pool_terms(POOL), "heavy")


def test_the_thread_serves_and_comes_back_after_a_cut(pool: HandPool, url: str) -> None:
    """A lost connection is made anew, and all tenants are looked at."""
    server = Server(url)
    pools = Pools(server)
    keeper = PoolKeeper(server, pools, LimitStore(server), PoolRescue(server, pools, 1_000))
    pool.worker()
    keeper.start()
    try:
        pool.enqueue("acme", 1)
        eventually(lambda: active(pool) == ["acme"])
        everywhere(pool.redis).execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        pool.enqueue("globex", 1)
        eventually(lambda: active(pool) == ["acme", "globex"])
    finally:
        keeper.stop()


def test_the_thread_survives_what_nobody_thought_of(pool: HandPool, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Something wrong in the operator's own keys, for one: it says so, and tries again."""
    server = Server(url)
    pools = Pools(server)
    keeper = PoolKeeper(server, pools, LimitStore(server), PoolRescue(server, pools, 1_000))
    pool.worker()
    pool.redis.hset(keys.TENANTS, b"\xff", "{}")
    pool.enqueue("acme", 1)
    keeper.start()
    try:
        eventually(lambda: "UnicodeDecodeError" in caplog.text)
        pool.redis.hdel(keys.TENANTS, b"\xff")
        eventually(lambda: active(pool) == ["acme"])
    finally:
        keeper.stop()
