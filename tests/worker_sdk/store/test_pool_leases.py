"""A pool worker's leases, in several tenants at once: split by tenant, fenced in each, taken over when it dies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cluster import everywhere
from pooling import POOL, TAG, HandPool, finish
from taglane.errors import ServerUnavailable
from taglane.model.limits import Limits
from taglane.store import functions, keys
from taglane.store.pool_leases import PoolLeases
from taglane.store.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.model.envelope import Delivery
    from taglane_scheduler.embedded import EmbeddedServer


@pytest.fixture
def pool(url: str) -> Iterator[HandPool]:
    found = HandPool(url)
    functions.load(found.redis)
    found.tenants("acme", "globex")
    found.keeper.connect()
    yield found
    found.close()


def lease(pool: HandPool, worker: PoolLeases, count: int = 1, *, idle: bool = True) -> list[Delivery]:
    """Give each tenant something to do, and lease it all."""
    for tenant in ("acme", "globex"):
        pool.enqueue(tenant, count)
    pool.attend()
    held: list[Delivery] = []
    while len(held) < 2 * count:
        fetched = worker.fetch(2 * count, [TAG], idle=idle)
        assert fetched is not None
        held += fetched.deliveries
    return held


def renew(worker: PoolLeases, held: list[Delivery], started: list[Delivery] | None = None) -> Any:
    """Send a heartbeat that names what is held; answers what was heard."""
    heard: list[Any] = []
    marks = [value for run in started or () for value in (run.run, run.token, 5, "")]
    named = [value for run in held for value in (run.run, run.token)]
    worker.say([("renew", ["", len(held), len(marks) // 4, *marks, *named])], lambda _, answer: heard.append(answer))
    return heard[0]


def states(pool: HandPool, held: list[Delivery]) -> list[str]:
    return [pool.client.runs.get(run.run).state for run in held]


def test_each_run_is_of_the_tenant_that_it_was_fetched_from(pool: HandPool) -> None:
    """And what is said of many in one breath is said in each tenant of its own."""
    worker = pool.worker()
    held = lease(pool, worker, 3)

    assert {"acme", "globex"} == {run.tenant for run in held}
    assert all(run.run.startswith(f"{run.tenant}.") and run.tag == TAG for run in held)
    arguments = [value for run in held for value in (run.run, run.token, "succeeded", 1, '{"r":1}', "")]
    worker.say([("finish", arguments)], lambda _move, _answer: None)

    assert ["succeeded"] * 6 == states(pool, held)
    (info,) = pool.pools.list()
    worker.fetch(1, [TAG], idle=True)
    assert 6 >= info.slots_used
    assert 0 == pool.pools.list()[0].slots_used


def test_the_other_ends_of_a_lease_reach_their_tenant_too(pool: HandPool) -> None:
    """Retries, deaths, and what goes back; another word on the same lease is left out."""
    worker = pool.worker()
    one, two, three, four = lease(pool, worker, 2)
    calls = [
        ("retry", [one.run, one.token, "+60000", "{}", "", one.task, TAG, ""]),
        ("died", [two.run, two.token]),
        ("hand_back", ["", three.run, three.token, four.run, four.token]),
    ]

    worker.say(calls, lambda _move, _answer: None)
    worker.say(calls, lambda _move, _answer: None)

    assert ["retrying", "queued", "queued", "queued"] == states(pool, [one, two, three, four])
    assert 0 == pool.redis.zcard(keys.leases("acme")) + pool.redis.zcard(keys.leases("globex"))


def test_what_runs_log_is_said_in_their_tenants(pool: HandPool) -> None:
    """Before their ends; what one tenant has spoiled of it is no other's loss, and no end's."""
    worker = pool.worker()
    held = lease(pool, worker)
    line = "0\tINFO\tlog\tshop\ttext"
    pool.redis.set(keys.log("acme", next(run.run for run in held if run.tenant == "acme")), "x")
    calls: list[tuple[str, list[Any]]] = [("log", [run.run, run.token, 1, 1, 0, 10, 9_999, line]) for run in held]
    calls += [("finish", [value for run in held for value in (run.run, run.token, "succeeded", 1, "", "")])]

    worker.say(calls, lambda _move, _answer: None)

    assert ["succeeded"] * 2 == states(pool, held)
    (other,) = [run.run for run in held if run.tenant == "globex"]
    assert ["text"] == [each.text for each in pool.client.runs.logs.read(other).lines]


def test_a_heartbeat_is_heard_in_each_tenant(pool: HandPool) -> None:
    """It shows what has started, and brings what is to be stopped, and what is lost."""
    worker = pool.worker()
    one, two = lease(pool, worker)

    assert [[], []] == renew(worker, [one, two], started=[one])
    assert ["running", "queued"] == states(pool, [one, two])

    pool.client.runs.cancel(one.run)
    pool.server.call("hand_back", two.tenant, "", two.run, two.token)
    lost, cancels = renew(worker, [one, two])

    assert [two.run.encode()] == lost
    assert [one.run.encode()] == cancels


def test_a_lost_reply_is_asked_for_again(pool: HandPool, server: EmbeddedServer) -> None:
    """The same tenants give the same runs: none is held by a worker that does not know of it."""
    worker = pool.worker()
    pool.enqueue("acme", 1)
    pool.attend()
    real = worker._server.calls  # noqa: SLF001 - the reply is lost behind it

    def losing(calls: Any) -> Any:
        real(calls)
        raise ServerUnavailable("the reply was lost")

    worker._server.calls = losing  # type: ignore[method-assign,assignment]  # noqa: SLF001
    with pytest.raises(ServerUnavailable):
        worker.fetch(1, [TAG], idle=True)
    worker._server.calls = real  # type: ignore[method-assign]  # noqa: SLF001
    assert server.url

    again = worker.fetch(1, [TAG], idle=True)

    assert again is not None
    assert 1 == len(again.deliveries)
    assert again.deliveries[0].token == 1


def test_a_lost_reply_to_a_turn_takes_no_slots_for_ever(pool: HandPool) -> None:
    """What the pool believes that a worker holds is told anew, of each tenant."""
    pool.limits.put("acme", Limits(borrow=1))
    worker = pool.worker()
    pool.enqueue("acme", 3)
    pool.attend()
    real = worker._server.call_at  # noqa: SLF001 - the reply is lost behind it

    def losing(*call: Any) -> Any:
        real(*call)
        raise ServerUnavailable("the reply was lost")

    worker._server.call_at = losing  # type: ignore[method-assign,assignment]  # noqa: SLF001
    with pytest.raises(ServerUnavailable):
        worker.fetch(1, [TAG], idle=True)
    worker._server.call_at = real  # type: ignore[method-assign]  # noqa: SLF001

    assert ["acme"] * 3 == pool.serve(worker, 3)
    assert {} == pool.redis.hgetall(keys.pool_used(POOL))


def test_a_server_that_lost_all_knows_the_pool_again(pool: HandPool) -> None:
    """With its worker's next life: no worker needs to be started anew."""
    worker = pool.worker()
    everywhere(pool.redis).flushall()
    functions.load(pool.redis)
    pool.tenants("acme")
    assert worker.fetch(1, [TAG], idle=True) is None

    worker.hello_again()
    pool.enqueue("acme", 1)
    pool.attend()

    assert ["acme"] == pool.serve(worker, 1)


