"""What is read of the ledgers: whose, and of which days."""

from __future__ import annotations

from datetime import timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from factories import HandWorker, enqueue, make_job, make_server
from taglane.errors import Refused
from taglane.model.usage import KEPT_DAYS, KEPT_JOB_DAYS, OTHER_JOBS, day_of, key_day
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane.store.usage import PAGE, Usage
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def usage(store: Server) -> Usage:
    return Usage(store)


def test_days_are_those_on_which_something_happened(usage: Usage, store: Server, redis: Redis) -> None:
    """Of one tenant, the last day of those asked for being the server's today."""
    since, until = usage.last_days(KEPT_DAYS)
    enqueue(store)
    enqueue(store, "other")
    early, before = until - timedelta(days=5), since - timedelta(days=1)
    for day in (early, before):
        redis.hset(keys.ledger("acme", key_day(day)), "made", 4)

    found = usage.days("acme", since, until)

    assert [("acme", early, 4), ("acme", until, 1)] == [(each.tenant, each.day, each.made) for each in found]
    assert KEPT_DAYS - 1 == (until - since).days
    assert until == day_of(int(redis.time()[0]) * 1000)


def test_jobs(usage: Usage, store: Server) -> None:
    """A row a job, or of the one that is asked for."""
    jobs = Jobs(store, 10_000)
    for name in ("report", "sync"):
        jobs.put(make_job(name))
        jobs.trigger("acme", name)
    jobs.trigger("acme", "sync")
    enqueue(store)
    days = usage.last_days(1)

    found = usage.jobs_of(["acme"], *days)

    assert [("report", 1), ("sync", 2)] == [(each.job, each.made) for each in found]
    assert ["sync"] == [each.job for each in usage.jobs_of(["acme"], *days, job="sync")]


def test_the_server_keeps_what_is_said_here() -> None:
    """For how many days, and under which name the jobs stand for which there was no room."""
    lua = resources.files("taglane.store") / "lua"
    prelude, book = ((lua / name).read_text("utf-8") for name in ("prelude.lua", "prelude_book.lua"))

    assert f"local KEEP_LEDGER = {KEPT_DAYS} * 86400 " in prelude
    assert f"local KEEP_JOB_LEDGER = {KEPT_JOB_DAYS} * 86400 " in prelude
    assert f"enter_of(ledger, '{OTHER_JOBS}', what, times)" in book


def test_many_tenants(usage: Usage, store: Server) -> None:
    """However many: what is asked for in one round trip is bounded."""
    tenants = [f"t{number}" for number in range(PAGE // 7 + 3)]
    for tenant in (tenants[0], tenants[-1]):
        enqueue(store, tenant)

    found = usage.days_of(tenants, *usage.last_days(7))

    assert [tenants[0], tenants[-1]] == [each.tenant for each in found]


def test_a_spoiled_ledger_hides_no_other(usage: Usage, store: Server, redis: Redis) -> None:
    """Its tenant has made something else of it; nothing is known of that day."""
    enqueue(store)
    enqueue(store, "other")
    days = usage.last_days(2)
    redis.delete(keys.ledger("acme", key_day(days[1])))
    redis.set(keys.ledger("acme", key_day(days[1])), "mine")

    assert ["other"] == [each.tenant for each in usage.days_of(["acme", "other"], *days)]


def test_a_tenant_reads_its_own(usage: Usage, store: Server) -> None:
    """With its own credential, and no other's."""
    own = Server(Tenants(store).create("acme").url)
    worker = HandWorker(own).hello()
    enqueue(own)
    worker.finish(worker.fetch())
    days = usage.last_days(1)

    mine: Any = Usage(own)

    assert mine.days("acme", *days) == usage.days("acme", *days)
    assert 1 == mine.days("acme", *mine.last_days(1))[0].succeeded
    with pytest.raises(Refused):
        mine.days("other", *days)
    own.close()
