"""The page of the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.store import keys
from taglane_scheduler.tenancy.audit import DENIED, add, fields
from taglane_scheduler.web.console import audit

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_what_was_done_and_what_was_refused(
    filled: Services, console: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest first, by tenant and action, a page at a time; what somebody asked for is escaped."""
    monkeypatch.setattr(audit, "LIMIT", 1)
    add(filled.server.redis, keys.DENIED, fields(DENIED, "acme", "taglane-acme", "10.0.0.9", {"object": "<b>k</b>"}))
    admin = console()

    first = admin.get("/audit?action=create").text
    assert "tenant=zorg" in first
    assert "tenant=globex" not in first
    assert "after=" in first
    assert "tenant=acme" in admin.get("/audit?tenant=acme&since=1h").text
    assert "&lt;b&gt;k&lt;/b&gt;" in admin.get("/audit?denied=1").text
    assert "since" in admin.get("/audit?since=soon").text


def test_a_tenant_reads_of_itself_as_its_administrator(filled: Services, console: Callable[..., TestClient]) -> None:
    """Not who the operator is on which machine, and nothing of another tenant."""
    (entry,) = filled.audit.list("acme")
    text = console("acme", "admin").get("/audit").text

    assert entry.who not in text
    assert "globex" not in text
    assert 404 == console("acme", "admin").get("/audit?tenant=globex").status_code
    assert 403 == console("acme", "write").get("/audit").status_code
