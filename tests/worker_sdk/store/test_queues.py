"""Queues: what is said of each, and that a purge ends what waits, once, whatever workers do meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import HandWorker, make_job, run_ids, server_time
from taglane.errors import Refused
from taglane.model.envelope import of_call
from taglane.model.names import new_run_id
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.queues import LONGEST_TAG, MOST_TAGS, QueueInfo, Queues
from taglane.store.runs import NewRun, Runs
from taglane.store.server import Server

if TYPE_CHECKING:
    from redis import Redis

LEASE = 15_000


@pytest.fixture
def queues(acme: Server) -> Queues:
    return Queues(acme, LEASE)


def make(server: Server, count: int = 1, tenant: str = "acme", **fields: Any) -> list[str]:
    """Make so many runs; return their ids."""
    fields = {"task": "a.b", "tag": tenant, "envelope": of_call({}), **fields}
    return [run for run, _ in Runs(server).make(tenant, [NewRun(new_run_id(tenant), **fields) for _ in range(count)])]


def states(server: Server, made: list[str]) -> set[tuple[str, str | None]]:
    runs = Runs(server)
    return {(found.state, found.error) for found in (runs.get(run) for run in made)}


PURGED = {("cancelled", "purged")}


# -- listing -----------------------------------------------------------------------------------------------------------


def test_list_counts_what_waits(queues: Queues, acme: Server, redis: Redis) -> None:
    """All steps together, what is delayed beside it, how long the next one has waited, and who serves the tag."""
    first, *_ = make(acme, 3, step=3)
    make(acme, 2, step=9)
    make(acme, 4, at="+60000")
    make(acme, 1, tag="acme.gpu", at="+60000")
    redis.hset(keys.run("acme", first), "queued_at", 5_000)
    HandWorker(acme).hello()

    own, gpu = queues.list("acme")

    assert QueueInfo("acme", "acme.gpu", queued=0, delayed=1, parked=0, since=None, workers=0) == gpu
    assert QueueInfo("acme", "acme", queued=5, delayed=4, parked=0, since=5_000, workers=1) == own


def test_list_counts_what_is_parked(queues: Queues, acme: Server, redis: Redis) -> None:
    """Of all jobs of the tag, also while nothing else of it waits; a spoiled list counts nothing."""
    for job, parked in (("report", 2), ("sync", 1)):
        for run in make(acme, parked, tag="acme.gpu", at="+60000"):
            redis.rpush(keys.parked("acme", job), run)
        redis.sadd(keys.waiting("acme"), job, "delayed")
    redis.delete(keys.delayed("acme", "acme.gpu"))

    (gpu,) = queues.list("acme")
    assert ("acme.gpu", 0, 0, 3) == (gpu.tag, gpu.queued, gpu.delayed, gpu.parked)

    redis.delete(keys.parked("acme", "sync"))
    redis.set(keys.parked("acme", "sync"), "spoiled")
    assert [2] == [each.parked for each in queues.list("acme")]
    redis.delete(keys.waiting("acme"))
    redis.set(keys.waiting("acme"), "spoiled")
    assert [] == queues.list("acme")


def test_list_names_a_tag_with_a_worker_and_nothing_to_do(queues: Queues, acme: Server, redis: Redis) -> None:
    """A worker that was silent for a lease serves nothing."""
    HandWorker(acme).hello()
    assert [("acme", 0, 1)] == [(queue.tag, queue.queued, queue.workers) for queue in queues.list()]

    redis.hset(keys.worker("acme", "worker-1"), "seen", server_time(redis) - LEASE - 1_000)

    assert [] == queues.list()


def test_list_looks_at_so_many_tags(queues: Queues, acme: Server, redis: Redis) -> None:
    """A tenant may have named millions; the rest, and what is too long to be one, keeps nobody waiting."""
    make(acme)
    redis.sadd(keys.tags("acme"), *(f"acme.t{number}" for number in range(MOST_TAGS - 10)), "acme." + "x" * LONGEST_TAG)
    redis.rpush(keys.queue("acme", "acme." + "x" * LONGEST_TAG, 0), "acme.1")
    before = redis.info("stats")["total_reads_processed"]

    (found,) = queues.list("acme")

    assert ("acme", 1) == (found.tag, found.queued)
    assert redis.info("stats")["total_reads_processed"] - before < MOST_TAGS / 5


def test_list_is_of_those_in_reach(
    queues: Queues, acme: Server, store: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A tenant's own, or for the operator all; what one has spoiled hides nothing of another."""
    make(acme)
    make(store, tenant="globex")
    assert ["acme"] == [queue.tag for queue in queues.list()]
    assert ["acme", "globex"] == [queue.tag for queue in Queues(store, LEASE).list()]
    with pytest.raises(Refused):
        queues.list("globex")

    for key in (keys.delayed("globex", "globex"), keys.queue("globex", "globex", 3)):
        store.redis.set(key, "spoiled")
    store.redis.delete(keys.tags("acme"))
    store.redis.set(keys.tags("acme"), "spoiled")

    assert [("globex", 1, 0)] == [(each.tag, each.queued, each.delayed) for each in Queues(store, LEASE).list()]
    spoiled = [keys.tags("acme"), keys.delayed("globex", "globex"), keys.queue("globex", "globex", 3)]
    assert {f"key_unreadable key={key}" for key in spoiled} == set(caplog.messages)


