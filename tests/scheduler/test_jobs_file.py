"""Jobs files: what they say, and where a mistake is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from taglane.errors import BadJobsFile
from taglane.model.retry import Retry
from taglane.model.schedule import After, At, Cron, Every, Manual
from taglane_scheduler.jobs_file import read_jobs_file

FILE = """\
tenants:
  acme:
    timezone: Europe/Berlin
    jobs:
      report: {task: shop.tasks.report, cron: "*/5 9-17 * * MON-FRI", params: {region: eu, ids: [1, 2]}}
      sync:   {task: shop.tasks.sync, every: 30s, tag: acme.io, priority: 3, overlap: allow, expires: 1h}
      clean:  {task: shop.tasks.clean, after: 5m, timezone: UTC}
      once:   {task: shop.tasks.once, at: 2026-11-22T09:00:00}
      ask:
        task: shop.tasks.ask
        manual: true
        params:
  other:
    jobs:
  empty:
"""


def job(fields: str) -> str:
    """A file with one job; its fields start at line 4, column 13."""
    return f"tenants:\n  acme:\n    jobs:\n      report: {{{fields}}}\n"


def test_a_file_is_read_into_jobs() -> None:
    """All five kinds; the tenant's zone unless the job has one; durations as text."""
    read = read_jobs_file(FILE)
    report, sync, clean, once, ask = read.jobs

    assert ("acme", "other", "empty") == read.tenants
    assert {"acme"} == {each.tenant for each in read.jobs}
    assert Cron(expr="*/5 9-17 * * MON-FRI", tz="Europe/Berlin") == report.schedule
    assert ({"region": "eu", "ids": [1, 2]}, "acme") == (report.params, report.tag)
    assert isinstance(sync.schedule, Every)
    assert (30_000, "acme.io", 3, "allow", 3_600_000) == (
        sync.schedule.interval,
        sync.tag,
        sync.priority,
        sync.overlap,
        sync.expires,
    )
    assert After(delay=300_000) == clean.schedule
    assert At(instant=1_795_334_400_000, tz="Europe/Berlin") == once.schedule
    assert (Manual(tz="Europe/Berlin"), {}) == (ask.schedule, ask.params)


def test_policies() -> None:
    """Retries in short or at length, time limits, overlap and misfire."""
    policy = "{attempts: 5, delay: 10s, backoff: exponential, max_delay: 10m, jitter: true, on: [ConnectionError]}"
    limits = "timeout: 5m, soft_timeout: 4m, overlap: queue, misfire: all"
    (long,) = read_jobs_file(job(f"task: a.b, every: 5s, retry: {policy}, {limits}")).jobs
    (short,) = read_jobs_file(job("task: a.b, every: 5s, retry: 5, no_worker: wait:1h")).jobs

    assert Retry(attempts=5, delay=10_000, on=("ConnectionError",)) == long.retry
    assert (300_000, 240_000, "queue", "all") == (long.timeout, long.soft_timeout, long.overlap, long.misfire)
    assert (Retry(attempts=5), "wait:1h") == (short.retry, short.no_worker)