def let_die(pool: HandPool) -> int:
    """Let the watcher's clock pass until a silent worker is dead; answers how many were taken over from."""
    found = 0
    for _ in range(8):
        found += pool.rescue.step([POOL])
        pool.clock += 0.2
    return found


def test_a_dead_workers_runs_go_back_in_every_tenant(pool: HandPool) -> None:
    """At the head of their queues; its slots are free, and what it still says is not heard."""
    worker, other = pool.worker(), pool.worker("w2")
    held = lease(pool, worker, 2)

    def beat_and_die() -> int:
        other.fetch(0, [TAG], idle=True)
        pool.server.call_at(*other.heartbeat)
        return pool.rescue.step([POOL])

    found = 0
    for _ in range(8):
        found += beat_and_die()
        pool.clock += 0.2

    assert 1 == found
    pool.attend()
    assert ["queued"] * 4 == states(pool, held)
    assert 0 == renew(worker, held)
    finish(worker, held[0])
    assert "queued" == states(pool, held)[0]
    assert sorted(run.run for run in held) == sorted(run.run for _ in range(4) for run in fetch_one(other))


def fetch_one(worker: PoolLeases) -> list[Delivery]:
    fetched = worker.fetch(1, [TAG], idle=True)
    assert fetched is not None
    return fetched.deliveries


def test_however_much_a_dead_worker_held_goes_back(pool: HandPool) -> None:
    """More than one call may move, too."""
    worker = pool.worker()
    pool.enqueue("acme", 1_100)
    pool.attend()
    held = [run for _ in range(2) if (each := worker.fetch(600, [TAG], idle=True)) for run in each.deliveries]
    assert 1_100 == len(held)

    assert 1 == let_die(pool)

    assert 0 == pool.redis.zcard(keys.leases("acme"))
    assert 1_100 == pool.redis.llen(keys.queue("acme", TAG, 0))


