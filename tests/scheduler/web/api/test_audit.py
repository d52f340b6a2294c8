"""The API's audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient


def test_what_was_done_is_read_by_page(rest: Callable[..., TestClient]) -> None:
    """With who did it; a tenant's administrator is not told from where."""
    admin, own = rest(), rest("acme", "admin")
    for _ in range(3):
        own.post("/tenants/acme/pause")

    first = own.get("/audit?limit=2").json()
    rest_ = own.get("/audit", params={"after": first["next"]}).json()

    assert ["pause", "pause", "pause", "create"] == [row["action"] for row in (*first["items"], *rest_["items"])]
    assert first["items"][0]["who"].startswith("key:")
    assert None is first["items"][0]["address"]
    assert "testclient" == admin.get("/audit?limit=1").json()["items"][0]["address"]
    assert [] == admin.get("/audit?since=2999-01-01T00:00:00Z").json()["items"]
    assert [] == own.get("/denials").json()["items"]
    assert 422 == own.get("/audit?after=soon").status_code
    assert 403 == rest("acme", "write").get("/audit").status_code
