"""Who may log in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.web.conftest import CSRF

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

BOB = {"csrf": CSRF, "name": "bob", "password": "correct horse", "role": "read"}


def test_somebody_is_added_changed_and_deleted(services: Services, console: Callable[..., TestClient]) -> None:
    """By who administers all tenants; whoever that is does not stand there to be changed."""
    services.access.people.add("ann", BOB["password"], "admin")
    client, people = console(), services.access.people

    assert 303 == client.post("/people", data=BOB).status_code
    page = client.get("/people").text
    assert "taglane user delete bob" in page
    assert "taglane user delete ann" not in page
    client.post("/people/role", data={**BOB, "role": "write"})
    assert "write" == people.get("bob").role
    client.post("/people/password", data={**BOB, "password": "battery staple"})
    assert people.checked("bob", "battery staple")
    client.post("/people/delete", data=BOB)
    assert ["ann"] == [person.name for person in people.list()]


def test_it_is_for_who_administers_all(services: Services, console: Callable[..., TestClient]) -> None:
    """A tenant's administrator sees nobody, and lets nobody in."""
    client = console("acme")

    assert 403 == client.get("/people").status_code
    client.post("/people", data=BOB)
    assert [] == services.access.people.list()
