from __future__ import annotations

import json
from typing import Any

import pytest
from factories import make_job
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from taglane.errors import BadName, BadParams, BadSchedule, TagNotOwned
from taglane.model.job import Job, JobFields, TooNew
from taglane.model.job import make_job as checked_job
from taglane.model.retry import Retry, make_retry
from taglane.model.schedule import After, At, Cron, Every, Manual

NOW = 1_795_000_000_000
NOON = 1_795_348_800_000  # 2026-11-22T12:00:00Z

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
policies = st.fixed_dictionaries(
    {
        "overlap": st.sampled_from(["queue", "allow"]),
        "misfire": st.sampled_from(["once", "skip", "all"]),
        "expires": st.none() | st.integers(1, 10**9),
        "no_worker": st.sampled_from(["wait", "wait:1h", "skip", "fail", "overflow:acme.spare", "overflow:shared.any"]),
        "retry": st.none() | st.integers(1, 100) | st.just({"attempts": 3, "delay": "5s", "on": ["ConnectionError"]}),
        "timeout": st.none() | st.integers(10_001, 10**9),
        "soft_timeout": st.none() | st.integers(100, 10_000),
    }
)
schedules = st.sampled_from(
    [
        {"cron": "*/5 * * * *", "tz": "Europe/Berlin"},
        {"every": "30s"},
        {"every": "1h", "start": NOW, "end": NOON},
        {"after": "5m"},
        {"at": "2026-11-22T12:00:00Z"},
        {"manual": True},
    ]
)


@given(
    schedules,
    st.dictionaries(st.text(), json_values, max_size=3),
    st.integers(0, 9),
    policies,
)
def test_round_trip(schedule: dict[str, Any], params: dict[str, Any], priority: int, policy: dict[str, Any]) -> None:
    """A job read back from its definition is the same job, with the same definition."""
    job = make_job(**schedule, params=params, priority=priority, **policy)

    again = Job.from_definition("acme", "report", job.definition)

    assert job == again
    assert job.definition == again.definition


def test_definition_ignores_order() -> None:
    """Two jobs whose params differ in order alone have one definition: applying a rewritten file changes nothing."""
    assert make_job(params={"a": 1, "b": 2}).definition == make_job(params={"b": 2, "a": 1}).definition


def test_definition_has_no_defaults() -> None:
    """A definition is compact JSON without what is as it would be anyway, and without the identity."""
    expected = '{"params":{},"schedule":{"kind":"manual"},"tag":"acme","task":"shop.tasks.report"}'

    assert expected == make_job().definition


def test_defaults() -> None:
    """Unless said otherwise a job asks for its tenant's tag, first in the queue, skips overlaps, never expires."""
    job = make_job(every="30s", now=NOW)

    assert ("acme", 0, "skip", "once", {}) == (job.tag, job.priority, job.overlap, job.misfire, job.params)
    assert (None, None, None, None) == (job.expires, job.retry, job.timeout, job.soft_timeout)
    assert "wait" == job.no_worker


def test_none_is_as_if_left_out() -> None:
    """Of every field: a command line gives them all."""
    nothing: Any = {**dict.fromkeys(JobFields.__annotations__), "manual": True}

    assert make_job() == checked_job("acme", "report", task="shop.tasks.report", **nothing)


def test_policies_are_read() -> None:
    """Time limits and retries as a jobs file has them."""
    job = make_job(retry={"attempts": 5, "delay": "10s"}, timeout="5m", soft_timeout="4m30s", overlap="cancel_running")

    assert (Retry(attempts=5, delay=10_000), 300_000, 270_000) == (job.retry, job.timeout, job.soft_timeout)
    assert "cancel_running" == job.overlap
    assert make_retry(5) == make_job(retry=5).retry
    assert 100 == make_job(timeout="100ms").timeout


def test_a_field_that_there_is_not() -> None:
    """A mistake in the caller's code, and what was meant."""
    with pytest.raises(TypeError, match=r"^a job has no field 'overlaps': did you mean 'overlap'\?$"):
        make_job(overlaps="skip")


