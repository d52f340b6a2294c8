"""What tenants share, found by what is the same."""

from __future__ import annotations

from typing import Any

from factories import make_job
from taglane.store.stored_job import StoredJob
from taglane_scheduler.desk.templates import share


def stored(tenant: str, *, paused: bool = False, **fields: Any) -> StoredJob:
    return StoredJob(make_job(tenant=tenant, **fields), 1, 0, paused, None, None, None)


def test_jobs_of_one_name_and_task_are_one_line() -> None:
    """Who differs from most is named; another task under the same name is another line."""
    found = share(
        [
            stored("acme", every="1h", params={"a": 1, "b": 2}),
            stored("globex", every="1h", params={"b": 2, "a": 1}),
            stored("initech", every="5m", params={"a": 7}, paused=True),
            stored("umbrella", task="other.report"),
        ]
    )

    first, second = found
    assert (["acme", "globex", "initech"], "every 1h", 2) == (first.tenants, first.schedule, first.schedules)
    assert ["initech"] == first.other_schedule == first.other_params == first.paused
    assert ("other.report", ["umbrella"], []) == (second.task, second.tenants, second.other_params)
