"""The page of the tenants, and how to make one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console import tenants

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

CSRF = {"csrf": "the-form's-own"}


def test_a_page_of_tenants_goes_on_behind_its_last(
    filled: Services, console: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name; one that is cut off says so."""
    monkeypatch.setattr(tenants, "LIMIT", 2)
    filled.cutoff.cut("globex", "too <b>much</b>")
    admin = console()

    text = admin.get("/tenants").text
    assert 'id="tenant-acme"' in text
    assert "too &lt;b&gt;much" in text
    assert 'id="tenant-zorg"' not in text
    assert "after=globex" in text
    assert 'id="tenant-zorg"' in admin.get("/tenants?after=globex").text


def test_a_tenant_is_made_and_its_url_shown_once(services: Services, console: Callable[..., TestClient]) -> None:
    """A name that can't be, or is there, is told beside the field, and kept in it."""
    admin = console()

    wrong = admin.post("/new-tenant", data=CSRF | {"name": "No Name"})
    assert 422 == wrong.status_code
    assert 'value="No Name"' in wrong.text
    assert 'id="wrong-name"' in wrong.text
    made = admin.post("/new-tenant", data=CSRF | {"name": "acme"})
    assert "taglane-acme:" in made.text
    assert 422 == admin.post("/new-tenant", data=CSRF | {"name": "acme"}).status_code
    assert ["acme"] == services.tenants.names()


def test_only_who_administers_all_makes_one(services: Services, console: Callable[..., TestClient]) -> None:
    """A tenant's administrator sees no list of tenants either."""
    services.tenants.create("acme")

    assert "/new-tenant" not in console(None, "write").get("/tenants").text
    for who in (console(None, "write"), console("acme", "admin")):
        who.post("/new-tenant", data=CSRF | {"name": "mine"})
        assert 403 == who.get("/new-tenant").status_code
    assert 403 == console("acme", "admin").get("/tenants").status_code
    assert ["acme"] == services.tenants.names()
