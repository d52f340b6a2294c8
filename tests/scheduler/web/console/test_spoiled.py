"""The pages of jobs, runs and dead letters, of a tenant that has made something else of its keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cluster import everywhere
from desks import ended, put_job
from factories import run_ids
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

HOSTILE = "\x1b]0;x\x07<script>alert(1)</script>{% raw %}\u202e" + "A" * 3_000


def pages(run_id: str) -> list[str]:
    own = ["/jobs", "/jobs?paused=yes", "/jobs?overdue=yes", "/jobs/acme/report", "/jobs/acme/report/edit", "/runs"]
    own += [f"/runs/{run_id}", f"/runs/{run_id}/again", f"/runs/{run_id}/log.txt", "/dead", "/dead?tenant=acme"]
    return [*own, "/runs?q=tenant:acme+state:unwell", "/runs?q=tenant:acme+job:report", "/runs/bulk?do=retry&q="]


@pytest.mark.parametrize("kind", ["string", "hash"])
def test_no_page_breaks_on_keys_of_another_type(
    services: Services, console: Callable[..., TestClient], kind: str
) -> None:
    """Each says what can't be read, or leaves it out; another tenant's runs are shown beside it."""
    services.tenants.create("acme")
    services.tenants.create("globex")
    put_job(services, every="1h")
    run_id, others = ended(services, "dead", job="report"), ended(services, tenant="globex")
    redis = services.server.redis
    for key in everywhere(redis).keys("taglane:{acme}:*"):  # what a page must never ask, a test may
        redis.delete(key)
        redis.set(key, "mine") if kind == "string" else redis.hset(key, "mine", "1")
    page = console()

    answers = {path: page.get(path) for path in pages(run_id)}

    assert {200} == {answers[path].status_code for path in ("/jobs", "/runs", "/dead")}
    assert {answer.status_code for answer in answers.values()} <= {200, 404, 503}
    assert others in answers["/runs"].text


def test_no_page_believes_what_a_run_says(services: Services, console: Callable[..., TestClient]) -> None:
    """Every text of it may be a script, an escape sequence, a template, or huge: none is shown as more than text."""
    services.tenants.create("acme")
    put_job(services)
    ended(services, "dead", job="report")
    redis = services.server.redis
    (run_id,) = run_ids(redis)
    texts = dict.fromkeys(("task", "tag", "job", "holder", "error", "of", "replayed", "cancel"), HOSTILE)
    tries = json.dumps({"n": 1, "w": HOSTILE, "s": 1, "t": 10**17, "h": HOSTILE, "e": HOSTILE, "tb": HOSTILE})
    numbers = dict.fromkeys(("due", "started_at", "finished_at"), str(10**17))
    body = json.dumps([[HOSTILE], {HOSTILE: HOSTILE}, {}])
    envelope = json.dumps({"b": body, "h": {"root_id": HOSTILE, "parent_id": [1]}})
    redis.hset(keys.run("acme", run_id), mapping={**texts, **numbers, "tries": tries, "envelope": envelope})
    page = console()

    for path in pages(run_id):
        answer = page.get(path)
        assert answer.status_code in {200, 503}, path
        assert "<script>alert" not in answer.text
        assert "\x1b" not in answer.text
        assert "\u202e" not in answer.text
        assert len(answer.text) < 200_000
