"""What answers are written as."""

from __future__ import annotations

import json

from taglane.errors import JobNotFound, OtherTenant, QueueFull, ServerUnavailable
from taglane_scheduler.access.principal import Principal
from taglane_scheduler.web.api.answers import problem_of, written


def test_whatever_a_task_returned_is_json_that_any_parser_takes() -> None:
    """What is no number, half a character, a thing that is very deep."""
    deep: list[object] = []
    for _ in range(5_000):
        deep = [deep]

    assert b'{"a":null,"b":[null]}' == written({"a": float("nan"), "b": [float("inf")]})
    assert b'"\\ud800"' == written("\ud800")
    assert "…" in json.loads(written(deep).decode().replace("[", "").replace("]", ""))


def test_an_error_says_what_it_is_of_to_programs_and_to_people() -> None:
    """By its class; with the seconds to wait, where it knows any."""
    found = json.loads(bytes(problem_of(JobNotFound("acme", "report")).body))
    full = problem_of(QueueFull("acme", 1, 1, 2.5))

    assert ("urn:taglane-problem:job-not-found", "Job not found", 404) == (
        found["type"],
        found["title"],
        found["status"],
    )
    assert "taglane job list" in found["detail"]
    assert (429, "3") == (full.status_code, full.headers["retry-after"])


def test_who_sees_one_tenant_is_told_nothing_of_the_server() -> None:
    """Nor that a key of another tenant was about to be spelled."""
    gone = ServerUnavailable("no server at 10.1.2.3:6379")

    assert "10.1.2.3" not in str(bytes(problem_of(gone, Principal("ann", "acme", "admin")).body))
    assert "10.1.2.3" in str(bytes(problem_of(gone, Principal("ann", None, "read")).body))
    assert 404 == problem_of(OtherTenant("acme", "globex")).status_code