@pytest.mark.parametrize(
    ("fields", "schedule"),
    [
        ({"cron": "0 9 * * 1", "tz": "Europe/Berlin"}, Cron(expr="0 9 * * 1", tz="Europe/Berlin")),
        ({"every": "90s"}, Every(interval=90_000, anchor=NOW)),
        ({"every": 90_000, "start": NOON}, Every(interval=90_000, start=NOON)),
        ({"after": "1m"}, After(delay=60_000)),
        ({"at": "2026-11-22T13:00", "tz": "Europe/Berlin"}, At(instant=NOON, tz="Europe/Berlin")),
        ({"at": NOON, "end": NOON + 1}, At(instant=NOON, end=NOON + 1)),
        ({"manual": True}, Manual()),
    ],
)
def test_schedules(fields: dict[str, Any], schedule: object) -> None:
    """Each kind is made of what a user writes: durations, and instants without an offset in the job's own zone."""
    assert schedule == make_job(**fields, now=NOW).schedule


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        (
            {"cron": "* * * * *", "every": "5s"},
            BadSchedule,
            "a job has exactly one of cron, every, after, at, manual: given were cron, every",
        ),
        (
            {"manual": False},
            BadSchedule,
            "a job has exactly one of cron, every, after, at, manual: given were none",
        ),
        ({"cron": "61 * * * *"}, BadSchedule, "cron field minute: '61' is not in 0-59 (in '61 * * * *')"),
        ({"cron": 5}, BadSchedule, "cron: expr is a text, not 5"),
        (
            {"cron": "* * * * *", "tz": "Europe/Berln"},
            BadSchedule,
            "cron: unknown time zone 'Europe/Berln': did you mean 'Europe/Berlin'?",
        ),
        ({"every": "5x"}, BadSchedule, "every: '5x' is not a duration: write it like 30s, 5m, 1h30m"),
        ({"every": "1500ms"}, BadSchedule, "every: 1500 ms is not a whole number of seconds, 1s or more"),
        ({"after": True}, BadSchedule, "after: True is not a duration: write it like 30s, 5m, 1h30m"),
        ({"at": "soon"}, BadSchedule, "at: 'soon' is not an instant: write it like 2026-11-22T09:00:00Z"),
        (
            {"after": "5s", "end": "2026-11-22"},
            BadSchedule,
            "end: '2026-11-22' is not an instant: write it like 2026-11-22T09:00:00Z",
        ),
        (
            {"every": "5s", "start": NOON, "end": NOON},
            BadSchedule,
            "every: start 2026-11-22T12:00:00Z must come before end 2026-11-22T12:00:00Z",
        ),
        ({"expires": "0s"}, BadSchedule, "expires: '0s' is too short: it takes at least 1ms"),
        ({"priority": 10}, BadSchedule, "priority: 10 is not a whole number from 0, served first, to 9"),
        ({"overlap": "wait"}, BadSchedule, "overlap: 'wait' is not one of skip, queue, allow, cancel_running"),
        ({"overlap": ["skip"]}, BadSchedule, "overlap: ['skip'] is not one of skip, queue, allow, cancel_running"),
        ({"misfire": "never"}, BadSchedule, "misfire: 'never' is not one of once, skip, all"),
        (
            {"misfire": "all"},
            BadSchedule,
            "misfire: all takes overlap queue or allow: with overlap skip only the first missed one would run",
        ),
        (
            {"misfire": "all", "overlap": "cancel_running"},
            BadSchedule,
            "misfire: all takes overlap queue or allow: with overlap cancel_running only the last missed one would run",
        ),
        (
            {"no_worker": "overflow:acme"},
            BadSchedule,
            "no_worker: overflow:acme names the tag that its runs ask for already: give another one",
        ),
        ({"timeout": "99ms"}, BadSchedule, "timeout: '99ms' is too short: it takes at least 100ms"),
        ({"soft_timeout": 99}, BadSchedule, "soft_timeout: 99 is too short: it takes at least 100ms"),
        ({"timeout": 0}, BadSchedule, "timeout: 0 is not a duration: write it like 30s, 5m, 1h30m"),
        (
            {"timeout": "5s", "soft_timeout": "5s"},
            BadSchedule,
            "soft_timeout 5s must be shorter than timeout 5s: the task would be killed before it is told",
        ),
        ({"retry": {"atempts": 5}}, BadSchedule, "retry.atempts: there is no such field: did you mean 'attempts'?"),
        ({"every": 0}, BadSchedule, "every: 0 is not a duration: write it like 30s, 5m, 1h30m"),
        ({"task": "no spaces"}, BadName, "task 'no spaces' must be a dotted name like shop.tasks.report"),
        (
            {"name": "Report"},
            BadName,
            "job 'Report' must be 1 to 63 of a-z 0-9 _ -, starting with a letter or digit",
        ),
        ({"tenant": "shared"}, BadName, "tenant 'shared' is reserved"),
        (
            {"tag": "acme_2"},
            TagNotOwned,
            "tag 'acme_2' does not belong to tenant 'acme': use 'acme', 'acme.<pool>' or 'shared.<pool>'",
        ),
        ({"params": [1]}, BadParams, "params must be a JSON object, not [1]"),
    ],
)
def test_refusals(fields: dict[str, Any], error: type[Exception], text: str) -> None:
    """What can't be is refused with a sentence that names the field and the value."""
    with pytest.raises(error) as caught:
        make_job(**fields)

    assert text == str(caught.value)


@pytest.mark.parametrize("tag", ["acme", "acme.gpu", "shared.gpu"])
def test_tags_of_one_s_own(tag: str) -> None:
    """A job may ask for its tenant's tags, and for the pools that serve everyone."""
    assert tag == make_job(tag=tag).tag


def test_frozen() -> None:
    """A job does not change."""
    with pytest.raises(ValidationError, match="frozen"):
        make_job().name = "other"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schedule":{"kind":"never"}}', '{"schedule":{"kind":"manual"}}', "[" * 100_000]
)
def test_unreadable_definitions(text: str) -> None:
    """A definition that is none is a ValueError, whatever is wrong with it."""
    with pytest.raises(ValueError):  # noqa: PT011 - json, schedules and pydantic each have their own
        Job.from_definition("acme", "report", text)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"quota": 5}, "the field 'quota'"),
        ({"tenant": "other"}, "the field 'tenant'"),
        ({"overlap": "burst"}, "overlap 'burst'"),
        ({"misfire": "some"}, "misfire 'some'"),
        ({"no_worker": "lend"}, "no_worker 'lend'"),
        ({"no_worker": "overflow:globex"}, "no_worker 'overflow:globex'"),
        ({"retry": {"attempts": 5, "budget": 9}}, "the field 'retry.budget'"),
        ({"schedule": {"kind": "window"}}, 'the schedule {"kind": "window"}'),
        ({"schedule": {"kind": "manual", "except": []}}, 'the schedule {"kind": "manual", "except": []}'),
    ],
)
def test_a_definition_of_a_newer_version_is_told_from_a_spoiled_one(more: dict[str, Any], what: str) -> None:
    """What it has that we know nothing of is named."""
    text = json.dumps({**json.loads(make_job().definition), **more})

    with pytest.raises(TooNew) as caught:
        Job.from_definition("acme", "report", text)

    assert what == caught.value.what
