"""Applying a jobs file: what it says, what differs, what is written."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from factories import make_server
from taglane.errors import BadJobsFile, JobTooNew, ParamsOverLimit
from taglane.model.job import Job, make_job
from taglane.model.limits import Limits
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.limits import LimitStore
from taglane_scheduler.jobs_apply import JobsApply
from taglane_scheduler.jobs_diff import Change
from taglane_scheduler.jobs_file import TenantPart, WantedJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane.store.server import Server


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


def make(name: str = "report", tenant: str = "acme", **fields: Any) -> Job:
    fields.setdefault("task", "a.b")
    if not {"cron", "after", "at", "manual"} & set(fields):
        fields.setdefault("every", "30s")
    return make_job(tenant, name, **fields)


def part(*jobs: Job, tenant: str = "acme", off: tuple[str, ...] = (), limits: Limits | None = None) -> TenantPart:
    return TenantPart(tenant, limits, [WantedJob(None, job.tag, job) for job in jobs], list(off))


@contextmanager
def compared(store: Server, *parts: TenantPart, prune: bool = False) -> Iterator[JobsApply]:
    with JobsApply(Jobs(store, 100_000), LimitStore(store), prune=prune) as work:
        work.read(parts)
        work.compare(with_fields=True)
        yield work


def what(store: Server, *parts: TenantPart, prune: bool = False) -> list[tuple[str, str]]:
    with compared(store, *parts, prune=prune) as work:
        return [(each.subject, each.change) for each in work.changes()]


def put(store: Server, *jobs: Job) -> None:
    Jobs(store, 100_000).put_many(jobs)


def names(store: Server, *tenants: str) -> list[str]:
    return [name for _, name in Jobs(store, 100_000).names(tenants)]


def test_each_job_is_created_updated_or_unchanged(store: Server) -> None:
    """In the file's order; identity is tenant and name. The anchor that the server chose is no difference."""
    put(store, make("a"), make("b", now=1))

    assert [("acme/b", "unchanged"), ("acme/a", "updated"), ("other/a", "created")] == what(
        store, part(make("b", now=2), make("a", every="40s")), part(make("a", tenant="other"), tenant="other")
    )


def test_only_prune_deletes(store: Server) -> None:
    """What the file lacks stays where it is otherwise; what a tenant has off goes, if it is there."""
    put(store, make("a"), make("b"))

    assert [] == what(store, part())
    assert [("acme/a", "pruned"), ("acme/b", "pruned")] == what(store, part(), prune=True)
    with compared(store, part(off=("b", "none"))) as work:
        assert [Change("acme", "b", "pruned", {"task": "a.b", "every": "30s"}, None)] == list(
            work.changes(with_fields=True)
        )
        work.write()
    assert ["a"] == names(store, "acme")


def test_a_templates_job_is_made_once_for_many_tenants(store: Server) -> None:
    """Each has its own tag, also in the definition that is kept."""
    made = make(tag="acme.io")
    jobs = [WantedJob("report", f"{tenant}.io", made) for tenant in ("acme", "other")]
    parts = [TenantPart(tenant, None, [job]) for tenant, job in zip(("acme", "other"), jobs, strict=True)]

    with compared(store, *parts) as work:
        assert ["report", "report"] == [each.template for each in work.changes()]
        work.write()

    kept = Jobs(store, 100_000).get("other", "report").job
    assert ("other", "other.io") == (kept.tenant, kept.tag)
    assert kept == make_job("other", "report", task="a.b", every="30s", tag="other.io").model_copy(
        update={"schedule": kept.schedule}
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"task": "c.d"}, {"every": "31s"}, {"cron": "* * * * *"}, {"after": "30s"}, {"at": "2050-01-01T00:00:00Z"},
        {"manual": True}, {"params": {"a": 1}}, {"tag": "acme.io"}, {"tz": "Europe/Berlin"}, {"priority": 3},
        {"overlap": "allow"}, {"expires": "1h"}, {"end": "2050-01-01T00:00:00Z"}, {"misfire": "skip"}, {"retry": 5},
        {"timeout": "5m"}, {"soft_timeout": "5m"}, {"no_worker": "skip"}, {"start": "2026-01-01T00:00:00Z"},
        {"params": {"a": '"schedule":{"anchor":0'}},
    ],
)  # fmt: skip
def test_every_field_counts(fields: dict[str, Any], store: Server) -> None:
    """A change of any one is an update, and shows; once it is written there is no difference."""
    put(store, make())
    with compared(store, part(make(**fields))) as work:
        (change,) = work.changes(with_fields=True)
        work.write()

    assert "updated" == change.change
    assert change.before != change.after
    assert [("acme/report", "unchanged")] == what(store, part(make(**fields)))
    assert make(**fields).definition == Jobs(store, 100_000).get("acme", "report").job.definition or "every" in str(
        change.after
    )


