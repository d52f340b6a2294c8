"""The API's alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_what_is_wrong_is_told_of_ones_own(services: Services, rest: Callable[..., TestClient]) -> None:
    """Incidents and deliveries are for administrators."""
    for tenant in ("acme", "globex"):
        services.alerts.raise_alert("no_worker", tenant, tenant, "nobody serves it")
    own = rest("acme", "read")

    assert [("no_worker", "acme")] == [(row["kind"], row["tenant"]) for row in own.get("/alerts").json()["items"]]
    assert 2 == len(rest().get("/alerts").json()["items"])
    assert 403 == own.get("/incidents").status_code == own.get("/deliveries").status_code
    assert [] == rest("acme", "admin").get("/incidents").json()["items"]
