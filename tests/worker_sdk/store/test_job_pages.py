"""Pages of jobs, by tenant and name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from factories import make_job, server_time, set_due
from taglane.errors import BadQuery
from taglane.store import job_pages, keys
from taglane.store.jobs import Jobs

if TYPE_CHECKING:
    from redis import Redis
    from taglane.store.server import Server

TENANTS = ["acme", "globex", "none", "zeta"]
NAMES = sorted(f"{kind}-{number}" for kind in ("report", "sync") for number in range(30))


@pytest.fixture
def jobs(store: Server) -> Jobs:
    found = Jobs(store, 10_000)
    for tenant in ("acme", "globex", "zeta"):
        found.put_many([make_job(name, tenant=tenant, every="1h") for name in NAMES])
    return found


def paged(jobs: Jobs, *, limit: int = 7, **wanted: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    after = ""
    for _ in range(200):
        page = jobs.page(TENANTS, after=after, limit=limit, **wanted)
        assert len(page.jobs) + len(page.unread) <= limit
        found += [(each.job.tenant, each.job.name) for each in page.jobs]
        after = page.next
        if not after:
            return found
    raise AssertionError("it does not end")


@pytest.mark.parametrize("pattern", ["", "report-*", "sync-1*", "report-7", "nothing*", "nothing", "*"])
@pytest.mark.parametrize("limit", [7, 60, 1_000])
def test_each_job_once_in_order(jobs: Jobs, pattern: str, limit: int) -> None:
    """By tenant and name, whatever the page's size."""
    expected = [(t, name) for t in TENANTS if t != "none" for name in NAMES if fnmatchcase(name, pattern or "*")]

    assert expected == paged(jobs, pattern=pattern, limit=limit)


def test_those_that_are_paused(jobs: Jobs) -> None:
    """Or are not."""
    for tenant, name in (("acme", "sync-3"), ("zeta", "report-1")):
        jobs.pause(tenant, name)

    assert [("acme", "sync-3"), ("zeta", "report-1")] == paged(jobs, paused=True)
    assert 178 == len(paged(jobs, paused=False))
    assert [("zeta", "report-1")] == paged(jobs, paused=True, pattern="rep*")


def test_those_that_are_overdue(jobs: Jobs, redis: Redis) -> None:
    """For more than a minute; one that is paused is not."""
    now = server_time(redis)
    for tenant, name, late in (("zeta", "sync-3", 65_000), ("acme", "sync-2", 90_000), ("acme", "sync-4", 2_000)):
        set_due(redis, make_job(name, tenant=tenant), now - late)

    assert [("acme", "sync-2"), ("zeta", "sync-3")] == paged(jobs, overdue=True)
    assert [("acme", "sync-2"), ("zeta", "sync-3")] == paged(jobs, overdue=True, limit=1)
    assert 178 == len(paged(jobs, overdue=False))


def test_a_page_of_few_among_very_many_ends(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next goes on from there."""
    monkeypatch.setattr(job_pages, "MOST_LOOKED", 1)
    jobs.pause("zeta", "sync-9")

    assert "" != jobs.page(TENANTS, paused=True).next
    assert [("zeta", "sync-9")] == paged(jobs, paused=True)


def test_jobs_that_come_and_go_move_no_other(jobs: Jobs) -> None:
    first = jobs.page(TENANTS, limit=5)
    jobs.delete("acme", first.jobs[-1].job.name)
    jobs.put(make_job("aaa", every="1h"))

    second = jobs.page(TENANTS, after=first.next, limit=5)

    assert NAMES[5:10] == [each.job.name for each in second.jobs]


def test_what_is_spoiled_hides_no_other(jobs: Jobs, redis: Redis) -> None:
    """A job that can't be read is told; a tenant's index that is something else is passed over."""
    redis.hset(keys.job("acme", NAMES[1]), "definition", "x")
    redis.delete(keys.jobs("globex"))
    redis.set(keys.jobs("globex"), "mine")

    page = jobs.page(TENANTS, limit=3)

    assert ([NAMES[0], NAMES[2]], [NAMES[1]]) == (
        [each.job.name for each in page.jobs],
        [each.name for each in page.unread],
    )
    assert {"acme", "zeta"} == {tenant for tenant, _ in paged(jobs)}


@pytest.mark.parametrize("wanted", [{"after": "x"}, {"after": "WzFd"}, {"pattern": "Report"}, {"pattern": "*x"}])
def test_what_is_no_page_is_refused(jobs: Jobs, wanted: dict[str, str]) -> None:
    with pytest.raises(BadQuery):
        jobs.page(TENANTS, **wanted)  # type: ignore[arg-type]


def test_the_last_runs_of_a_job(jobs: Jobs, redis: Redis) -> None:
    """The newest first, skipped ones too; what is gone, or spoiled, is left out."""
    made = [jobs.trigger("acme", "sync-1") for _ in range(5)]
    redis.delete(keys.run("acme", made[1]))
    redis.delete(keys.run("acme", made[2]))
    redis.set(keys.run("acme", made[2]), "mine")

    assert [made[4], made[3], made[0]] == [run.id for run in jobs.last_runs("acme", "sync-1")]
    assert [made[4]] == [run.id for run in jobs.last_runs("acme", "sync-1", 1)]
    assert [] == jobs.last_runs("acme", "sync-2")
