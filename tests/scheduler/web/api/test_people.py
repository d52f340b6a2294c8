"""The API's keys and people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient


def test_a_key_makes_keys_with_no_more_than_its_own(rest: Callable[..., TestClient]) -> None:
    """It is told once, opens at once, and nothing any more when it is revoked."""
    client = rest("acme", "admin")
    made = client.post("/keys", json={"scope": "write", "name": "ci", "expires": "90d"}).json()

    assert ("acme", "write", "ci") == (made["tenant"], made["scope"], made["name"])
    opened = {"Authorization": f"Bearer {made['key']}"}
    assert "write" == client.get("/me", headers=opened).json()["role"]
    assert made["key"] not in client.get("/keys").text
    assert 422 == client.post("/keys", json={"scope": "root"}).status_code
    assert (422, "expires") == (
        (late := client.post("/keys", json={"expires": "soon"})).status_code,
        late.json()["field"],
    )
    assert 404 == client.post("/keys", json={"tenant": "globex"}).status_code
    assert 204 == client.delete(f"/keys/{made['id']}").status_code
    assert 401 == client.get("/me", headers=opened).status_code


def test_people_are_let_in_and_out(rest: Callable[..., TestClient]) -> None:
    """By who administers all; no password is told, nor its hash."""
    client = rest()
    wanted = {"name": "ann", "password": "correct horse", "role": "read", "tenant": "acme"}

    assert 201 == client.post("/people", json=wanted).status_code
    assert 409 == client.post("/people", json=wanted).status_code
    assert 422 == client.post("/people", json={**wanted, "name": "bob", "password": "short"}).status_code
    assert (
        "operate" == client.patch("/people/ann", json={"role": "operate", "password": "battery staple"}).json()["role"]
    )
    assert not any(word in client.get("/people").text for word in ("horse", "staple", "argon2"))
    assert 204 == client.delete("/people/ann").status_code
    assert 404 == client.get("/people/ann").status_code
    assert 403 == rest("acme", "admin").get("/people").status_code
