"""How tenants stand, in one reading."""

from __future__ import annotations

import time
from importlib import resources
from typing import TYPE_CHECKING

import pytest
from cluster import everywhere
from factories import HandWorker, enqueue, make_job, server_time, set_due
from taglane.errors import LibraryMissing, Refused
from taglane.model.envelope import of_call
from taglane.model.names import new_run_id
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.standings import Standings

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis
    from taglane.model.standing import TagStanding, TenantStanding
    from taglane.store.server import Server

LEASE = 30_000


def read(server: Server, tenant: str = "acme") -> TenantStanding:
    (found,) = Standings(server, LEASE).read([tenant])
    return found


def tag(standing: TenantStanding, name: str = "acme") -> TagStanding:
    (found,) = [each for each in standing.tags if each.tag == name]
    return found


def enqueue_to(server: Server, name: str, *, step: int = 0, at: str = "") -> str:
    run_id = new_run_id("acme")
    server.call("enqueue", "acme", run_id, "a.b", name, step, of_call({}), at, "", "", "")
    return run_id


def test_an_empty_tenant(store: Server) -> None:
    """It has the minutes of an hour, and nothing in them."""
    standing = read(store)

    assert (0, 0, (), True, "") == (standing.queued, standing.workers, standing.tags, standing.readable, standing.state)
    assert 60 == len(standing.recent)
    assert standing.recent[-1].at <= standing.at < standing.recent[-1].at + 60_000
    assert [60_000] == sorted({b.at - a.at for a, b in zip(standing.recent, standing.recent[1:], strict=False)})


def test_what_waits_and_who_serves_it(store: Server, redis: Redis) -> None:
    """By tag: each step, what is delayed, what is held, the age of the first."""
    store.call("hello", "acme", "w1", "tags", "acme acme.gpu", "slots", 4)
    store.call("hello", "acme", "w2", "tags", "acme")
    first = enqueue_to(store, "acme", step=3)
    redis.hset(keys.run("acme", first), "queued_at", server_time(redis) - 7_000)
    for _ in range(2):
        enqueue_to(store, "acme", step=9)
    enqueue_to(store, "acme.gpu")
    enqueue_to(store, "acme.big", at="+60000")
    assert 1 == len(store.call("fetch", "acme", "w1", 1, 1, "1", "acme.gpu")[2])

    standing = read(store)

    assert ["acme", "acme.big", "acme.gpu"] == [each.tag for each in standing.tags]
    own, gpu, big = tag(standing), tag(standing, "acme.gpu"), tag(standing, "acme.big")
    assert ((0, 1, 0, 2), 3, 0, 0, 2, 5) == (own.by_step, own.queued, own.delayed, own.running, own.workers, own.slots)
    assert own.oldest is not None
    assert 7_000 <= own.oldest < 60_000
    assert (0, 1, 1, 4, None) == (gpu.queued, gpu.running, gpu.workers, gpu.slots, gpu.oldest)
    assert (1, 0, None) == (big.delayed, big.workers, big.oldest)
    assert (3, 1, 1, 2, 0) == (standing.queued, standing.delayed, standing.running, standing.workers, standing.stalled)
    assert own.oldest == standing.oldest


def test_what_is_parked_counts_for_its_tag(store: Server) -> None:
    jobs = Jobs(store, 10_000)
    job = make_job(overlap="queue", every="1s")
    jobs.put(job)
    for number in range(3):
        due = 1_000 * (number + 1)
        set_due(store.redis, job, due)
        revision = jobs.get("acme", "report").revision
        assert [1] == store.call("fire", "acme", "report", due, revision, due + 1_000, f"acme.{number}")

    assert (1, 2) == (tag(read(store)).queued, tag(read(store)).parked)


def test_a_silent_worker_is_stalled(store: Server, redis: Redis) -> None:
    """For longer than it may be, or, when it said nothing of that, than the reader thinks."""
    for worker, silent, own in (("a", 20_000, 0), ("b", 40_000, 0), ("c", 40_000, 60_000), ("d", 9_000, 5_000)):
        store.call("hello", "acme", worker, "tags", "acme", "lease", own)
        redis.hset(keys.worker("acme", worker), "seen", server_time(redis) - silent)

    standing = read(store)

    assert (2, 2, ("b", "d")) == (standing.workers, standing.stalled, standing.stalled_workers)
    assert 2 == tag(standing).workers


def test_the_last_hour(store: Server) -> None:
    """Ends count in their minute; dead letters and what expired as failed, cancels not at all."""
    worker = HandWorker(store).hello()
    for _ in range(7):
        enqueue(store)
    runs = worker.fetch(7)
    for state in ("succeeded", "succeeded", "failed", "dead", "cancelled"):
        worker.finish([runs.pop()], state)

    standing = read(store)

    assert (2, 2) == (standing.succeeded, standing.failed)
    assert (2, 2) == (
        sum(each.succeeded for each in standing.recent[-2:]),
        sum(each.failed for each in standing.recent[-2:]),
    )
    assert 1 == standing.dead
    assert standing.last_death is not None
    assert standing.at - 60_000 < standing.last_death <= standing.at