def test_who_was_given_up_for_dead_gets_nothing_until_it_says_hello(pool: HandPool) -> None:
    """A fetch that was under way when it was given up leases nothing; afterwards it is another worker."""
    worker = pool.worker()
    (held,) = lease_one(pool, worker)
    before = worker.visitor
    assert 1 == let_die(pool)

    late = pool.server.call("fetch", "acme", before, 99, 1, f"1 {POOL}", TAG)
    assert 0 == late
    assert worker.fetch(1, [TAG], idle=True) is None

    worker.hello_again()
    pool.attend()
    assert before != worker.visitor
    assert [held.run] == [run.run for run in fetch_one(worker)]
    assert 0 == let_die(pool) - 1


def lease_one(pool: HandPool, worker: PoolLeases) -> list[Delivery]:
    pool.enqueue("acme", 1)
    pool.attend()
    return fetch_one(worker)


def test_a_claim_that_another_scheduler_left_half_done_is_done(pool: HandPool) -> None:
    """It stays on record until all tenants have their runs back."""
    worker = pool.worker()
    (held,) = lease_one(pool, worker)
    pool.pools.claim_lost(POOL, worker.worker, "0")

    assert "queued" == states(pool, [held])[0]
    assert pool.redis.zscore(keys.leases("acme"), held.run) is not None
    assert 1 == pool.rescue.step([POOL])

    assert pool.redis.zscore(keys.leases("acme"), held.run) is None
    assert {} == pool.pools.lost(POOL)
    assert 0 == pool.pools.list()[0].slots_used


def test_leave_gives_everything_back(pool: HandPool) -> None:
    """Uncounted, in every tenant, and the pool forgets it."""
    worker = pool.worker()
    held = lease(pool, worker, 2)

    worker.leave()

    assert ["queued"] * 4 == states(pool, held)
    assert {0} == {pool.client.runs.get(run.run).attempt for run in held}
    (info,) = pool.pools.list()
    assert (0, ()) == (info.slots_used, info.workers)


@pytest.mark.parametrize("what", ["queue", "leases", "bell", "delayed", "run"])
def test_a_tenant_that_spoils_its_keys_keeps_nobody_else_waiting(
    pool: HandPool, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is looked at again later, and named once; the others have their turns."""
    worker = pool.worker()
    (run,) = pool.enqueue("acme", 1)
    key = {
        "queue": keys.queue("acme", TAG, 0),
        "leases": keys.leases("acme"),
        "bell": keys.bell("acme", TAG),
        "delayed": keys.delayed("acme", TAG),
        "run": keys.run("acme", run),
    }[what]
    pool.redis.delete(key)
    pool.redis.set(key, "spoilt")
    pool.enqueue("globex", 3)
    pool.attend()

    served = pool.serve(worker, 4)

    assert ["globex"] * 3 == [tenant for tenant in served if tenant == "globex"]
    assert [] == pool.serve(worker, 1)
    assert [[], []] == renew(worker, [])
    if what == "delayed":
        assert ["tenant_failed tenant=acme"] == [record.message.split(" error=")[0] for record in caplog.records]


def test_a_run_that_killed_workers_is_served_to_one_that_holds_nothing(pool: HandPool) -> None:
    """It takes no neighbours along, of whatever tenant: a worker that is told so becomes idle first."""
    worker = pool.worker()
    (poison,) = pool.enqueue("acme", 1)
    pool.redis.hset(keys.run("acme", poison), "rescues", 2)
    pool.enqueue("globex", 2)
    pool.attend()

    first = worker.fetch(2, [TAG], idle=True)
    assert first is not None
    assert ["globex"] == [run.tenant for run in first.deliveries]
    busy = worker.fetch(2, [TAG], idle=False)
    assert busy is not None
    assert ([], "alone") == (busy.deliveries, busy.why)
    finish(worker, first.deliveries[0])

    alone = worker.fetch(2, [TAG], idle=True)

    assert alone is not None
    assert [poison] == [run.run for run in alone.deliveries]


def test_a_pool_is_no_tenants_and_says_who_knows_a_task(pool: HandPool) -> None:
    """As the threads above ask any leases."""
    worker, other = pool.worker(), pool.worker("w2")

    assert (True, ["a.b"]) == worker.who_knows("a.b", [TAG])
    other.leave()
    assert (False, ["a.b"]) == worker.who_knows("a.b", [TAG])
    assert not worker.is_tenant_gone()
    assert {} == worker.beats()
    assert (0, 0) == worker.rescue("w", "0")


def test_a_tenants_credential_is_no_workers_of_a_pool(pool: HandPool) -> None:
    """The pool's keys and functions are the operator's."""
    from taglane.errors import Refused  # noqa: PLC0415
    from taglane_scheduler.tenancy.tenants import Tenants  # noqa: PLC0415

    mine = PoolLeases(Server(Tenants(pool.server).rotate("acme").url), POOL, "w1")

    with pytest.raises(Refused):
        mine.hello({}, [TAG], [])
    mine.close()
