"""The page of one tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

CSRF = {"csrf": "the-form's-own"}


def test_limits_are_changed_by_the_form(filled: Services, console: Callable[..., TestClient]) -> None:
    """With a wrong field nothing is changed, what was typed is kept, and why stands beside it."""
    admin = console()

    wrong = admin.post("/tenants/acme/limits", data=CSRF | {"running": "4", "rate": "fast"})
    assert 422 == wrong.status_code
    assert 'value="fast"' in wrong.text
    assert 'id="wrong-rate"' in wrong.text
    assert 'data-live="no"' in wrong.text
    assert None is filled.stores.limits.get("acme").running
    admin.post("/tenants/acme/limits", data=CSRF | {"running": "4"})
    assert 4 == filled.stores.limits.get("acme").running
    assert [("limit", "ann")] == [(each.action, each.who) for each in filled.audit.list("acme", count=1)]


def test_a_tenant_is_paused_drained_and_resumed(filled: Services, console: Callable[..., TestClient]) -> None:
    """By its own operator; a reader has no button, and is refused."""
    operator, reader = console("acme", "operate"), console("acme", "read")

    for action, state in (("pause", "paused"), ("drain", "draining"), ("resume", "")):
        operator.post(f"/tenants/acme/{action}", data=CSRF)
        reader.post("/tenants/acme/pause", data=CSRF)
        assert state == filled.stores.limits.state("acme")
    assert "/tenants/acme/pause" not in reader.get("/tenants/acme").text


def test_what_can_not_be_undone_needs_the_name_typed(filled: Services, console: Callable[..., TestClient]) -> None:
    """Also without the browser's help: the server checks it."""
    admin = console()

    for action in ("purge", "delete"):
        asked = admin.post(f"/tenants/acme/{action}", data=CSRF | {"typed": "acm"})
        assert 422 == asked.status_code
        assert "Type the tenant&#39;s name, acme, to go on." in asked.text
    assert 2 == filled.stores.queues.list("acme")[0].queued
    admin.post("/tenants/acme/purge", data=CSRF | {"typed": "acme"})
    assert 0 == filled.stores.queues.list("acme")[0].queued
    assert "/tenants" == admin.post("/tenants/acme/delete", data=CSRF | {"typed": "acme"}).headers["location"]
    assert 404 == admin.get("/tenants/acme").status_code


def test_the_credential_is_for_who_administers_all(filled: Services, console: Callable[..., TestClient]) -> None:
    """A new password, a cut, a restoration: nobody else's, and no button of them is shown to another."""
    mine = console("acme", "admin")
    for action in ("rotate", "cut", "restore", "delete", "limits"):
        before = filled.tenants.get("acme")
        mine.post(f"/tenants/acme/{action}", data=CSRF | {"typed": "acme", "running": "9", "reason": "x"})
        assert (before, None) == (filled.tenants.get("acme"), filled.stores.limits.get("acme").running)
        assert f"/tenants/acme/{action}" not in mine.get("/tenants/acme").text or action == "limits"
    assert "<fieldset disabled>" in mine.get("/tenants/acme").text

    admin = console()
    assert 422 == admin.post("/tenants/acme/rotate", data=CSRF | {"overlap": "soon"}).status_code
    assert "taglane-acme:" in admin.post("/tenants/acme/rotate", data=CSRF | {"overlap": "1h"}).text
    admin.post("/tenants/acme/cut", data=CSRF | {"reason": "late"})
    assert "late" == filled.tenants.get("acme").cut
    admin.post("/tenants/acme/restore", data=CSRF)
    assert "" == filled.tenants.get("acme").cut


def test_a_tenant_that_spoiled_its_keys_has_a_page(filled: Services, console: Callable[..., TestClient]) -> None:
    """It says what is wrong, and shows the rest."""
    assert filled
    page = console().get("/tenants/zorg")

    assert 200 == page.status_code
    assert "This tenant has spoiled keys of its own" in page.text
    assert "<b>mine" not in page.text
