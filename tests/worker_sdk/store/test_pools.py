"""The turns of a shared pool on a real server: what a run takes is said, so no clock but the pool's own is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cluster import everywhere
from eventually import eventually
from pooling import POOL, TAG, HandPool, finish, jain
from taglane.model.limits import Limits
from taglane.store import functions, keys
from taglane.store.pools import terms
from taglane.store.queues import Queues
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


@pytest.mark.parametrize("most", [1, 10, 64])
def test_shares_are_as_the_weights(pool: HandPool, most: int) -> None:
    """5 to 3 to 2, within five per cent of a thousand runs, also where a worker takes more than there are tenants."""
    for name, weight in (("five", 5.0), ("three", 3.0), ("two", 2.0)):
        pool.tenants(name, weight=weight)
        pool.enqueue(name, 700)
    worker = pool.worker()
    pool.attend()

    shares = pool.shares(pool.serve(worker, 1_000, most=most))

    for name, share in (("five", 0.5), ("three", 0.3), ("two", 0.2)):
        assert abs(shares[name] - share * shares.total()) <= 0.05 * share * shares.total()


@pytest.mark.parametrize("most", [1, 32])
def test_a_share_is_of_the_time_and_not_of_the_runs(pool: HandPool, most: int) -> None:
    """A tenant whose runs take ten times as long has a tenth as many, as soon as that is known of it."""
    pool.tenants("long", "short")
    for name in ("long", "short"):
        pool.enqueue(name, 900)
    worker = pool.worker()
    pool.attend()

    shares = pool.shares(pool.serve(worker, 800, lambda tenant: 100 if tenant == "long" else 9, most))

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


def test_near_its_cap_a_tenant_gives_a_worker_what_that_can_start(pool: HandPool) -> None:
    """No run waits behind another of its tenant while another worker of the pool is idle."""
    pool.tenants("capped", running=4)
    first, second = pool.worker(), pool.worker("w2")
    pool.enqueue("capped", 9)
    pool.attend()

    got = [worker.fetch(16, [TAG], idle=True, slots=slots) for worker, slots in ((first, 1), (second, 2), (first, 0))]

    assert [1, 2, 1] == [len(each.deliveries) for each in got if each]
    assert [] == fetch(pool, second)
    assert pool.redis.zscore(keys.pool_parked(POOL), "capped") is not None


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
    assert [] == fetch(pool, worker)

    waits = [each.wait_ms for leases in (worker, other) if (each := leases.fetch(1, [TAG], idle=True))]

    assert -1 in waits
    assert 0 < max(waits) <= 1_000


def waits_of(worker: Any, times: int = 1, most: int = 1) -> int:
    """What the last of so many fetches, which give nothing, says of how long to wait."""
    for _ in range(times):
        fetched = worker.fetch(most, [TAG], idle=True)
        assert fetched is not None
        assert [] == fetched.deliveries
    return int(fetched.wait_ms)


def test_who_comes_back_at_an_instant_is_told_so_again(pool: HandPool) -> None:
    """A bell may have woken it before; and an earlier instant is another's, whoever comes back at a later one."""
    pool.tenants("capped", running=1)
    pool.tenants("slow", rate=2.0, burst=1)
    patient, worker = pool.worker(), pool.worker("w2")
    pool.enqueue("capped", 2)
    pool.attend()
    assert 1 == len(fetch(pool, patient))
    assert waits_of(patient, 2) > 500, "it comes back when the capped tenant is to be looked at"
    pool.enqueue("slow", 2)
    pool.attend()

    assert ["slow"] == pool.serve(worker, 1)

    assert 0 < waits_of(worker, 2) <= 500
    assert 0 < waits_of(worker) <= 500


