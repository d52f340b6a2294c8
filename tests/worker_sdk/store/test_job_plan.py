"""What putting a job does; on a real server in test_jobs.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from factories import make_job
from taglane.errors import BadParams, BadSchedule, JobTooNew, ParamsOverLimit
from taglane.model.limits import Limits
from taglane.store.job_plan import Put, check_payload, plan, plan_put, prepare, resumed_due, seen, sized
from taglane.store.stored_job import StoredJob, UnreadJob

if TYPE_CHECKING:
    from taglane.model.job import Job

NOW = 1_800_000_000_000
HOUR = 3_600_000
LIMIT = 1_000


def stored(job: Job, due: int | None = NOW + 1, *, paused: bool = False) -> StoredJob:
    return StoredJob(job, 3, 10, paused, due, None, None, born="1.2")


def test_a_new_job_is_due_by_its_schedule() -> None:
    """Of a fixed rate, a whole interval after the server's time."""
    job, put, said = plan_put(make_job(every="1h"), None, NOW, LIMIT)

    assert Put("created", 0, NOW + HOUR) == put
    assert job.definition == said[1]
    assert [str(NOW + HOUR), "0"] == [said[9], said[12]]


def test_what_is_the_same_does_nothing() -> None:
    """Whatever anchor the caller's has."""
    kept = stored(make_job(every="1h", now=7))

    _, put, said = plan_put(make_job(every="1h", now=8), kept, NOW, LIMIT)

    assert (Put("unchanged", 3, NOW + 1), []) == (put, said)


@pytest.mark.parametrize(("paused", "due"), [(False, NOW + 1), (True, None)])
def test_an_update_with_the_same_schedule_keeps_the_due(paused: bool, due: int | None) -> None:
    kept = stored(make_job(every="1h", now=7), paused=paused)

    _, put, said = plan_put(make_job(every="1h", params={"a": 1}), kept, NOW, LIMIT)

    assert Put("updated", 0, due) == put
    assert ["keep", "3-1.2"] == [said[9], said[12]]


def test_what_is_never_due_is_refused() -> None:
    with pytest.raises(BadSchedule, match="lies in the past"):
        plan_put(make_job(at="2020-01-01T00:00:00Z"), None, NOW, LIMIT)


def test_an_envelope_has_a_limit() -> None:
    """In bytes."""
    assert "éé" == sized("report", "éé", 4)
    with pytest.raises(BadParams, match="params of job 'report' take 4 bytes: the limit is 3"):
        sized("report", "éé", 3)
    with pytest.raises(BadParams, match=r"take .* bytes: the limit is 10 "):
        plan_put(make_job(params={"a": "long enough"}), None, NOW, 10)


def test_a_tenant_may_have_a_limit_of_its_own() -> None:
    """It is for the whole envelope, as the server counts it."""
    job = make_job(params={"a": "x"})
    size = len(plan_put(job, None, NOW, LIMIT)[2][5])

    check_payload("acme", prepare(job), Limits())
    check_payload("acme", prepare(job), Limits(payload=size))
    with pytest.raises(ParamsOverLimit, match=f"take {size} bytes, and tenant 'acme' may send {size - 1}"):
        check_payload("acme", prepare(job), Limits(payload=size - 1))


def test_what_the_caller_saw() -> None:
    """No job, a record that is spoiled and may be put over, or which revision of which job."""
    assert ["0", "", "3-1.2"] == [seen(None), seen(UnreadJob("acme", "report")), seen(stored(make_job()))]


def test_a_resumed_job_is_due_from_now_on() -> None:
    assert str(NOW + HOUR) == resumed_due(make_job(after="1h"), NOW + 999)
    assert "" == resumed_due(make_job(), NOW)


TRICKY = {"a": '"schedule":{"anchor":0,"interval":3600000,"kind":"every"},"tag":"acme"'}


@pytest.mark.parametrize(
    "fields",
    [
        {"every": "1h"}, {"every": "1h", "start": "2026-01-01T00:00:00Z"}, {"cron": "H 3 * * *", "tz": "Europe/Berlin"},
        {"every": "1h", "params": TRICKY, "end": "2050-01-01T00:00:00Z", "tag": "acme.io", "timeout": "5m"}, {},
        {"after": "1h", "priority": 5, "overlap": "allow", "misfire": "all", "no_worker": "skip", "expires": "1h"},
        {"every": "1h", "retry": {"attempts": 5, "on": ["A"]}, "soft_timeout": "1m", "params": {"é": [1, None]}},
    ],
)  # fmt: skip
def test_a_prepared_job_is_known_by_the_text_that_is_kept(fields: dict[str, Any]) -> None:
    """Wherever it hangs on its grid; and it is the job that it was."""
    job = make_job(**fields, now=7)
    prepared = prepare(make_job(**fields, now=8))

    assert prepared.is_as(job.definition)
    assert job.model_copy(update={"schedule": None}) == prepared.job("acme").model_copy(update={"schedule": None})
    for other in ({"priority": 9}, {"params": {"b": 1}}, {"tag": "acme.other"}, {"timeout": "7m"}, {"every": "2h"}):
        changed = {**fields, **other} if "every" not in other or "every" in fields else {**fields, "priority": 9}
        assert not prepared.is_as(make_job(**changed, now=7).definition)


def test_a_prepared_job_may_be_another_tenants() -> None:
    """With that one's own tag, and all else as it is: what its params say, too."""
    one = prepare(make_job(every="1h", tag="acme.io", params=TRICKY))

    assert prepare(make_job(tenant="globex", every="1h", tag="globex.io", params=TRICKY)) == one.of("globex.io")


def test_what_a_newer_version_wrote_is_not_put_over() -> None:
    with pytest.raises(JobTooNew):
        plan("acme", prepare(make_job()), UnreadJob("acme", "report", "the field 'quota'"), NOW, LIMIT)
