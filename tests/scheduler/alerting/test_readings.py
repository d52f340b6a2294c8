"""What is read of tenants, on a real server: what has really happened, and what a tenant has spoiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from factories import HandWorker, enqueue, make_job, server_time, set_due
from taglane.errors import OperatorNeeded, Refused
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane.store.standings import Standings
from taglane_scheduler.alerting.judge import find
from taglane_scheduler.alerting.readings import Readings
from taglane_scheduler.alerting.rules import AlertRule, make_rule
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture
def readings(store: Server) -> Readings:
    return Readings(store, Standings(store, 15_000))


def rule(on: str, **fields: Any) -> AlertRule:
    return make_rule(**{"name": "r", "on": on, "channels": ["ops"], **fields})


def found(readings: Readings, redis: Redis, made: AlertRule, tenant: str = "acme") -> list[tuple[str, int]] | None:
    """Subjects and counts; None when the tenant can't be read."""
    read = readings.read({tenant: [made]}, server_time(redis))
    return [(each.subject, each.count) for each in find(made, read[tenant])] if tenant in read else None


def fail(store: Server, worker: HandWorker, job: str | None = None, state: str = "failed") -> None:
    """Let a run end so."""
    if job:
        Jobs(store, 1_000).trigger("acme", job)
    else:
        enqueue(store)
    worker.finish(worker.fetch(1), state)


def test_runs_that_failed_are_counted(store: Server, redis: Redis, readings: Readings) -> None:
    """As they really end: of jobs and of none, in all and in a row; one that succeeds ends a row, and no window."""
    worker = HandWorker(store).hello()
    Jobs(store, 1_000).put(make_job("report"))
    for _ in range(3):
        fail(store, worker, "report")
    fail(store, worker)
    row = rule("failed", in_a_row=True, job="*")

    assert [("", 4)] == found(readings, redis, rule("failed", threshold=4))
    assert [("report", 3)] == found(readings, redis, rule("failed", job="rep*"))
    assert [("report", 3)] == found(readings, redis, row)
    assert [] == found(readings, redis, rule("dead_letter"))
    fail(store, worker, "report", "succeeded")
    assert [] == found(readings, redis, row)
    assert [("report", 3)] == found(readings, redis, rule("failed", job="report"))


def test_dead_letters_late_jobs_and_backlogs_are_found(store: Server, redis: Redis, readings: Readings) -> None:
    """By the indexes that the runs themselves keep."""
    redis.hset(keys.TENANTS, "acme", "{}")
    job = make_job("report", cron="0 0 1 1 *")
    Jobs(store, 1_000).put(job)
    set_due(redis, job, server_time(redis) - 300_000)
    worker = HandWorker(store).hello()
    fail(store, worker, "report", state="dead")
    run = enqueue(store)
    redis.hset(keys.run("acme", run), "queued_at", server_time(redis) - 600_000)

    assert [("", 1)] == found(readings, redis, rule("dead_letter"))
    assert [("report", 1)] == found(readings, redis, rule("dead_letter", job="*"))
    assert [("report", 1)] == found(readings, redis, rule("late"))
    assert [] == found(readings, redis, rule("late", after="1h"))
    assert [("acme", 1)] == found(readings, redis, rule("queue_older"))
    assert [] == found(readings, redis, rule("queue_longer", threshold=1))


@pytest.mark.parametrize(
    ("on", "key_of"),
    [("failed", keys.unwell), ("dead_letter", keys.dead), ("late", keys.due), ("failed", keys.failing)],
)
def test_a_tenant_that_spoils_its_keys_is_left_out(
    store: Server, redis: Redis, readings: Readings, on: str, key_of: Any
) -> None:
    """It is neither wrong nor well; others are read all the same."""
    redis.set(key_of("acme"), "spoiled")
    worker = HandWorker(store, tenant="globex").hello()
    enqueue(store, "globex")
    worker.finish(worker.fetch(1), "failed")
    row = {"in_a_row": True, "job": "*"} if key_of is keys.failing else {}
    rules = [rule(on, **row), rule("failed")]

    read = readings.read({"acme": rules, "globex": rules}, server_time(redis))

    assert ["globex"] == list(read)
    assert 1 == len(find(rules[1], read["globex"]))


def test_what_a_tenant_made_of_a_run_is_no_news(redis: Redis, readings: Readings) -> None:
    """A run that is no hash, a job that is no name, a score that is no time."""
    redis.zadd(keys.unwell("acme"), {"acme.x": server_time(redis), "acme.y": server_time(redis), "z": float("inf")})
    redis.set(keys.run("acme", "acme.x"), "spoiled")
    redis.hset(keys.run("acme", "acme.y"), mapping={"job": "\x1b" * 10_000, "state": "failed"})

    assert [] == found(readings, redis, rule("failed", job="*"))
    assert [("", 1)] == found(readings, redis, rule("failed"))


def test_missed_instants_count_from_when_they_are_watched(redis: Redis, readings: Readings) -> None:
    """Of the tenant and of each job that a rule names; a ledger that is none leaves its tenant out."""
    counters = {("acme", ""), ("acme", "report")}
    day = 86_400_000 * 20_000
    redis.hset(keys.ledger("acme", "20241004"), "missed", 7)
    readings.count_missed(counters, day, 3_600_000)
    redis.hset(keys.ledger("acme", "20241004"), "missed", 9)
    redis.hset(keys.job_ledger("acme", "20241004"), "report|missed", 1)

    assert set() == readings.count_missed(counters, day + 5_000, 3_600_000)

    assert 2 == readings.growth.within(("acme", ""), 3_600_000, day + 5_000)
    assert 1 == readings.growth.within(("acme", "report"), 3_600_000, day + 5_000)
    redis.delete(keys.ledger("acme", "20241004"))
    redis.set(keys.ledger("acme", "20241004"), "spoiled")
    assert {"acme"} == readings.count_missed(counters, day + 9_000, 3_600_000)


def test_it_takes_the_operators_credential(store: Server, redis: Redis) -> None:
    """A tenant reads no other's state so; the error says what it takes."""
    Tenants(store).create("globex")
    tenant = Server(Tenants(store).create("acme").url)
    own = Readings(tenant, Standings(tenant, 15_000))
    with pytest.raises((OperatorNeeded, Refused)):
        own.read({"globex": [rule("failed")]}, server_time(redis))
    tenant.close()
