"""The API's jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient


JOB = "/tenants/acme/jobs/report"
WHOLE = {
    "task": "shop.report",
    "cron": "0 6 * * *",
    "timezone": "Europe/Berlin",
    "params": {"region": "eu", "api_key": "s3cret"},
    "overlap": "queue",
    "retry": {"attempts": 3, "delay": "10s"},
    "timeout": "5m",
}


def test_what_is_shown_can_be_put_back(rest: Callable[..., TestClient]) -> None:
    """And changes nothing. Who only reads is not shown what speaks of secrets."""
    client = rest("acme", "write")
    assert "created" == client.put(JOB, json=WHOLE).json()["change"]

    shown = client.get(JOB).json()
    covered = rest("acme", "read").get(JOB).json()

    assert WHOLE == shown["definition"]
    assert "unchanged" == client.put(JOB, json=shown["definition"]).json()["change"]
    assert ("eu", 1) == (covered["definition"]["params"]["region"], covered["covered"])
    assert "s3cret" not in str(covered)


def test_a_job_is_paused_triggered_and_deleted(rest: Callable[..., TestClient]) -> None:
    """Its next instants and last runs are told."""
    client = rest("acme", "write")
    client.put(JOB, json=WHOLE)

    assert client.post(f"{JOB}/pause").json()["paused"]
    assert [] == client.get(f"{JOB}/next").json()["items"]
    assert not client.post(f"{JOB}/resume").json()["paused"]
    run = client.post(f"{JOB}/trigger").json()["id"]
    assert [run] == [row["id"] for row in client.get(f"{JOB}/runs").json()["items"]]
    after = client.get(f"{JOB}/next", params={"since": "2026-03-28T12:00:00Z", "count": 2}).json()["items"]
    assert ["2026-03-29T04:00:00Z", "2026-03-30T04:00:00Z"] == after
    assert 204 == client.delete(JOB).status_code
    assert 404 == client.get(JOB).status_code
    assert 422 == client.get("/cron", params={"cron": "soon"}).status_code


def test_jobs_are_listed_by_page_and_by_what_they_are(rest: Callable[..., TestClient]) -> None:
    """By beginning, by tag, paused."""
    client = rest("acme", "write")
    for name in ("report", "report-2", "sync"):
        client.put(f"/tenants/acme/jobs/{name}", json={"task": f"shop.{name[:4]}", "every": "1h"})
    client.post("/tenants/acme/jobs/sync/pause")

    def names(**query: str | bool) -> list[str]:
        return [row["job"] for row in client.get("/jobs", params=query).json()["items"]]

    first = client.get("/jobs?limit=2").json()
    assert ["sync"] == names(after=first["next"]) == names(paused=True) == names(task="shop.sync")
    assert ["report", "report-2"] == names(name="report*")
    assert 422 == client.get("/jobs?after=nonsense").status_code
