"""A job as the server keeps it."""

from __future__ import annotations

from typing import Any

import pytest
from factories import make_job
from taglane.errors import JobTooNew, ServerUnavailable
from taglane.store.stored_job import FIELDS, StoredJob, UnreadJob, stored_job

JOB = make_job(every="1h", now=5)


def values(**changed: Any) -> list[bytes | None]:
    """What the server answers to `FIELDS`."""
    kept: dict[str, Any] = {
        "definition": JOB.definition.encode(),
        "revision": b"3",
        "created": b"10",
        "born": b"1.2",
        **changed,
    }
    return [kept.get(field) for field in FIELDS]


def test_a_job_is_read() -> None:
    """With what is not its definition's."""
    found = stored_job("acme", "report", values(paused=b"1", last=b"acme.1", last_due=b"7"), 12.0, 2)

    assert StoredJob(JOB, 3, 10, paused=True, next_due=12, last_run="acme.1", last_due=7, parked=2, born="1.2") == found


def test_what_is_not_there_is_none() -> None:
    """But a record without a definition is one that can't be read."""
    assert stored_job("acme", "report", [None] * len(FIELDS), None, 0) is None
    assert UnreadJob("acme", "report") == stored_job("acme", "report", values(definition=None), None, 0)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (Exception("WRONGTYPE"), ServerUnavailable),
        (values(definition=b"{"), ServerUnavailable),
        (values(revision=b"x"), ServerUnavailable),
        (values(definition=JOB.definition.replace("{", '{"quota":5,', 1).encode()), JobTooNew),
    ],
)
def test_what_can_not_be_read_says_why(fields: Any, error: type[Exception]) -> None:
    found = stored_job("acme", "report", fields, None, 0)

    assert isinstance(found, UnreadJob)
    assert isinstance(found.error(), error)
