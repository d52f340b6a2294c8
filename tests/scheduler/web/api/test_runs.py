"""The API's runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from desks import ended, put_job
from taglane_scheduler.web.api import runs as module

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_an_idempotency_key_makes_one_run_of_two_requests(rest: Callable[..., TestClient]) -> None:
    """A delay makes it wait; what can't be is refused with its field."""
    client = rest("acme", "write")
    wanted = {"task": "shop.mail", "params": {"to": "ann"}, "key": "order-17", "delay": "5m"}

    first, second = (client.post("/tenants/acme/runs", json=wanted).json() for _ in range(2))

    assert (first["id"], True, False) == (second["id"], first["created"], second["created"])
    assert "scheduled" == client.get(f"/runs/{first['id']}").json()["state"]
    for field, value in (("delay", "soon"), ("priority", 10), ("task", "a b"), ("tag", "globex")):
        answer = client.post("/tenants/acme/runs", json={**wanted, field: value})
        assert (422, field) == (answer.status_code, answer.json().get("field"))


def test_runs_are_found_page_by_page(rest: Callable[..., TestClient]) -> None:
    """By a query; a mistake in it is told with its place."""
    client = rest("acme", "write")
    made = [client.post("/tenants/acme/runs", json={"task": "shop.mail"}).json()["id"] for _ in range(5)]

    found, after = [], ""
    while after is not None:
        page = client.get("/runs", params={"q": "state:queued", "limit": 2, "after": after}).json()
        found += [row["id"] for row in page["items"]]
        after = page["next"]

    assert made == found[::-1]
    wrong = client.get("/runs", params={"q": "state:faild"}).json()
    assert ("query", 7) == (wrong["field"], wrong["position"])


def test_a_run_is_shown_with_its_call_and_its_error(services: Services, rest: Callable[..., TestClient]) -> None:
    """And run again, with other params by who may write."""
    put_job(services)
    run = ended(services, "failed", job="report", password="s3cret", region="eu")
    operator, writer = rest("acme", "operate"), rest("acme", "write")

    shown, call = operator.get(f"/runs/{run}").json(), operator.get(f"/runs/{run}/call").json()
    assert ("failed", "report", 1) == (shown["state"], shown["job"], len(shown["attempts"]))
    assert "ValueError" in shown["error"]
    assert ("eu", 1) == (call["params"]["region"], call["covered"])
    assert "s3cret" not in str(call)
    again = operator.post(f"/runs/{run}/retry").json()
    assert ("queued", run) == (operator.get(f"/runs/{again['id']}").json()["state"], again["of"])
    assert 403 == operator.post(f"/runs/{run}/retry", json={"params": {"region": "us"}}).status_code
    other = writer.post(f"/runs/{run}/retry", json={"params": {"region": "us"}}).json()["id"]
    assert {"region": "us"} == writer.get(f"/runs/{other}/call").json()["params"]
    assert "cancelled" == operator.post(f"/runs/{other}/cancel").json()["cancel"]


def test_a_wait_ends_with_the_run_or_with_its_time(
    services: Services, rest: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the run is answered as it is. So many wait at once."""
    client = rest("acme", "write")
    run = client.post("/tenants/acme/runs", json={"task": "shop.mail"}).json()["id"]

    assert "queued" == client.get(f"/runs/{run}/wait?timeout=0.01").json()["state"]
    services.stores.runs.cancel(run)
    assert "cancelled" == client.get(f"/runs/{run}/wait").json()["state"]
    assert 422 == client.get(f"/runs/{run}/wait?timeout=600").status_code
    monkeypatch.setattr(module, "_waiting", threading.BoundedSemaphore(1))
    with module._waiting:  # noqa: SLF001 - the one place is taken
        assert 429 == client.get(f"/runs/{run}/wait").status_code
