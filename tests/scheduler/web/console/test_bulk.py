"""Cancel, or run again, all that a query takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from desks import ended
from eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

CSRF = {"csrf": "the-form's-own"}


def test_all_matching_are_run_again_after_a_question(services: Services, console: Callable[..., TestClient]) -> None:
    """The page says how many; a second click comes to the same work; its page tells how far it is."""
    services.tenants.create("acme")
    for state in ("failed", "failed", "failed", "succeeded"):
        ended(services, state)
    page = console("acme", "operate")

    asked = page.get("/runs/bulk?do=retry&q=tenant:acme")
    slip = re.findall(r'name="slip" value="([^"]+)"', asked.text)[0]
    form = CSRF | {"do": "retry", "q": "tenant:acme", "slip": slip}
    at, again = (page.post("/runs/bulk", data=form).headers["location"] for _ in range(2))
    eventually(lambda: "<b>3</b><span>run again" in page.get(at).text)

    assert "3 runs" in asked.text
    assert at == again
    assert ">done<" in eventually(lambda: page.get(at)).text
    assert 7 == len(services.stores.runs.list("acme"))
    assert 404 == console("acme", "admin").get("/runs/bulk/none").status_code


def test_what_it_takes_is_checked(services: Services, console: Callable[..., TestClient]) -> None:
    """The role, the query, and that there is such an action."""
    services.tenants.create("acme")

    assert 403 == console("acme", "read").get("/runs/bulk?do=cancel").status_code
    assert 422 == console("acme").get("/runs/bulk?do=cancel&q=x").status_code
    assert 404 == console("acme").get("/runs/bulk?do=eat").status_code
