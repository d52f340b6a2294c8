"""The API's queues, workers and dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desks import ended, put_job
from factories import HandWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_what_waits_and_who_serves_it(services: Services, rest: Callable[..., TestClient]) -> None:
    """By tenant; a queue is emptied by its tag."""
    client = rest("acme", "operate")
    rest("acme", "write").post("/tenants/acme/runs", json={"task": "shop.mail"})
    worker = HandWorker(services.server, "acme").hello()

    assert [("acme", 1, 1)] == [
        (row["tag"], row["queued"], row["workers"]) for row in client.get("/queues").json()["items"]
    ]
    assert [worker.id] == [row["id"] for row in client.get("/workers").json()["items"]]
    assert 422 == client.post("/tenants/acme/queues/purge", json={"tag": "globex"}).status_code
    assert 1 == client.post("/tenants/acme/queues/purge", json={"tag": "acme"}).json()["count"]
    assert client.post(f"/tenants/acme/workers/{worker.id}/drain").json()["draining"]
    assert 404 == client.post("/tenants/acme/workers/nobody/drain").status_code
    assert 403 == client.get("/pools").status_code
    assert [] == rest().get("/pools").json()["items"]


def test_dead_letters_are_shown_replayed_and_dropped(services: Services, rest: Callable[..., TestClient]) -> None:
    """A replay that is asked for twice makes one run."""
    put_job(services)
    one, two = (ended(services, "dead", job="report", token="t0p") for _ in range(2))
    client = rest("acme", "write")

    assert {one, two} == {row["id"] for row in client.get("/dead").json()["items"]}
    assert [] == client.get("/dead?job=other").json()["items"]
    assert "t0p" not in client.get(f"/dead/{one}").text
    first, again = (client.post(f"/dead/{one}/replay") for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert 204 == client.delete(f"/dead/{two}").status_code
    assert 404 == client.get(f"/dead/{two}").status_code
    assert 0 == client.post("/tenants/acme/dead/replay", json={"job": "report"}).json()["count"]
