"""What applying a jobs file changes."""

from __future__ import annotations

from typing import Any

import pytest
from taglane.model.job import Job, make_job
from taglane.model.limits import Limits
from taglane_scheduler.jobs_diff import Change, changes, fields_of
from taglane_scheduler.jobs_file import JobsFile


def make(name: str = "report", tenant: str = "acme", **fields: Any) -> Job:
    fields.setdefault("task", "a.b")
    if not {"cron", "after", "at", "manual"} & set(fields):
        fields.setdefault("every", "30s")
    return make_job(tenant, name, **fields)


def what(wanted: list[Job], stored: list[Job], *, prune: bool = False) -> list[tuple[str, str]]:
    return [(each.subject, each.change) for each in changes(JobsFile(jobs=wanted), stored, {}, prune=prune)]


def test_each_job_is_created_updated_or_unchanged() -> None:
    """In the file's order; identity is tenant and name."""
    wanted = [make("b"), make("a", every="40s"), make("a", tenant="other")]
    stored = [make("a"), make("b")]

    assert [("acme/b", "unchanged"), ("acme/a", "updated"), ("other/a", "created")] == what(wanted, stored)


def test_only_prune_deletes() -> None:
    """What the file lacks stays where it is otherwise."""
    assert [] == what([], [make("a")])
    assert [("acme/a", "pruned")] == what([], [make("a")], prune=True)


def test_what_a_tenant_has_off_goes() -> None:
    """Without prune; what is not there can't go."""
    wanted = JobsFile(off=[("acme", "a"), ("acme", "none"), ("other", "b")])

    found = changes(wanted, [make("a"), make("b")], {}, prune=False)

    assert [Change("acme", "a", "pruned", {"task": "a.b", "every": "30s"}, None)] == found


def test_a_job_of_a_template_says_so() -> None:
    """And one of none does not."""
    wanted = JobsFile(jobs=[make("a"), make("b")], templates={("acme", "a"): "report"})

    assert ["report", None] == [each.template for each in changes(wanted, [], {}, prune=False)]


def test_limits_are_compared_where_the_file_names_them() -> None:
    """As users spell them; a limit that the file lacks goes, and of other tenants it says nothing."""
    wanted = JobsFile(limits={"acme": Limits(running=4, rate=1.5), "other": Limits(), "same": Limits(weight=2.0)})
    kept = {"acme": Limits(running=8, queued=5), "other": Limits(), "same": Limits(weight=2)}

    assert [
        Change("acme", None, "updated", {"running": 8, "queued": 5}, {"running": 4, "rate": "90/m"}),
        Change("other", None, "unchanged", {}, {}),
        Change("same", None, "unchanged", {"weight": 2}, {"weight": 2}),
    ] == changes(wanted, [], kept, prune=True)
    assert "acme limits" == changes(wanted, [], kept, prune=True)[0].subject


def test_the_anchor_that_the_server_chose_is_no_difference() -> None:
    """But a start that was written is."""
    assert [("acme/report", "unchanged")] == what([make(now=1)], [make(now=2)])
    assert [("acme/report", "updated")] == what([make(start="2026-01-01T00:00:00Z")], [make()])


@pytest.mark.parametrize(
    "fields",
    [
        {"task": "c.d"}, {"every": "31s"}, {"cron": "* * * * *"}, {"after": "30s"}, {"at": "2030-01-01T00:00:00Z"},
        {"manual": True}, {"params": {"a": 1}}, {"tag": "acme.io"}, {"tz": "Europe/Berlin"}, {"priority": 3},
        {"overlap": "allow"}, {"expires": "1h"}, {"end": "2030-01-01T00:00:00Z"}, {"misfire": "skip"}, {"retry": 5},
        {"timeout": "5m"}, {"soft_timeout": "5m"}, {"no_worker": "skip"},
    ],
)  # fmt: skip
def test_every_field_counts(fields: dict[str, Any]) -> None:
    """A change of any one is an update, and shows."""
    (change,) = changes(JobsFile(jobs=[make(**fields)]), [make()], {}, prune=False)

    assert "updated" == change.change
    assert change.before != change.after


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