# -- purging -----------------------------------------------------------------------------------------------------------


def test_purge_ends_what_is_queued(queues: Queues, acme: Server, redis: Redis) -> None:
    """In all steps of that tag; what is delayed, held, or another tag's stays."""
    ((held, token),) = [(run, token) for run in make(acme) for _, token in HandWorker(acme).hello().fetch()]
    made = [run for step in keys.STEPS for run in make(acme, 2, step=step)]
    others = make(acme, tag="acme.gpu")
    later = make(acme, at="+60000")

    assert (8, 0) == (queues.purge("acme", "acme"), queues.purge("acme", "acme"))

    assert PURGED == states(acme, made)
    assert {("queued", None), ("scheduled", None)} == states(acme, [held, *others, *later])
    assert [1] == HandWorker(acme).finish([(held, token)])
    assert 0 == redis.exists(*(keys.queue("acme", "acme", step) for step in keys.STEPS))


def test_purge_ends_what_is_delayed_when_asked(queues: Queues, acme: Server, redis: Redis) -> None:
    """Retries, too: an attempt is not held by anybody while it waits."""
    (tried,) = make(acme)
    ((_, token),) = HandWorker(acme).hello().fetch()
    acme.call("retry", "acme", tried, token, "+60000", of_call({}), "", "a.b", "acme", 0)
    made = [tried, *make(acme, 2, at="+60000"), *make(acme, expires="+60000")]

    assert 4 == queues.purge("acme", "acme", delayed=True)

    assert PURGED == states(acme, made)
    assert 0 == redis.exists(keys.delayed("acme", "acme"), keys.expiring("acme"))


def test_purge_goes_on_until_nothing_is_left(queues: Queues, acme: Server, redis: Redis) -> None:
    """A call ends some hundreds at most and says that there is more."""
    make(acme, 1_500)
    make(acme, 1_200, at="+60000")

    assert [300, 1] == acme.call("purge", "acme", "acme", "1")
    assert 2_400 == queues.purge("acme", "acme", delayed=True)
    assert [0, 0] == acme.call("purge", "acme", "acme", "1")

    assert 0 == redis.exists(keys.queue("acme", "acme", 0), keys.delayed("acme", "acme"))


def test_purge_tells_those_who_depend_on_it(queues: Queues, acme: Server) -> None:
    """As any end does: what tells them is not purged itself, by this purge or the next one."""
    made = make(acme, 1_100, depends=True)

    assert 1_100 == queues.purge("acme", "acme", delayed=True)
    assert 0 == queues.purge("acme", "acme", delayed=True)

    worker, told = HandWorker(acme).hello(), []
    while held := worker.fetch(1_000):
        told += [run for run, _ in held]
        worker.finish(held)
    assert sorted(f"{run}~end" for run in made) == sorted(told)


def test_purge_lets_jobs_go_on(queues: Queues, store: Server, redis: Redis) -> None:
    """A job with a fixed delay is due again after the end of its run; the end is counted."""
    jobs = Jobs(store, 10_000)
    jobs.put(make_job("sync", after=60_000))
    jobs.trigger("acme", "sync")
    redis.delete(keys.due("acme"))

    queues.purge("acme", "acme")

    assert 1 == redis.zcard(keys.due("acme"))
    assert any(b"1" == redis.hget(key, "sync|cancelled") for key in redis.keys(keys.job_ledger("acme", "*")))


def test_purge_ends_what_was_parked_behind(queues: Queues, acme: Server, redis: Redis) -> None:
    """The end of a job's run lets the next one go, which then waits for the tag, too: none is left."""
    made = make(acme, 3)
    redis.hset(keys.job("acme", "report"), mapping={"revision": 1, "last": made[0]})
    for run_id in made:
        redis.hset(keys.run("acme", run_id), "job", "report")
    for run_id in made[1:]:
        redis.hset(keys.run("acme", run_id), mapping={"state": "scheduled", "parked": "1"})
        redis.lrem(keys.queue("acme", "acme", 0), 1, run_id)
        redis.rpush(keys.parked("acme", "report"), run_id)

    assert 3 == queues.purge("acme", "acme")

    assert PURGED == states(acme, made)
    assert 0 == redis.exists(keys.parked("acme", "report"), keys.queue("acme", "acme", 0))


