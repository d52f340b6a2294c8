"""The application: who is let in, what an answer says to browsers, what an error looks like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from taglane_scheduler.web.headers import HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_a_page_is_answered_with_a_strict_policy(console: Callable[..., TestClient]) -> None:
    """Every answer lets a browser run nothing but our own scripts."""
    page = console().get("/workers")

    assert 200 == page.status_code
    assert "No worker is there." in page.text
    assert HEADERS.items() <= dict(page.headers).items() | {(k.title(), v) for k, v in page.headers.items()}


def test_another_tenant_is_as_one_that_there_is_not(services: Services, console: Callable[..., TestClient]) -> None:
    """Who sees one tenant can't tell whether another exists."""
    services.tenants.create("acme")
    services.tenants.create("globex")
    acme = console("acme", "read")

    there, nowhere = acme.get("/workers?tenant=globex"), acme.get("/workers?tenant=nobody1")

    assert 404 == there.status_code == nowhere.status_code
    texts = [re.sub(r'data-now="\d+"|globex|nobody1', "", page.text) for page in (there, nowhere)]
    assert texts[0] == texts[1]
