"""One's own account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scheduler.web.conftest import CSRF

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

SECRET = "correct horse"


def test_a_key_of_ones_own_is_shown_once_and_revoked(services: Services, console: Callable[..., TestClient]) -> None:
    """It may what one may at most, which the page offers."""
    services.tenants.create("acme")
    services.access.people.add("ann", SECRET, "operate", "acme")
    client = console("acme", "operate")
    assert "write" not in re.findall(r'<option value="(\w+)"', client.get("/account").text)

    made = client.post("/account/keys", data={"csrf": CSRF, "role": "operate", "name": "laptop"})
    secret = re.search(r"tl_[\w-]{43}", made.text)

    assert secret
    found = services.access.of_key(secret[0])
    assert found is not None
    assert ("acme", "operate") == (found.tenant, found.role)
    page = client.get("/account").text
    assert "laptop" in page
    assert secret[0] not in page
    (key,) = services.access.api_keys.list("acme")
    assert 303 == client.post("/account/keys/revoke", data={"csrf": CSRF, "id": key.id}).status_code
    assert None is services.access.of_key(secret[0])


def test_a_password_is_changed_by_who_knows_the_old_one(services: Services, console: Callable[..., TestClient]) -> None:
    """And then one logs in with it; what is wrong is told on the page."""
    services.access.people.add("ann", SECRET, "admin")
    client = console()

    def change(old: str, new: str, again: str) -> str:
        data = {"csrf": CSRF, "old": old, "new": new, "again": again}
        return str(
            client.post("/account/password", data=data, headers={"Referer": "http://testserver/account"}).headers[
                "location"
            ]
        )

    assert "/account" == change("wrong horse", "another horse", "another horse")
    assert "/account" == change(SECRET, "another horse", "other horse")
    assert "/login" == change(SECRET, "another horse", "another horse")
    assert services.access.people.checked("ann", "another horse")


def test_who_came_by_a_link_has_no_account(console: Callable[..., TestClient]) -> None:
    """A page all the same."""
    assert 200 == console().get("/account").status_code