def test_limits_are_compared_where_the_file_names_them(store: Server) -> None:
    """As users spell them; a limit that the file lacks goes, and of other tenants it says nothing."""
    LimitStore(store).put_many({"acme": Limits(running=8, queued=5), "same": Limits(weight=2)})
    parts = [
        part(limits=Limits(running=4, rate=1.5)),
        part(tenant="other", limits=Limits()),
        part(tenant="same", limits=Limits(weight=2.0)),
        part(tenant="none"),
    ]

    with compared(store, *parts) as work:
        found = list(work.changes())
        work.write()

    assert [
        Change("acme", None, "updated", {"running": 8, "queued": 5}, {"running": 4, "rate": "90/m"}),
        Change("other", None, "unchanged", {}, {}),
        Change("same", None, "unchanged", {"weight": 2}, {"weight": 2}),
    ] == found
    assert Limits(running=4, rate=1.5) == LimitStore(store).get("acme")


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (part(make("z", at="2020-01-01T00:00:00Z")), BadJobsFile),
        (part(make("z", params={"x": "y" * 200_000})), BadJobsFile),
        (part(make("z", params={"x": "y" * 500}), limits=Limits(payload=100)), ParamsOverLimit),
        (part(make("new")), JobTooNew),
    ],
)
def test_what_the_server_would_refuse_is_found_before_anything_is_written(
    bad: TenantPart, error: type[Exception], store: Server, redis: Redis
) -> None:
    put(store, make("new"))
    redis.hset(keys.job("acme", "new"), "definition", '{"schedule":{"kind":"manual"},"quota":5}')

    with pytest.raises(error), compared(store, part(make("a", tenant="other"), tenant="other"), bad):
        pytest.fail("it was compared")

    assert [] == names(store, "other")


def test_a_record_that_can_not_be_read(store: Server, redis: Redis) -> None:
    """Is put over where the file names it; else it is told of, and stays, with prune too."""
    for name in ("a", "b"):
        redis.zadd(keys.jobs("acme"), {name: 0})
        redis.hset(keys.job("acme", name), "definition", "{}")
    noted: list[str] = []
    with JobsApply(Jobs(store, 100_000), LimitStore(store), prune=True) as work:
        work.read([part(make("a"))])
        work.compare(noted=lambda error: noted.append(str(error)))
        work.write()

    assert ["the record of job 'b' of tenant 'acme' can't be read: put the job again"] == noted
    assert make("a").task == Jobs(store, 100_000).get("acme", "a").job.task
    assert ["a", "b"] == names(store, "acme")


def test_what_others_change_meanwhile_is_planned_anew(store: Server) -> None:
    """Between the comparison and the write: the file's word is the last, and a job that is the same by then is left."""
    with compared(store, part(make("a"), make("b", params={"n": 1}))) as work:
        put(store, make("a"), make("b", params={"n": 2}))
        work.write()

    jobs = Jobs(store, 100_000)
    assert [1, 2] == [jobs.get("acme", name).revision for name in "ab"]
    assert {"n": 1} == jobs.get("acme", "b").job.params


def test_an_apply_that_was_interrupted_is_completed_by_the_next(store: Server) -> None:
    """It leaves whole jobs, and knows how many."""
    jobs = [make(f"j{number:04}", params={"n": number}) for number in range(1_200)]

    def told(_: int) -> None:
        raise KeyboardInterrupt

    with compared(store, part(*jobs)) as work:
        with pytest.raises(KeyboardInterrupt):
            work.write(told)
        done = work.written
    left = Jobs(store, 100_000).list_all("acme")

    assert (done, []) == (len(left[0]), left[1])
    assert 0 < done < 1_200
    with compared(store, part(*jobs)) as work:
        assert {"unchanged": done, "created": 1_200 - done} == +work.counts
        work.write()
    assert {("unchanged", "acme")} == {(change, name[:4]) for name, change in what(store, part(*jobs))}
