"""Searching runs: whatever index serves a query, it finds what the query takes, once, page by page."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from factories import HandWorker, enqueue, make_job, run_ids, server_time
from taglane.errors import BadQuery, Refused
from taglane.model.envelope import of_call
from taglane.model.names import new_run_id
from taglane.model.query import parse_query
from taglane.store import keys, search
from taglane.store.jobs import Jobs
from taglane.store.runs import Runs
from taglane.store.search import RunSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis
    from taglane.store.server import Server

TENANTS = ["acme", "globex", "zeta"]
JOBS = ["reap", "report", "sync"]

QUERIES = [
    "",
    "state:open",
    "state:running",
    "state:queued",
    "state:scheduled",
    "state:retrying",
    "state:failed",
    "state:dead",
    "state:failed,dead",
    "state:unwell",
    "state:ended",
    "state:succeeded",
    "state:skipped",
    "state:cancelled",
    "state:failed,running",
    "job:report",
    "job:re*",
    "job:*",
    "job:report state:failed",
    "job:report state:succeeded",
    "tag:acme.gpu",
    "tag:a*",
    "task:x.*",
    "tenant:acme state:queued",
    "tenant:g* job:sync",
    "id:acme.*",
    "id:acme.custom",
    "until:1m",
    "since:1m",
    "state:ended since:1m",
]


def live(server: Server, seed: int, steps: int = 250) -> None:  # noqa: C901 - a branch a move
    """Let three tenants live a little, with every move that puts a run into an index or out of it."""
    rng, jobs, runs = random.Random(seed), Jobs(server, 10_000), Runs(server)
    workers = {tenant: HandWorker(server, tenant).hello() for tenant in TENANTS}
    for tenant in TENANTS:
        jobs.put_many([make_job(name, tenant=tenant, overlap="queue", every="1h") for name in JOBS])
    server.call("enqueue", "acme", "acme.custom", "x.y", "acme", 0, of_call({}), "", "", "", "")
    for number in range(steps):
        tenant, kind = rng.choice(TENANTS), rng.random()
        if kind < 0.3:
            jobs.trigger(tenant, rng.choice(JOBS))
        elif kind < 0.4:
            name = rng.choice(JOBS)
            job, due = jobs.get(tenant, name), 1_000 + number
            server.redis.zadd(keys.due(tenant), {name: due})
            how = rng.choice(["", " too late", "  "]).rstrip() if number % 2 else ""
            server.call("fire", tenant, name, due, job.revision, due + 1, f"{tenant}.f{number}{how}")
        elif kind < 0.55:
            enqueue(server, tenant)
        elif kind < 0.6:
            gpu = f"{tenant}.gpu"
            server.call("enqueue", tenant, new_run_id(tenant), "x.y", gpu, 0, of_call({}), "+50000", "", "", "")
        elif kind < 0.9:
            for held in workers[tenant].fetch(rng.randint(1, 4)):
                if rng.random() < 0.8:
                    workers[tenant].finish([held], rng.choice(["succeeded", "failed", "dead", "failed"]))
        elif kept := runs.list(tenant, limit=20):
            chosen = rng.choice(kept)
            if chosen.state in {"failed", "dead", "cancelled"}:
                runs.replay(chosen.id)
            elif chosen.state != "succeeded":
                runs.cancel(chosen.id)


def paged(store: Server, text: str, *, limit: int = 7) -> list[str]:
    """All that a query finds, page by page."""
    found: list[str] = []
    after = ""
    for _ in range(300):
        page = RunSearch(store).page(parse_query(text), TENANTS, after=after, limit=limit)
        assert len(page.runs) <= limit
        assert (page.back_to is None) == (not page.next)
        found += [run.id for run in page.runs]
        after = page.next
        if not after:
            return found
    raise AssertionError("it does not end")


@pytest.mark.parametrize(("visits", "many"), [(search.PAGE_VISITS, search.MANY), (25, search.MANY), (26, 0)])
def test_it_finds_what_the_query_takes(store: Server, monkeypatch: pytest.MonkeyPatch, visits: int, many: int) -> None:
    """Each run once, the newest first: may a page look at all that there is or at a few, of few tenants or of many."""
    monkeypatch.setattr(search, "PAGE_VISITS", visits)
    monkeypatch.setattr(search, "MANY", many)
    live(store, seed=visits)
    now = server_time(store.redis)
    kept = {tenant: Runs(store).list(tenant, limit=10_000) for tenant in TENANTS}
    made = {
        tenant: {run.decode(): at for run, at in store.redis.zrange(keys.runs(tenant), 0, -1, withscores=True)}
        for tenant in TENANTS
    }
    states = {run.state for runs in kept.values() for run in runs}
    assert {"queued", "scheduled", "succeeded", "failed", "dead", "cancelled"} <= states
    for text in QUERIES:
        query = parse_query(text)
        expected = sorted(run.id for runs in kept.values() for run in runs if query.takes(run, now))

        found = paged(store, text)

        assert expected == sorted(found), text
        assert expected == sorted(RunSearch(store).ids(query, TENANTS, 10_000)), text
        if not query.is_of_ended:
            instants = [made[run.partition(".")[0]][run] for run in found]
            assert sorted(instants, reverse=True) == instants, text


def test_many_runs_of_one_instant(store: Server, redis: Redis) -> None:
    """Pages end and begin among them; one that is gone meanwhile is no place to be lost at."""
    for tenant in TENANTS:
        for _ in range(12):
            enqueue(store, tenant)
        redis.zadd(keys.runs(tenant), dict.fromkeys(run_ids(redis, tenant), 5_000))
    everything = paged(store, "", limit=1_000)
    assert sorted(everything, reverse=True) == everything

    first = RunSearch(store).page(parse_query(""), TENANTS, limit=5)
    for key in (keys.runs("zeta"), keys.ended("zeta")):
        redis.zrem(key, first.runs[-1].id)
    second = RunSearch(store).page(parse_query(""), TENANTS, after=first.next, limit=5)

    assert everything[:10] == [run.id for run in (*first.runs, *second.runs)]
    assert [run for run in everything if run != first.runs[-1].id] == paged(store, "", limit=5)


def test_a_long_queue_is_looked_for_among_all_runs(store: Server) -> None:
    """What would be too much to put in order at once."""
    arguments = [(new_run_id("acme"), "a.b", "acme", 0, of_call({}), "", "", "", "") for _ in range(2_100)]
    for start in range(0, 2_100, 700):
        store.call("enqueue", "acme", *(value for each in arguments[start : start + 700] for value in each))

    page = RunSearch(store).page(parse_query("state:queued"), ["acme"])

    assert 50 == len(page.runs)
    assert 2_100 == len(list(RunSearch(store).ids(parse_query("state:queued"), ["acme"], 10_000)))
    assert 1_000 == len(list(RunSearch(store).ids(parse_query("state:queued"), ["acme"], 1_000)))


def test_a_jobs_runs_reach_behind_the_last_hundred(store: Server) -> None:
    jobs = Jobs(store, 10_000)
    jobs.put(make_job())
    made = [jobs.trigger("acme", "report") for _ in range(130)]

    assert sorted(made) == sorted(paged(store, "tenant:acme job:report", limit=50))
    assert made[::-1][:100] == [run.id for run in jobs.last_runs("acme", "report", 200)]
    jobs.delete("acme", "report")
    jobs.put(make_job())
    again = jobs.trigger("acme", "report")
    assert sorted([again, *made]) == sorted(paged(store, "tenant:acme job:report", limit=50))
    assert [again] == [run.id for run in jobs.last_runs("acme", "report")]


def test_a_page_says_how_far_it_has_looked(store: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is found among so many, the next page goes on from there."""
    monkeypatch.setattr(search, "PAGE_VISITS", 20)
    for _ in range(60):
        enqueue(store)

    page = RunSearch(store).page(parse_query("task:nothing.*"), ["acme"])

    assert ([], True) == (page.runs, bool(page.next))
    assert page.back_to is not None
    assert page.back_to <= server_time(store.redis)
    assert [] == paged(store, "task:nothing.*")