def test_the_hour_before(store: Server, redis: Redis) -> None:
    """What lies further back than sixty minutes is not told."""
    now = server_time(redis) // 60_000
    for back in (0, 59, 60):
        minute = now - back
        hour = time.strftime("%Y%m%d%H", time.gmtime(minute * 60))
        redis.hset(keys.recent("acme", hour), f"{minute % 60:02d}|s", 1)

    standing = read(store)

    assert 2 <= standing.succeeded + (server_time(redis) // 60_000 - now) <= 3
    assert standing.succeeded == sum(each.succeeded for each in standing.recent)


def test_jobs(store: Server, redis: Redis) -> None:
    """Those that are overdue, the first that is due, and those of which three runs in a row were unwell."""
    jobs, worker = Jobs(store, 10_000), HandWorker(store).hello()
    for name in ("early", "late", "next", "sick"):
        job = make_job(name, every="1h")
        jobs.put(job)
        jobs.get("acme", name)
    now = server_time(redis)
    for name, due in (("early", now - 90_000), ("late", now - 61_000), ("next", now - 1_000)):
        set_due(redis, make_job(name), due)
    for state in ("succeeded", "failed", "dead", "cancelled", "failed"):
        jobs.trigger("acme", "sick")
        worker.finish(worker.fetch(), state)

    standing = read(store)

    assert (4, 2, ("early", now - 90_000)) == (standing.jobs, standing.overdue, standing.first_due)
    assert [("sick", 3)] == [(each.job, each.streak) for each in standing.failing]
    assert now <= standing.failing[0].since <= standing.at
    jobs.trigger("acme", "sick")
    worker.finish(worker.fetch())
    assert () == read(store).failing


def test_a_tenant_at_its_limit_or_paused(store: Server, redis: Redis) -> None:
    redis.hset(keys.limits("acme"), mapping={"running": 1})
    worker = HandWorker(store).hello()
    for _ in range(3):
        enqueue(store)
    worker.fetch(1)
    worker.fetch(1)

    assert read(store).at_limit
    redis.hset(keys.limits("acme"), mapping={"state": "paused"})
    assert "paused" == read(store).state


@pytest.mark.parametrize(
    "key",
    [keys.tags, keys.workers, keys.leases, keys.waiting, keys.due, keys.dead, keys.jobs, keys.capped, keys.failing],
)
def test_a_spoiled_key_hides_neither_the_rest_nor_others(
    store: Server, redis: Redis, key: Callable[[str], str]
) -> None:
    """It is told as not readable; what can be read of it is there."""
    HandWorker(store).hello()
    for tenant in ("acme", "globex"):
        enqueue(store, tenant)
    redis.delete(key("acme"))
    redis.set(key("acme"), "mine")

    acme, globex = Standings(store, LEASE).read(["acme", "globex"])

    assert (False, 60) == (acme.readable, len(acme.recent))
    assert (True, 1) == (globex.readable, globex.queued)


def test_spoiled_contents(store: Server, redis: Redis) -> None:
    """Names that can't be tags, fields that are no numbers, tags without end, an hour of a million minutes."""
    HandWorker(store).hello()
    enqueue(store)
    redis.sadd(keys.tags("acme"), "<b>", "x" * 500, "UPPER", b"\xff\xfe")
    redis.hset(keys.worker("acme", "worker-1"), mapping={"slots": "many", "seen": "never"})
    redis.sadd(keys.workers("acme"), "big")
    redis.hset(keys.worker("acme", "big"), mapping={"beat": 0, "seen": server_time(redis), "tags": "acme " * 5_000})
    redis.hset(keys.run("acme", new_run_id("acme")), "queued_at", "x")
    redis.zadd(keys.failing("acme"), {"nothing": 5})
    hour = time.strftime("%Y%m%d%H", time.gmtime(server_time(redis) / 1_000))
    redis.hset(keys.recent("acme", hour), mapping={"07|s": "x", "99|f": 5, "ab": 1, "00|s": "nan"})

    standing = read(store)

    assert ["acme"] == [each.tag for each in standing.tags]
    assert [("nothing", 0)] == [(each.job, each.streak) for each in standing.failing]
    redis.hset(keys.recent("acme", hour), mapping={str(number): 1 for number in range(200)})
    assert not read(store).readable


def test_it_is_bounded(store: Server, redis: Redis) -> None:
    """However many tags, workers and leases there are."""
    redis.sadd(keys.tags("acme"), *(f"acme.t{number}" for number in range(300)))
    for number in range(300):
        redis.sadd(keys.workers("acme"), f"w{number}")
        redis.hset(
            keys.worker("acme", f"w{number}"), mapping={"beat": 0, "seen": server_time(redis), "tags": "acme.t1"}
        )
        redis.lpush(keys.queue("acme", f"acme.t{number}", 0), "x")
        redis.zadd(keys.leases("acme"), {f"acme.r{number}": 1})

    standing = read(store)

    assert 64 == len(standing.tags)
    assert (256, 300) == (standing.workers, standing.running)


def test_a_tenant_reads_its_own(acme: Server, store: Server) -> None:
    """With its own credential, and no other's."""
    enqueue(acme)

    assert read(acme) == read(store) or 1 == read(acme).queued
    with pytest.raises(Refused):
        read(acme, "globex")


def test_a_server_without_the_library_says_so(store: Server) -> None:
    everywhere(store.redis).function_delete("taglane")
    with pytest.raises(LibraryMissing):
        read(store)


def test_the_prelude_and_the_reader_agree() -> None:
    """How many minutes there are, and for how long they are kept: two hours and the one that goes on."""
    lua = resources.files("taglane.store") / "lua"

    assert "local MINUTES = 60" in (lua / "standing.lua").read_text("utf-8")
    assert "local KEEP_RECENT = 3 * 3600 " in (lua / "prelude.lua").read_text("utf-8")
