"""What a request brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from taglane_scheduler.web.api.reading import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient


JOB = "/tenants/acme/jobs/report"
GOOD = {"task": "shop.report", "every": "1h"}


@pytest.mark.parametrize(
    ("content", "media", "status", "field"),
    [
        (b"{", "application/json", 400, None),
        (b"\xff", "application/json", 400, None),
        (b"[" * 100_000, "application/json", 400, None),
        (b'{"task": NaN}', "application/json", 400, None),
        (b"[]", "application/json", 422, None),
        (b"null", "application/json", 422, None),
        (b'{"task": "a.b", "every": "1h"}', "text/plain", 415, None),
        (b'{"task": "a.b", "every": "1h"}', "", 415, None),
        (b'{"task": 1, "every": "1h"}', "application/json", 422, "task"),
        (b'{"every": "1h"}', "application/json", 422, "task"),
        (b'{"task": "a.b", "every": "1h", "priority": "0"}', "application/json", 422, "priority"),
        (b'{"task": "a.b", "every": "1h", "priority": true}', "application/json", 422, "priority"),
        (b'{"task": "a.b", "every": "1h", "params": []}', "application/json", 422, "params"),
        (b'{"task": "a.b", "evry": "1h"}', "application/json", 422, "evry"),
        (b'{"task": "a.b", "every": "1 hour"}', "application/json", 422, "every"),
        (b'{"task": "a b", "every": "1h"}', "application/json", 422, "task"),
        (b'{"task": "a.b", "every": "1h", "tag": "globex"}', "application/json", 422, "tag"),
        (b'{"task": "a.b", "every": "1h", "tag": "\\ud800"}', "application/json", 422, "tag"),
    ],
)
def test_a_mistake_is_told_with_its_field(
    rest: Callable[..., TestClient], content: bytes, media: str, status: int, field: str | None
) -> None:
    """By a status for programs and a sentence for people; nothing was written."""
    client = rest("acme", "write")
    answer = client.put(JOB, content=content, headers={"Content-Type": media})

    assert (status, field) == (answer.status_code, answer.json().get("field")), answer.text
    assert "application/problem+json" == answer.headers["content-type"]
    assert 404 == client.get(JOB).status_code


def test_a_typo_is_answered_with_what_was_meant(rest: Callable[..., TestClient]) -> None:
    """In the body and behind the ?."""
    client = rest("acme", "write")

    assert "did you mean 'every'?" in client.put(JOB, json={"task": "a.b", "evry": "1h"}).json()["detail"]
    assert "did you mean 'limit'?" in client.get("/jobs?limt=1").json()["detail"]
    assert 422 == client.get("/me?a=1").status_code
    assert "twice" in client.get("/jobs?limit=1&limit=2").json()["detail"]
    assert 422 == client.get("/jobs?limit=501").status_code


def test_a_body_that_is_too_long_is_not_read(rest: Callable[..., TestClient]) -> None:
    """Also one that does not say how long it is."""
    client, media = rest("acme", "write"), {"Content-Type": "application/json"}

    for content in (b"x" * (LONGEST + 1), (part for part in [b"x" * 1_000_000] * 5)):
        assert 413 == client.put(JOB, content=content, headers=media).status_code
