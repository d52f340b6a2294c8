"""The API keys of a tenant, or of all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from scheduler.web.conftest import CSRF
from taglane.errors import BadSchedule
from taglane_scheduler.web.console.keys import lasts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services


def test_a_key_is_made_shown_once_and_revoked(services: Services, console: Callable[..., TestClient]) -> None:
    """The page that shows it is not rendered anew over it."""
    services.tenants.create("acme")
    client = console()

    data = {"csrf": CSRF, "role": "write", "tenant": "acme", "name": "<b>ci</b>", "expires": "90d"}
    made = client.post("/keys", data=data)
    secret = re.search(r"tl_[\w-]{43}", made.text)

    assert secret
    assert 'data-live="no"' in made.text
    assert services.access.of_key(secret[0])
    page = client.get("/keys").text
    assert "&lt;b&gt;ci&lt;/b&gt;" in page
    assert secret[0] not in page
    (key,) = services.access.api_keys.list("acme")
    assert f"taglane key revoke {key.id}" in page
    client.post("/keys/revoke", data={"csrf": CSRF, "id": key.id})
    assert None is services.access.of_key(secret[0])


def test_a_tenants_administrator_has_that_tenants(services: Services, console: Callable[..., TestClient]) -> None:
    """Nobody else of it sees any."""
    for tenant in ("acme", "globex"):
        services.tenants.create(tenant)
        services.access.api_keys.create("read", tenant, name=f"of-{tenant}")
    page = console("acme").get("/keys")

    assert "of-acme" in page.text
    assert "globex" not in page.text
    assert 404 == console("acme").get("/keys?tenant=globex").status_code
    assert 403 == console("acme", "write").get("/keys").status_code


def test_for_how_long_a_key_opens() -> None:
    """A duration, or for ever."""
    assert (None, 86_400_000) == (lasts_of(" "), lasts_of("1d"))
    with pytest.raises(BadSchedule):
        lasts_of("soon")