def fire_thrice(store: Server, redis: Redis, *, priorities: tuple[int, int, int] = (0, 0, 0)) -> list[str]:
    """Let a job whose runs queue up make three, each by a definition with another priority."""
    runs = [f"acme.{number}" for number in range(3)]
    for number, (run, priority) in enumerate(zip(runs, priorities, strict=True)):
        put = Jobs(store, 10_000).put(make_job("report", every="1h", overlap="queue", priority=priority))
        redis.zadd(keys.due("acme"), {"report": 1_000 + number})
        assert [1] == store.call("fire", "acme", "report", 1_000 + number, put.revision, 2_000, run)
    return runs


@pytest.mark.parametrize("priorities", [(0, 0, 0), (9, 3, 0), (0, 3, 9)])
def test_purge_ends_what_is_parked_behind_it_whatever_its_priority(
    queues: Queues, store: Server, acme: Server, redis: Redis, priorities: tuple[int, int, int]
) -> None:
    """In one call: no worker gets one of them in between."""
    runs = fire_thrice(store, redis, priorities=priorities)

    assert [3, 0] == acme.call("purge", "acme", "acme", "")

    assert PURGED == states(acme, runs)
    assert 0 == queues.purge("acme", "acme")


def test_purge_of_what_is_delayed_ends_what_is_parked_behind_it(acme: Server, store: Server, redis: Redis) -> None:
    """A run that waits for its next attempt holds up those of its job: while that stays, they stay."""
    runs = fire_thrice(store, redis)
    ((first, token),) = HandWorker(acme).hello().fetch()
    acme.call("retry", "acme", first, token, "+60000", of_call({}), "", "a.b", "acme", 0)
    assert [0, 0] == acme.call("purge", "acme", "acme", "")
    assert {("retrying", None), ("scheduled", None)} == states(acme, runs)

    assert [3, 0] == acme.call("purge", "acme", "acme", "1")

    assert PURGED == states(acme, runs)


def test_purge_leaves_what_is_parked_behind_a_run_that_goes_on(acme: Server, store: Server, redis: Redis) -> None:
    """They wait for that run, not for the tag; its end lets them go."""
    runs = fire_thrice(store, redis)
    worker = HandWorker(acme).hello()
    held = worker.fetch()

    assert [0, 0] == acme.call("purge", "acme", "acme", "1")

    assert {("scheduled", None)} == states(acme, runs[1:])
    worker.finish(held)
    assert [runs[1]] == [run for run, _ in worker.fetch()]


def test_purge_passes_over_what_is_no_run(queues: Queues, acme: Server, redis: Redis) -> None:
    """What can't be read is laid aside, what has ended is dropped; neither stops it."""
    spoiled, cancelled, good = make(acme, 3)
    redis.delete(keys.run("acme", spoiled))
    redis.set(keys.run("acme", spoiled), "spoiled")
    redis.lpush(keys.queue("acme", "acme", 0), "acme.gone")
    redis.hset(keys.run("acme", cancelled), "state", "cancelled")

    assert 1 == queues.purge("acme", "acme")

    assert PURGED == states(acme, [good])
    assert [b"acme.gone", spoiled.encode()] == redis.lrange(keys.aside("acme"), 0, -1)


def test_purge_is_of_the_tenants_own(queues: Queues, store: Server) -> None:
    """Another's credential does not reach it."""
    made = make(store, tenant="globex")

    with pytest.raises(Refused):
        queues.purge("globex", "globex")
    assert {("queued", None)} == states(store, made)


def test_a_run_is_executed_or_purged_never_both(acme: Server, url: str, redis: Redis) -> None:
    """Workers that fetch while others purge: each run has one end, and none is left."""
    made = make(acme, 4_000)

    def work(number: int) -> list[str]:
        server = Server(url)
        worker, executed = HandWorker(server, id=f"w{number}").hello(), []
        while held := worker.fetch(7):
            assert [1] * len(held) == worker.finish(held)
            executed += [run for run, _ in held]
        server.close()
        return executed

    def purge(_: int) -> int:
        server = Server(url)
        count = 0
        while ended := server.call("purge", "acme", "acme", "")[0]:
            count += ended
        server.close()
        return count

    with ThreadPoolExecutor(6) as pool:
        workers = [pool.submit(work, number) for number in range(4)]
        eventually(lambda: redis.llen(keys.queue("acme", "acme", 0)) <= 3_500)
        purges = [pool.submit(purge, number) for number in range(2)]
        executed = [run for worker in workers for run in worker.result()]
        purged = sum(each.result() for each in purges)

    runs = Runs(acme)
    by_state = {state: {run.id for run in runs.list(state=state, limit=10_000)} for state in ("succeeded", "cancelled")}
    assert sorted(executed) == sorted(by_state["succeeded"])
    assert purged == len(by_state["cancelled"])
    assert set(made) == by_state["succeeded"] | by_state["cancelled"] == set(run_ids(redis))
    assert len(made) == len(executed) + purged
    assert executed
    assert purged