@pytest.mark.parametrize("many", [search.MANY, 0])
@pytest.mark.parametrize("key", [keys.runs, keys.ended, keys.unwell, keys.dead, keys.leases, keys.tags, keys.skipped])
def test_a_spoiled_index_hides_no_other_tenant(
    store: Server, redis: Redis, key: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(search, "MANY", many)
    for tenant in TENANTS[:2]:
        enqueue(store, tenant)
        worker = HandWorker(store, tenant).hello()
        worker.finish(worker.fetch(), "failed")
        enqueue(store, tenant)
    redis.delete(key("acme"))
    redis.set(key("acme"), "mine")

    for text, count in (
        ("", 2),
        ("state:failed", 1),
        ("state:queued", 1),
        ("state:succeeded", 0),
        ("state:skipped", 0),
    ):
        found = [run.tenant for run in RunSearch(store).page(parse_query(text), TENANTS).runs]
        assert count == found.count("globex"), text


def test_a_spoiled_run_is_passed_over(store: Server, redis: Redis) -> None:
    """One that is no hash, one that is gone, an id that is no text, a state that is nothing."""
    good = enqueue(store)
    redis.set(keys.run("acme", "acme.x"), "mine")
    redis.hset(keys.run("acme", "acme.y"), mapping={"state": "queued", "attempts": "many", "task": "a.b"})
    redis.zadd(keys.runs("acme"), dict.fromkeys([b"acme.x", b"acme.gone", b"acme.\xff\x80", b"acme.y"], 1e15))

    for text in ("", "state:queued", "task:*"):
        assert [good] == paged(store, text, limit=1)
        assert good in set(RunSearch(store).ids(parse_query(text), ["acme"], 100))


def test_an_exact_id_is_read_at_once(store: Server) -> None:
    run_id = enqueue(store)
    store.call("enqueue", "globex", "mine", "a.b", "globex", 0, of_call({}), "", "", "", "")

    assert [run_id] == paged(store, f"id:{run_id}")
    assert ["mine"] == paged(store, "id:mine")
    assert [] == paged(store, f"id:{run_id} state:failed")
    assert [] == paged(store, "id:mine tenant:acme")
    assert [run_id] == list(RunSearch(store).ids(parse_query(f"id:{run_id}"), TENANTS, 5))


def test_no_page_but_ours(store: Server) -> None:
    with pytest.raises(BadQuery, match="begin with the first"):
        RunSearch(store).page(parse_query(""), TENANTS, after="x")


def test_a_tenant_searches_its_own(acme: Server, store: Server) -> None:
    """With its own credential, and no other's."""
    mine = enqueue(acme)
    enqueue(store, "globex")

    assert [mine] == found(acme, ["acme"])
    with pytest.raises(Refused):
        found(acme, ["globex"])


def found(server: Server, tenants: Sequence[str]) -> list[str]:
    return [run.id for run in RunSearch(server).page(parse_query(""), tenants).runs]


def test_of_many_tenants_those_without_runs_are_not_looked_through(
    store: Server, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instant that can't be one hides nothing all the same."""
    monkeypatch.setattr(search, "MANY", 0)
    redis.config_resetstat()
    assert [] == found(store, TENANTS)
    assert "cmdstat_fcall" not in redis.info("commandstats")

    for tenant in TENANTS[:2]:
        enqueue(store, tenant)
    redis.zadd(keys.runs(TENANTS[0]), {"nonsense": float("inf")})

    assert {*TENANTS[:2]} == {run.partition(".")[0] for run in found(store, TENANTS)}
