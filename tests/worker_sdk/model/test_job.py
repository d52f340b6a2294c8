from __future__ import annotations

from typing import Any

import pytest
from factories import make_job
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from taglane.errors import BadName, BadParams, BadSchedule, TagNotOwned
from taglane.model.job import Job
from taglane.model.schedule import After, At, Cron, Every, Manual

NOW = 1_795_000_000_000
NOON = 1_795_348_800_000  # 2026-11-22T12:00:00Z

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
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
    st.sampled_from(["skip", "allow"]),
    st.none() | st.integers(1, 10**9),
)
def test_round_trip(
    schedule: dict[str, Any], params: dict[str, Any], priority: int, overlap: str, expires: int | None
) -> None:
    """A job read back from its definition is the same job, with the same definition."""
    job = make_job(**schedule, params=params, priority=priority, overlap=overlap, expires=expires)

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

    assert ("acme", 0, "skip", None, {}) == (job.tag, job.priority, job.overlap, job.expires, job.params)


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
        ({"overlap": "queue"}, BadSchedule, "overlap: 'queue' is not one of skip, allow"),
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
        ({"params": {"a": [{1: 2}]}}, BadParams, "params.a[0] has the key 1: a key is a text"),
        (
            {"params": {"a": {"b": float("nan")}}},
            BadParams,
            "params.a.b is nan, which JSON does not have: write it as a text",
        ),
        ({"params": {"a": "\ud800"}}, BadParams, "params.a is '\\ud800', which is no Unicode text"),
    ],
)
def test_refusals(fields: dict[str, Any], error: type[Exception], text: str) -> None:
    """What can't be is refused with a sentence that names the field and the value."""
    with pytest.raises(error) as caught:
        make_job(**fields)

    assert text == str(caught.value)


def test_deep_params_are_refused() -> None:
    """Params that are nested endlessly are an error of the caller, not a crash."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}

    with pytest.raises(BadParams, match="nested more than 64 deep"):
        make_job(params=deep)


@pytest.mark.parametrize("tag", ["acme", "acme.gpu", "shared.gpu"])
def test_tags_of_one_s_own(tag: str) -> None:
    """A job may ask for its tenant's tags, and for the pools that serve everyone."""
    assert tag == make_job(tag=tag).tag


def test_frozen() -> None:
    """A job does not change."""
    with pytest.raises(ValidationError, match="frozen"):
        make_job().name = "other"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schedule":{"kind":"never"}}', '{"schedule":{"kind":"manual"}}'])
def test_unreadable_definitions(text: str) -> None:
    """A definition that is none is a ValueError, whatever is wrong with it."""
    with pytest.raises(ValueError):  # noqa: PT011 - json, schedules and pydantic each have their own
        Job.from_definition("acme", "report", text)