def test_a_worker_that_wants_nothing_is_not_the_one_that_comes_back(pool: HandPool) -> None:
    """It only says how its runs ended: an idle one has to be told when to come."""
    pool.tenants("slow", rate=2.0, burst=1)
    busy, idle = pool.worker(), pool.worker("w2")
    pool.enqueue("slow", 2)
    pool.attend()
    fetch(pool, busy)
    assert [] == fetch(pool, idle)

    busy.fetch(0, [TAG], idle=False)

    assert 0 < waits_of(idle) <= 500


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("guaranteed", [None, 1])
def test_a_tenant_that_says_all_the_time_that_it_has_work_has_no_turns_of_others(
    pool: HandPool, guaranteed: int | None, when: str
) -> None:
    """Anybody may say so, on its own channel, and have none: whether just before a worker looks, or while it does."""
    pool.tenants("liar", guaranteed=guaranteed)
    pool.tenants("honest")
    worker = pool.worker()
    pool.enqueue("honest", 5)
    pool.attend()

    def lie() -> None:
        pool.pools.wake(POOL, {"liar": Limits(guaranteed=guaranteed)})

    real = worker._server.calls  # noqa: SLF001 - what happens while it looks

    def lying(calls: Any) -> Any:
        answers = real(calls)
        lie()
        return answers

    if when == "after":
        worker._server.calls = lying  # type: ignore[method-assign,assignment]  # noqa: SLF001
    served = []
    for _ in range(40):
        lie()
        for run in fetch(pool, worker):
            served.append(run.tenant)
            finish(worker, run)

    assert ["honest"] * 5 == served


def test_who_had_a_turn_in_vain_and_was_woken_meanwhile_is_served_soon(pool: HandPool) -> None:
    """Its work waits for no sweep."""
    pool.tenants("acme")
    worker = pool.worker()
    pool.enqueue("acme", 1)
    Queues(pool.server, 1_000).purge("acme", TAG)
    pool.attend()
    real = worker._server.calls  # noqa: SLF001 - what happens while it looks

    def meanwhile(calls: Any) -> Any:
        worker._server.calls = real  # type: ignore[method-assign]  # noqa: SLF001
        answers = real(calls)
        pool.enqueue("acme", 1)
        pool.attend()
        return answers

    worker._server.calls = meanwhile  # type: ignore[method-assign,assignment]  # noqa: SLF001
    assert [] == fetch(pool, worker)

    assert eventually(lambda: fetch(pool, worker))


def test_a_tenant_that_may_borrow_little_costs_nothing_when_it_has_no_work(pool: HandPool) -> None:
    """Its slots being free again is no reason to look at it."""
    pool.tenants("bound", borrow=1)
    worker = pool.worker()
    pool.enqueue("bound", 1)
    pool.attend()
    assert ["bound"] == pool.serve(worker, 1)

    fetched = [worker.fetch(1, [TAG], idle=True) for _ in range(4)]

    assert "" == (fetched[-1].why if fetched[-1] else None)
    assert b"bound" not in pool.redis.smembers(keys.pool_full(POOL))


def test_a_borrow_that_is_lowered_is_in_force_at_once(pool: HandPool) -> None:
    """Who has more than that has no turn before it has less."""
    pool.tenants("acme")
    worker = pool.worker()
    pool.enqueue("acme", 6)
    pool.attend()
    held = fetch(pool, worker, 3)
    worker.fetch(0, [TAG], idle=False)

    pool.limits.put("acme", Limits(borrow=2))
    pool.attend()

    assert (3, []) == (len(held), fetch(pool, worker))
    for run in held[:2]:
        finish(worker, run)
    assert 1 == len([run for _ in range(4) for run in fetch(pool, worker)])


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
    assert pool.redis.zscore(keys.pool_active(POOL), "gone") is None
    assert not pool.redis.hexists(keys.pool_seq(POOL), "gone")
    for run in held:
        finish(worker, run)
    worker.say([("renew", [worker.worker, 0, 0])], lambda _move, _answer: None)
    pool.serve(worker, 10)

    assert [] == [key for key in everywhere(pool.redis).keys("*") if b"{gone}" in key]
    assert pool.redis.zscore(keys.pool_active(POOL), "gone") is None
    assert {} == pool.redis.hgetall(keys.pool_used(POOL)), "its slots are free when their worker says so"


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
