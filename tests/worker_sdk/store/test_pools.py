"""The turns of a shared pool on a real server: what a run takes is said, so no clock but the pool's own is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pooling import POOL, TAG, HandPool, finish, jain
from taglane.model.limits import Limits
from taglane.store import functions, keys
from taglane.store.pools import terms
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pool(url: str) -> Iterator[HandPool]:
    found = HandPool(url)
    functions.load(found.redis)
    found.keeper.connect()
    yield found
    found.close()


def test_equal_tenants_have_equal_shares_whatever_their_backlogs(pool: HandPool) -> None:
    """Nine tenants, of which five have sixteen times as much to do: while all have work, nobody has more."""
    names = [f"t{number}" for number in range(9)]
    pool.tenants(*names)
    worker = pool.worker()
    for number, name in enumerate(names):
        pool.enqueue(name, 1_000 if number < 5 else 62)
    pool.attend()

    shares = pool.shares(pool.serve(worker, 450))

    assert jain([shares[name] for name in names]) >= 0.995
    assert max(shares.values()) - min(shares.values()) <= 2


def test_shares_are_as_the_weights(pool: HandPool) -> None:
    """5 to 3 to 2, within five per cent of a thousand runs."""
    for name, weight in (("five", 5.0), ("three", 3.0), ("two", 2.0)):
        pool.tenants(name, weight=weight)
        pool.enqueue(name, 700)
    worker = pool.worker()
    pool.attend()

    shares = pool.shares(pool.serve(worker, 1_000))

    for name, wanted in (("five", 500), ("three", 300), ("two", 200)):
        assert abs(shares[name] - wanted) <= 0.05 * wanted


def test_a_share_is_of_the_time_and_not_of_the_runs(pool: HandPool) -> None:
    """A tenant whose runs take ten times as long has a tenth as many, as soon as that is known of it."""
    pool.tenants("long", "short")
    for name in ("long", "short"):
        pool.enqueue(name, 900)
    worker = pool.worker()
    pool.attend()

    shares = pool.shares(pool.serve(worker, 800, lambda tenant: 100 if tenant == "long" else 9))

    assert 8 <= shares["short"] / shares["long"] <= 12


def test_a_tenant_that_comes_is_next_whatever_the_others_have_waiting(pool: HandPool) -> None:
    """It waits for no more turns than there are tenants; and nobody saves up turns by having been away."""
    pool.tenants("noisy", "other", "quiet")
    worker = pool.worker()
    pool.enqueue("noisy", 2_000)
    pool.enqueue("other", 500)
    pool.attend()
    pool.serve(worker, 300)

    pool.enqueue("quiet", 200)
    pool.attend()
    order = pool.serve(worker, 90)

    assert "quiet" in order[:3]
    assert max(pool.shares(order).values()) <= 31, "a tenant that was away has not saved up its turns"


def test_priorities_of_a_tenant_win_it_no_turn_of_another(pool: HandPool) -> None:
    """They order what is its own: a backlog that is split over all of them has the same share."""
    pool.tenants("split", "whole")
    for priority in (0, 3, 6, 9):
        pool.enqueue("split", 100, priority=priority)
    pool.enqueue("whole", 400, priority=9)
    worker = pool.worker()
    pool.attend()

    shares = pool.shares(pool.serve(worker, 400))

    assert abs(shares["split"] - 200) <= 4


def test_a_lone_tenant_has_the_whole_pool(pool: HandPool) -> None:
    """A worker with an appetite gets all that it asks for, in one turn."""
    pool.tenants("lone", "idle")
    pool.enqueue("lone", 300)
    worker = pool.worker()
    pool.attend()

    fetched = worker.fetch(64, [TAG], idle=True)

    assert fetched is not None
    assert 64 == len(fetched.deliveries)


def test_a_guarantee_is_filled_first_and_borrowing_ends_where_it_is_told_to(pool: HandPool) -> None:
    """Whatever the clocks say; what is not wanted others have meanwhile."""
    pool.tenants("sure", guaranteed=2)
    pool.tenants("bound", guaranteed=0, borrow=1)
    pool.tenants("free")
    worker = pool.worker()
    pool.enqueue("free", 50)
    pool.enqueue("bound", 50)
    pool.attend()
    before = [run for _ in range(6) for run in fetch(pool, worker)]
    assert 1 == sum(run.tenant == "bound" for run in before), "it has no more slots at once than it may borrow"

    pool.enqueue("sure", 50)
    pool.attend()
    after = [run for _ in range(4) for run in fetch(pool, worker)]

    assert ["sure", "sure"] == [run.tenant for run in after[:2]]
    assert "free" in [run.tenant for run in after[2:]]
    for run in before:
        if run.tenant == "bound":
            finish(worker, run)
    assert "bound" in [run.tenant for _ in range(6) for run in fetch(pool, worker)]


def fetch(pool: HandPool, worker: Any, most: int = 1) -> Any:
    """Lease, and hold."""
    del pool
    fetched = worker.fetch(most, [TAG], idle=False)
    assert fetched is not None
    return fetched.deliveries


def test_a_tenant_at_its_cap_is_parked_and_comes_back_when_it_lets_go(pool: HandPool) -> None:
    """Others have the turns; it costs none while it is parked, and none is lost."""
    pool.tenants("capped", running=1)
    pool.tenants("other")
    worker = pool.worker()
    pool.enqueue("capped", 5)
    pool.enqueue("other", 5)
    pool.attend()

    held = [run for _ in range(5) for run in fetch(pool, worker)]
    assert {"capped": 1, "other": 3} == dict(pool.shares([run.tenant for run in held]))
    assert pool.redis.zscore(keys.pool_parked(POOL), "capped") is not None
    assert pool.redis.zscore(keys.pool_active(POOL), "capped") is None

    finish(worker, next(run for run in held if run.tenant == "capped"))
    pool.attend()

    assert "capped" in [run.tenant for _ in range(2) for run in fetch(pool, worker)]


def test_a_paused_tenant_is_parked_until_it_goes_on(pool: HandPool) -> None:
    """And a sweep does not wake it: it is not looked at again and again."""
    pool.tenants("paused")
    worker = pool.worker()
    pool.enqueue("paused", 2)
    pool.attend()
    pool.limits.put_state("paused", "paused")
    pool.attend()
    assert [] == pool.serve(worker, 1)
    pool.keeper.sweep()
    assert pool.redis.zscore(keys.pool_active(POOL), "paused") is None

    pool.limits.put_state("paused", "")
    pool.attend()

    assert ["paused", "paused"] == pool.serve(worker, 2)


def test_a_tenant_over_its_rate_is_parked_until_the_instant(pool: HandPool) -> None:
    """One worker waits for it, and is told for how long."""
    pool.tenants("slow", rate=1.0)
    worker, other = pool.worker(), pool.worker("w2")
    pool.enqueue("slow", 3)
    pool.attend()
    assert ["slow"] == pool.serve(worker, 1)

    waits = [each.wait_ms for leases in (worker, other) if (each := leases.fetch(1, [TAG], idle=True))]

    assert -1 in waits
    assert 0 < max(waits) <= 1_000


def test_idle_tenants_are_forgotten(pool: HandPool) -> None:
    """All that a pool knows of a tenant goes when its work is done, and its clock is not ahead."""
    pool.tenants("a", "b", weight=2.0)
    worker = pool.worker()
    for _ in range(3):
        pool.enqueue("a", 2)
        pool.enqueue("b", 20)
        pool.attend()
        pool.serve(worker, 30)

    (info,) = pool.pools.list()
    assert (0, 0, 0) == (info.active, info.parked, info.slots_used)
    assert 0 == pool.redis.exists(keys.pool_used(POOL), keys.pool_visits(POOL, worker.visitor))
    assert pool.redis.hlen(keys.pool_seq(POOL)) <= 1


def test_a_queue_that_fills_while_it_is_found_empty_is_not_forgotten(pool: HandPool) -> None:
    """What a worker says of a queue holds only if nobody has woken the tenant since."""
    pool.tenants("acme")
    first, second = pool.worker(), pool.worker("w2")
    pool.enqueue("acme", 1)
    pool.attend()
    (run,) = fetch(pool, first)

    prefix = keys.pool_prefix(POOL)
    stale = pool.redis.hget(keys.pool_seq(POOL), "acme") or b"0"
    pool.enqueue("acme", 1)
    pool.attend()
    told = ["acme", stale, "empty", 0, 0, 0, 0, 0, ""]
    pool.server.call_at(prefix, "pool_turn", first.worker, 1, 0, 1, "", *told)

    assert ["acme"] == pool.serve(second, 1)
    finish(first, run)


def test_a_tenants_delete_leaves_nothing_behind(pool: HandPool) -> None:
    """Also while a worker of the pool holds its runs, and says more of it."""
    pool.tenants("gone", "stays")
    worker = pool.worker()
    pool.enqueue("gone", 5)
    pool.enqueue("stays", 5)
    pool.attend()
    held = [run for _ in range(4) for run in fetch(pool, worker)]
    assert {"gone", "stays"} == {run.tenant for run in held}

    Tenants(pool.server).delete("gone")
    pool.pools.forget_tenant("gone")
    for run in held:
        finish(worker, run)
    worker.say([("renew", [worker.worker, 0, 0])], lambda _move, _answer: None)
    pool.serve(worker, 10)

    assert [] == [key for key in pool.redis.keys("*") if b"{gone}" in key]
    assert pool.redis.zscore(keys.pool_active(POOL), "gone") is None


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(), ""),
        (Limits(running=3), ""),
        (Limits(weight=2.5), "2.5 0 -"),
        (Limits(guaranteed=2, borrow=0), "1 2 0"),
    ],
)
def test_terms(limits: Limits, text: str) -> None:
    """Nearly all tenants have the usual ones, and are kept without any."""
    assert text == terms(limits)