@pytest.mark.parametrize(
    ("text", "line", "column", "why"),
    [
        ("", 1, 1, "there is no 'tenants' in it"),
        ("- a", 1, 1, "a jobs file is a mapping, not a list"),
        ("tenant: {}", 1, 1, "did you mean 'tenants'?"),
        ("tenants: [acme]", 1, 10, "tenants is a mapping by name, not a list"),
        ("tenants:\n  Acme: {}", 2, 3, "tenant 'Acme' must be"),
        ("tenants:\n  acme: {}\n  acme: {}", 3, 3, "'acme' is there twice"),
        ("tenants:\n  acme: {job: {}}", 2, 10, "tenant 'acme' has no field 'job': did you mean 'jobs'?"),
        ("tenants:\n  acme: {timezone: Europe/Berln}", 2, 20, "did you mean 'Europe/Berlin'?"),
        ("tenants:\n  acme:\n    jobs: 5", 3, 11, "jobs is a mapping by name, not a number"),
        ("tenants:\n  acme:\n    jobs:\n      a b: {}", 4, 7, "job 'a b' must be"),
        ("tenants:\n  acme:\n    jobs:\n      a: {}\n      a: {}", 5, 7, "'a' is there twice"),
        ("tenants:\n  acme:\n    jobs:\n      a:", 4, 7, "job 'a' has no 'task'"),
        (job("task: a.b, evry: 30s"), 4, 27, "job 'report' has no field 'evry': did you mean 'every'?"),
        (job("every: 30s"), 4, 7, "job 'report' has no 'task'"),
        (job("task: a.b"), 4, 7, "exactly one of cron, every, after, at, manual"),
        (job("task: a.b, manual: true, every: 5s"), 4, 7, "exactly one of"),
        (job("task: a b, manual: true"), 4, 22, "task 'a b' must be"),
        (job("task: 5, manual: true"), 4, 22, "task is a text, like shop.tasks.report, not a number"),
        (job("task: a.b, cron: '61 * * * *'"), 4, 33, "cron field minute: '61'"),
        (job("task: a.b, every: 30"), 4, 34, "every is a text, like 30s, not a number"),
        (job("task: a.b, every: 30 s"), 4, 34, "every: '30 s' is not a duration"),
        (job("task: a.b, after: 1ms"), 4, 34, "after: 1 ms is not a whole number of seconds"),
        (job("task: a.b, at: 2026-13-01T00:00:00Z"), 4, 31, "at: "),
        (job("task: a.b, manual: maybe"), 4, 35, "manual is true or false, not a text"),
        (job("task: a.b, every: 5s, timezone: Mars"), 4, 48, "unknown time zone 'Mars'"),
        (job("task: a.b, every: 5s, start: x"), 4, 45, "start: 'x' is not an instant"),
        (job("task: a.b, every: 5s, tag: other"), 4, 43, "tag 'other' does not belong to tenant 'acme'"),
        (job("task: a.b, every: 5s, tag: A"), 4, 43, "tag 'A' must be"),
        (job("task: a.b, every: 5s, params: [1]"), 4, 46, "params is a mapping, not a list"),
        (job("task: a.b, every: 5s, params: {1: 2}"), 4, 46, "the key 1"),
        (job("task: a.b, every: 5s, params: {a: .nan}"), 4, 50, "params.a is nan"),
        (job("task: a.b, every: 5s, priority: 10"), 4, 48, "priority: 10"),
        (job("task: a.b, every: 5s, priority: true"), 4, 48, "priority is a whole number, not true or false"),
        (job("task: a.b, every: 5s, overlap: no"), 4, 47, "overlap: 'no'"),
        (job("task: a.b, every: 5s, misfire: all"), 4, 47, "misfire: all takes overlap queue or allow"),
        (
            job("task: a.b, every: 5s, no_worker: somewhere"),
            4,
            49,
            "is not one of wait, wait:<duration>, skip, fail, ov",
        ),
        (job("task: a.b, every: 5s, no_worker: overflow:acme"), 4, 49, "the tag that its runs ask for already"),
        (job("tag: acme.a, task: a.b, every: 5s, no_worker: overflow:b"), 4, 62, "tag 'b' does not belong to tenant"),
        (job("task: a.b, every: 5s, timeout: 5"), 4, 47, "timeout is a text, like 5m, not a number"),
        (job("task: a.b, every: 5s, timeout: 1ms"), 4, 47, "timeout: '1ms' is too short"),
        (job("task: a.b, every: 5s, timeout: 5s, soft_timeout: 5s"), 4, 65, "soft_timeout 5s must be shorter"),
        (job("task: a.b, every: 5s, retry: yes"), 4, 45, "retry is a whole number or a mapping, like 5 or {attempts"),
        (job("task: a.b, every: 5s, retry: 0"), 4, 45, "retry.attempts: 0 is not a whole number"),
        (job("task: a.b, every: 5s, retry: {delay: 5s}"), 4, 45, "retry.attempts is missing"),
        (job("task: a.b, every: 5s, retry: {atempts: 5}"), 4, 46, "no such field: did you mean 'attempts'?"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, delay: x}"), 4, 66, "retry.delay: 'x' is not a duration"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, delay: 90}"), 4, 66, "delay is a text, like 10s, not"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, max_delay: 1.5}"), 4, 70, "max_delay is a text, like 10m,"),
        (job("task: a.b, every: 5s, retry: {attempts: true}"), 4, 56, "attempts is a whole number, not true or false"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, jitter: 1}"), 4, 67, "jitter is true or false, not a number"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, on: A}"), 4, 63, "on is a list, like [ConnectionError], not"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, on: []}"), 4, 63, "retry.on: it names no exception: leave it"),
        (job("task: a.b, every: 5s, retry: {attempts: 5, on: [1]}"), 4, 63, "retry.on: 1 is not the name of"),
        (job("task: a.b, every: 5s, task: c.d"), 4, 38, "'task' is there twice"),
        (job("task: a.b, every: 5s"), 0, 0, ""),
        ("tenants:\n  acme:\n    jobs: {a: {task: [}", 3, 23, "no YAML"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, line: int, column: int, why: str) -> None:
    """Line and column count from 1, and are the value's, or the key's where that is what is wrong."""
    if not why:
        assert 1 == len(read_jobs_file(text).jobs)
        return
    with pytest.raises(BadJobsFile) as caught:
        read_jobs_file(text, "jobs.yaml")

    assert str(caught.value).startswith(f"jobs.yaml:{line}:")
    assert why in str(caught.value)
    assert column == caught.value.column


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(FILE.replace("\n", "\n ").split(" ")), max_size=20))
def test_no_file_breaks_the_reader(words: list[str]) -> None:
    """Whatever is in it, the answer is a file or one error of ours."""
    try:
        read = read_jobs_file(" ".join(words))
    except BadJobsFile as error:
        assert error.line >= 1  # noqa: PT017 - either is right
    else:
        assert set(read.tenants) >= {each.tenant for each in read.jobs}
