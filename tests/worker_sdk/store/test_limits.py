"""Limits on a real server: held where runs are fetched, made and fired, at once, and never more than the cap."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import TENANT, HandWorker, enqueue, make_job, make_server, set_due
from taglane.client import Taglane
from taglane.errors import BadLimit, OperatorNeeded, ParamsOverLimit, QueueFull, Refused, ServerFull, TenantDraining
from taglane.model.limits import Limits
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.limits import LimitStore
from taglane_scheduler.firing.firing import Firing
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.store.server import Server


@pytest.fixture
def acme(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


def limit(server: Server, **limits: Any) -> LimitStore:
    store = LimitStore(server)
    store.put(TENANT, Limits(**limits))
    return store


def asks(server: Server, worker: str, number: int, wanted: str, idle: str = "0", *tags: str) -> tuple[list[str], str]:
    """What a fetch gives, and why it gives no more."""
    answer = server.call("fetch", TENANT, worker, number, wanted, idle, *(tags or (TENANT,)))
    return [run[0].decode() for run in answer[2]], answer[3].decode()


def test_what_is_written_is_read(acme: Server) -> None:
    """All of it, and what is taken away is gone."""
    store = limit(acme, running=3, rate=1.5, weight=2.0)
    assert Limits(running=3, rate=1.5, weight=2.0) == store.get(TENANT)

    store.put(TENANT, Limits(queued=7))
    store.put_state(TENANT, "paused")

    assert (Limits(queued=7), "paused") == (store.get(TENANT), store.state(TENANT))
    assert {TENANT: Limits(queued=7), "nobody": Limits()} == store.get_many([TENANT, "nobody"])


def test_changes_of_two_operators_are_both_kept(acme: Server) -> None:
    """Each writes what it changes, and nothing else."""
    store = limit(acme, running=3, queued=9)
    before = store.get(TENANT)
    LimitStore(acme).change(TENANT, {"rate": "10/s"})
    assert before == Limits(running=3, queued=9)

    assert Limits(running=5, rate=10.0) == store.change(TENANT, {"running": 5, "queued": "none"})
    assert Limits(running=5, rate=10.0) == store.get(TENANT)
    with pytest.raises(BadLimit):
        store.change(TENANT, {"running": 0, "weight": 3})
    assert store.get(TENANT).weight is None


def test_a_tenant_reads_its_limits_and_writes_none(url: str) -> None:
    """By no call of ours, and by no command."""
    operator = make_server(url)
    mine = make_server(Tenants(operator).create(TENANT).url, load=False)
    limit(operator, running=3)

    assert Limits(running=3) == LimitStore(mine).get(TENANT)
    with pytest.raises(OperatorNeeded):
        LimitStore(mine).put(TENANT, Limits())
    with pytest.raises(OperatorNeeded):
        LimitStore(mine).put_state(TENANT, "")
    with pytest.raises(Refused), mine.renamed("writing"):
        mine.redis.hset(keys.limits(TENANT), "running", "99")

    assert Limits(running=3) == LimitStore(operator).get(TENANT)


def test_all_workers_together_hold_no_more_than_the_cap(acme: Server) -> None:
    """Whatever each asks for, and however many ask at once; what one lets go of another may have."""
    limit(acme, running=5)
    for _ in range(60):
        enqueue(acme)
    workers = [HandWorker(acme, id=f"w{number}").hello() for number in range(8)]

    def live(worker: HandWorker) -> int:
        most = 0
        for _ in range(30):
            held = worker.fetch(4)
            most = max(most, acme.redis.zcard(keys.leases(TENANT)))
            worker.finish(held)
        return most

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(live, workers))

    assert max(seen) <= 5
    assert 60 == acme.redis.zcard(keys.ended(TENANT))


def test_the_cap_counts_what_is_recovered_retried_and_given_back(acme: Server) -> None:
    """However a run came to wait again."""
    limit(acme, running=2)
    for _ in range(4):
        enqueue(acme)
    first, second = HandWorker(acme, id="first").hello(), HandWorker(acme, id="second").hello()
    held = first.fetch()
    assert (2, []) == (len(held), second.fetch())

    acme.call("rescue", TENANT, "first", "0")
    taken = second.fetch()
    assert 2 == len(taken)
    acme.call("retry", TENANT, taken[0][0], taken[0][1], "", "{}", "", "shop.tasks.report", TENANT, "")
    acme.call("hand_back", TENANT, "", *taken[1])

    assert 2 == len(second.fetch())
    assert [] == second.fetch()


def test_who_waits_for_a_slot_is_rung_when_one_is_let_go(acme: Server) -> None:
    """No poll: the tag of what was left is remembered, and forgotten when nothing is left."""
    limit(acme, running=1)
    worker, other = HandWorker(acme).hello(), HandWorker(acme, id="other").hello()
    enqueue(acme)
    enqueue(acme)
    held = worker.fetch(1)
    acme.redis.delete(keys.bell(TENANT, TENANT))
    assert [] == other.fetch()
    assert 0 == acme.redis.llen(keys.bell(TENANT, TENANT))

    worker.finish(held)

    assert 1 == acme.redis.llen(keys.bell(TENANT, TENANT))
    other.finish(other.fetch())
    assert [] == other.fetch()
    assert set() == acme.redis.smembers(keys.capped(TENANT))


def test_near_the_cap_a_worker_gets_what_it_can_start(acme: Server) -> None:
    """A run does not wait behind another while some other worker is idle; far from it, whole batches go."""
    limit(acme, running=4)
    for _ in range(100):
        enqueue(acme)
    HandWorker(acme, id="w").hello()
    HandWorker(acme, id="v").hello()

    assert 1 == len(asks(acme, "w", 1, "64 1")[0])
    assert ([], "slots") == asks(acme, "w", 2, "64 0")
    assert acme.redis.llen(keys.bell(TENANT, TENANT)), "it leaves the bell to others"
    assert 3 == len(asks(acme, "v", 1, "64 9")[0])
    assert ([], "running") == asks(acme, "v", 2, "64 9")
    limit(acme, running=1_000)
    assert 64 == len(asks(acme, "w", 3, "64 1")[0])


def test_no_more_begin_than_the_rate_lets_pass(acme: Server) -> None:
    """A burst at once, then one each interval; and of all who wait, one is told when."""
    limit(acme, rate=2.0, burst=3)
    for _ in range(8):
        enqueue(acme)
    HandWorker(acme, id="w").hello()
    HandWorker(acme, id="v").hello()

    assert 3 == len(asks(acme, "w", 1, "10")[0])
    waits = [acme.call("fetch", TENANT, worker, 2, 10, "0", TENANT)[1] for worker in ("w", "v")]

    assert 0 < waits[0] <= 500
    assert -1 == waits[1]
    assert eventually(lambda: 1 == len(asks(acme, "w", 10 + acme.redis.incr("n"), "10")[0]))


def test_who_is_told_when_stays_so_though_a_bell_wakes_it(acme: Server) -> None:
    """It is the only one that comes back at that instant: whatever is enqueued meanwhile."""
    limit(acme, rate=2.0, burst=1)
    enqueue(acme)
    enqueue(acme)
    HandWorker(acme, id="w").hello()
    assert 1 == len(asks(acme, "w", 1, "1")[0])

    waits = [acme.call("fetch", TENANT, "w", number, 1, "0", TENANT)[1] for number in (2, 3)]

    assert all(0 < wait <= 500 for wait in waits), waits


@pytest.mark.parametrize("hours", [0, 1, 10_000])
def test_what_was_used_up_at_another_rate_or_clock_keeps_nobody_waiting(acme: Server, hours: int) -> None:
    """A rate that is raised is in force at once; and a server whose clock was set back does not pay for it."""
    limit(acme, rate=1 / 3600, burst=2)
    for _ in range(6):
        enqueue(acme)
    worker = HandWorker(acme).hello()
    assert 2 == len(worker.fetch())
    if hours:
        acme.redis.set(keys.pace(TENANT), (int(acme.redis.time()[0]) + 3_600 * hours) * 1000)

    limit(acme, rate=20.0)

    assert 1 == len(worker.fetch())
    assert [] == worker.fetch(), "one at once, and the others at the rate"
    assert eventually(worker.fetch)


def test_tags_that_nobody_serves_any_more_take_no_turns_of_others(acme: Server) -> None:
    """Each tag that the cap keeps waiting is rung once, until one of its workers has come in vain."""
    limit(acme, running=1)
    for _ in range(4):
        enqueue(acme)
    worker, other = HandWorker(acme).hello(), HandWorker(acme, id="other").hello()
    held = worker.fetch(1)
    assert [] == other.fetch()
    acme.redis.sadd(keys.capped(TENANT), *(f"{TENANT}.gone{number}" for number in range(12)))
    acme.redis.delete(keys.bell(TENANT, TENANT))

    worker.finish(held)
    worker.finish(worker.fetch(1))

    assert acme.redis.llen(keys.bell(TENANT, TENANT))
    assert 0 == acme.redis.scard(keys.capped(TENANT))


def test_limits_are_in_force_from_the_next_call(acme: Server) -> None:
    """And who waits because of those before is rung at once."""
    limit(acme, running=1)
    enqueue(acme)
    enqueue(acme)
    worker = HandWorker(acme).hello()
    assert 1 == len(worker.fetch())
    assert [] == worker.fetch()
    acme.redis.delete(keys.bell(TENANT, TENANT))

    limit(acme)

    assert 1 == acme.redis.llen(keys.bell(TENANT, TENANT))
    assert 1 == len(worker.fetch())


def test_a_full_queue_says_when_to_come_back(url: str, acme: Server) -> None:
    """It counts what waits in any form; a call is made whole or not at all; what is there already is not refused."""
    limit(acme, queued=3)
    client = Taglane(url)
    client.enqueue("shop.tasks.report", tenant=TENANT, key="once")
    client.enqueue("shop.tasks.report", tenant=TENANT, delay=60)

    with pytest.raises(QueueFull) as caught:
        client.enqueue_many("shop.tasks.report", tenant=TENANT, params=[{}, {}])

    assert (3, 2) == (caught.value.limit, caught.value.waiting)
    assert 0.1 <= caught.value.retry_after <= 60
    assert "taglane tenant limit acme queued=N" in str(caught.value)
    assert 2 == acme.redis.zcard(keys.runs(TENANT))
    client.enqueue("shop.tasks.report", tenant=TENANT)
    assert not client.enqueue("shop.tasks.report", tenant=TENANT, key="once").created
    with pytest.raises(QueueFull):
        client.enqueue("shop.tasks.report", tenant=TENANT)
    worker = HandWorker(acme).hello()
    assert 2 == len(worker.fetch())
    assert client.enqueue("shop.tasks.report", tenant=TENANT).created, "what a worker holds waits no more"
    client.server.close()


def test_who_fills_a_queue_with_many_knows_what_went_in(url: str, acme: Server) -> None:
    """The error has the handles of what was made, and nothing else was."""
    limit(acme, queued=500)
    client = Taglane(url)

    with pytest.raises(QueueFull) as caught:
        client.enqueue_many("shop.tasks.report", tenant=TENANT, params=({"n": n} for n in range(1_000)))

    made = {run.id.encode() for run in caught.value.made}
    assert 400 == len(caught.value.made)
    sent = pickle.loads(pickle.dumps(caught.value))
    assert (QueueFull, str(caught.value), ()) == (type(sent), str(sent), tuple(sent.made))
    assert (
        made
        == set(acme.redis.lrange(keys.queue(TENANT, TENANT, 0), 0, -1))
        == set(acme.redis.zrange(keys.runs(TENANT), 0, -1))
    )
    client.server.close()


@pytest.mark.one_server("the memory of one is filled")
def test_who_fills_a_server_with_many_knows_what_went_in(url: str, acme: Server) -> None:
    """In the middle of a call the memory ends: each chunk is there whole, or not at all."""
    redis = acme.redis
    client = Taglane(url)
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] + 2_000_000)
    try:
        with pytest.raises(ServerFull) as caught:
            client.enqueue_many("shop.tasks.report", tenant=TENANT, params=({"n": "x" * 500} for n in range(20_000)))
    finally:
        redis.config_set("maxmemory", 0)

    made = {run.id.encode() for run in caught.value.made}
    assert 0 < len(made) < 20_000
    assert (
        made == set(redis.lrange(keys.queue(TENANT, TENANT, 0), 0, -1)) == set(redis.zrange(keys.runs(TENANT), 0, -1))
    )
    assert len(made) == len(list(redis.scan_iter(keys.run(TENANT, "*"), count=10_000)))
    client.server.close()


@pytest.mark.parametrize("where", ["queue", "delayed", "lease", "purge"])
def test_a_run_whose_record_is_lost_takes_no_room(acme: Server, where: str) -> None:
    """It waits nowhere: whoever comes upon its id lays that aside, and it counts no more."""
    store, worker = limit(acme, queued=1), HandWorker(acme).hello()
    run = enqueue(acme)
    if where == "lease":
        worker.fetch()
    if where == "delayed":
        acme.redis.delete(keys.queue(TENANT, TENANT, 0))
        acme.redis.zadd(keys.delayed(TENANT, TENANT), {run: 1})
    acme.redis.delete(keys.run(TENANT, run))

    if where == "lease":
        acme.call("rescue", TENANT, worker.id, "0")
    elif where == "purge":
        acme.call("purge", TENANT, TENANT, "1")
    else:
        worker.fetch()

    assert 0 == store.load(TENANT).waiting
    assert enqueue(acme)


def test_the_queue_is_exact_for_many_at_once(acme: Server) -> None:
    """However many callers: never more waiting than the limit, and never a refusal while there is room."""
    limit(acme, queued=50)

    def call(_: int) -> bool:
        try:
            enqueue(acme)
        except QueueFull:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        made = sum(pool.map(call, range(120)))

    assert 50 == made == acme.redis.llen(keys.queue(TENANT, TENANT, 0))


def test_what_carries_on_a_run_is_made_though_the_queue_is_full(acme: Server) -> None:
    """A chain that was begun comes to its end: its next link is no new work."""
    limit(acme, queued=1)
    enqueue(acme)

    made = acme.call("enqueue", TENANT, "acme.next", "shop.tasks.report", TENANT, 0, "{}", "", "", "", "c")

    assert [b"acme.next", 1] == made


def test_params_over_the_tenants_limit_are_refused(url: str, acme: Server) -> None:
    """Of a run and of a job; the error names both sizes."""
    limit(acme, payload=100)
    client = Taglane(url)
    client.enqueue("shop.tasks.report", tenant=TENANT, params={"a": "b"})

    with pytest.raises(ParamsOverLimit, match="may send 100"):
        client.enqueue("shop.tasks.report", tenant=TENANT, params={"a": "b" * 100})
    with pytest.raises(ParamsOverLimit):
        client.put_job("big", tenant=TENANT, task="shop.tasks.report", manual=True, params={"a": "b" * 100})

    assert [] == list(client.jobs.list(TENANT))
    client.server.close()


def fire_all(acme: Server, count: int) -> Firing:
    """Let so many jobs be due; return who fires them."""
    jobs = Jobs(acme, 10_000)
    for number in range(count):
        job = make_job(f"job{number}", cron="0 0 1 1 *")
        jobs.put(job)
        set_due(acme.redis, job, int(acme.redis.time()[0]) * 1000 - 1_000)
    return Firing(acme)


def test_no_more_is_fired_than_the_limit_lets_pass(acme: Server) -> None:
    """What is over it stays due, and is fired later: the tenant says when, and costs one look until then."""
    limit(acme, fires=2.0)
    firing = fire_all(acme, 6)

    first = firing.step([TENANT])
    second = firing.step([TENANT])

    assert (2, 0) == (first.fired, second.fired)
    now = int(acme.redis.time()[0]) * 1000
    assert now - 1_000 < (second.next[TENANT] or 0) <= now + 2_000
    assert 6 == acme.redis.zcard(keys.due(TENANT))
    assert eventually(lambda: firing.step([TENANT]).fired >= 1)


def test_what_is_due_waits_for_room_in_the_queue(acme: Server) -> None:
    """No instant is lost by it: it is fired when runs have gone to a worker."""
    limit(acme, queued=4)
    firing = fire_all(acme, 6)

    assert 4 == firing.step([TENANT]).fired
    assert 0 == firing.step([TENANT]).fired
    HandWorker(acme).hello().fetch()

    assert 2 == firing.step([TENANT]).fired


def test_a_paused_tenant_fires_and_fetches_nothing(acme: Server) -> None:
    """What is enqueued waits; when it goes on, everything does."""
    store, firing, worker = limit(acme), fire_all(acme, 1), HandWorker(acme).hello()
    store.put_state(TENANT, "paused")
    enqueue(acme)
    acme.redis.delete(keys.bell(TENANT, TENANT))

    assert (0, {TENANT: None}) == ((report := firing.step([TENANT])).fired, report.next)
    assert [] == worker.fetch()

    store.put_state(TENANT, "")
    assert 1 == acme.redis.llen(keys.bell(TENANT, TENANT))
    assert 1 == firing.step([TENANT]).fired
    assert 2 == len(worker.fetch())


def test_a_draining_tenant_finishes_and_takes_no_more(acme: Server) -> None:
    """No fire, no enqueue; but what there is goes on, also by the next links of chains."""
    store, firing, worker = limit(acme), fire_all(acme, 1), HandWorker(acme).hello()
    enqueue(acme)
    store.put_state(TENANT, "draining")

    with pytest.raises(TenantDraining, match="taglane tenant resume acme"):
        enqueue(acme)
    assert 0 == firing.step([TENANT]).fired
    held = worker.fetch()
    assert 1 == len(held)
    assert acme.call("enqueue", TENANT, "acme.next", "shop.tasks.report", TENANT, 0, "{}", "", "", "", "c")
    assert [1] == worker.finish(held)
    assert 1 == len(worker.fetch())
