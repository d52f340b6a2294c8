"""What applying a jobs file changes, in the fields of a jobs file."""

from __future__ import annotations

from typing import Any

from taglane.model.job import Job, make_job
from taglane_scheduler.jobs_diff import Change, fields_of


def make(**fields: Any) -> Job:
    fields.setdefault("task", "a.b")
    if "cron" not in fields:
        fields.setdefault("every", "30s")
    return make_job("acme", "report", **fields)


def test_a_change_says_what_it_is_about() -> None:
    """A job, or a tenant's limits; what stays as it is is none."""
    job, limits = Change("acme", "a", "created", None, {}), Change("acme", None, "unchanged", {}, {})

    assert [("acme/a", True), ("acme limits", False)] == [(each.subject, each.is_any) for each in (job, limits)]


def test_fields_are_spelled_as_in_a_file() -> None:
    """Without those that have their default."""
    assert {"task": "a.b", "every": "30s"} == fields_of(make())

    job = make(
        cron="0 9 * * *",
        tz="Europe/Berlin",
        end="2030-01-01T00:00:00Z",
        params={"n": 1},
        tag="acme.io",
        priority=3,
        overlap="allow",
        expires="1h30m",
        misfire="all",
        no_worker="wait:90m",
        retry={"attempts": 5, "delay": "10s", "max_delay": "600s", "on": ["ConnectionError"]},
        timeout="300s",
        soft_timeout="250ms",
    )

    assert {
        "task": "a.b",
        "cron": "0 9 * * *",
        "timezone": "Europe/Berlin",
        "end": "2030-01-01T00:00:00Z",
        "params": {"n": 1},
        "tag": "acme.io",
        "priority": 3,
        "overlap": "allow",
        "expires": "1h30m",
        "misfire": "all",
        "no_worker": "wait:1h30m",
        "retry": {"attempts": 5, "delay": "10s", "on": ["ConnectionError"]},
        "timeout": "5m",
        "soft_timeout": "250ms",
    } == fields_of(job)
    assert 5 == fields_of(make(retry={"attempts": 5, "delay": "1s"}))["retry"]
