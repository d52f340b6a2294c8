"""The API's health."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient


def test_who_asks_is_told(rest: Callable[..., TestClient]) -> None:
    """A key needs nothing for forms."""
    told = rest("acme", "operate").get("/me").json()

    assert ("acme", "operate", None) == (told["tenant"], told["role"], told["csrf"])


def test_an_autoscaler_is_told_how_many_slots_a_tag_should_have(rest: Callable[..., TestClient]) -> None:
    """Of a tag of the tenant."""
    client = rest("acme", "write")
    for _ in range(3):
        client.post("/tenants/acme/runs", json={"task": "shop.mail"})

    assert (3, 1) == tuple(client.get("/scale/acme").json()[name] for name in ("backlog", "wanted"))
    assert 3 == client.get("/scale/acme?target=1").json()["wanted"]
    assert 422 == client.get("/scale/shared.small").status_code
    assert 404 == client.get("/scale/globex").status_code


def test_the_doctor_is_for_who_sees_all(rest: Callable[..., TestClient]) -> None:
    """Others have what needs attention of their own."""
    assert 403 == rest("acme", "admin").get("/doctor").status_code
    assert [] == rest("acme", "read").get("/attention").json()["items"]
