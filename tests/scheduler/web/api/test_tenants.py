"""The API's tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.store.connect import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient


def test_a_tenant_from_beginning_to_end(rest: Callable[..., TestClient]) -> None:
    """Its url opens and is told once; what it is limited to, whether it goes on, that it is gone."""
    client = rest()
    made = client.post("/tenants", json={"tenant": "initech"}).json()

    with connect(made["url"]) as own:
        assert own.ping()
    assert 409 == client.post("/tenants", json={"tenant": "initech"}).status_code
    assert {"running": 4, "rate": "10/s"} == limits(client, {"running": 4, "rate": "600/m"})
    assert {"rate": "10/s"} == limits(client, {"running": None})
    assert 422 == client.patch("/tenants/initech/limits", json={"rate": "often"}).status_code
    assert (
        "paused"
        == client.post("/tenants/initech/pause").json()["state"]
        == client.get("/tenants/initech").json()["state"]
    )
    assert "active" == client.post("/tenants/initech/resume").json()["state"]
    assert client.post("/tenants/initech/cut", json={"reason": "loud"}).json()["changed"]
    assert client.post("/tenants/initech/restore").json()["changed"]
    assert made["url"] != client.post("/tenants/initech/rotate", json={"overlap": "0s"}).json()["url"]
    assert 200 == client.delete("/tenants/initech").status_code
    assert 404 == client.get("/tenants/initech").status_code


def test_tenants_are_listed_by_page_and_by_a_part_of_their_names(rest: Callable[..., TestClient]) -> None:
    """Who sees one has a list of one."""
    client = rest()
    for name in ("globex", "initech", "acme2"):
        client.post("/tenants", json={"tenant": name})

    first = client.get("/tenants?limit=3").json()
    rest_ = client.get("/tenants", params={"after": first["next"]}).json()

    names = [row["tenant"] for row in (*first["items"], *rest_["items"])]
    assert (["acme", "acme2", "globex", "initech"], None) == (names, rest_["next"])
    assert ["acme", "acme2"] == [row["tenant"] for row in client.get("/tenants?name=cme").json()["items"]]
    assert ["acme"] == [row["tenant"] for row in rest("acme", "read").get("/tenants").json()["items"]]


def limits(client: TestClient, changes: dict[str, object]) -> object:
    return client.patch("/tenants/initech/limits", json=changes).json()["limits"]
