"""Who stands behind a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request
from taglane_scheduler.access.sessions import csrf_of
from taglane_scheduler.web.gate import Doorkeeper, cookie_name

if TYPE_CHECKING:
    from taglane_scheduler.services import Services


def request(scheme: str = "http", **headers: str) -> Request:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    server = ("localhost", 80)
    return Request(
        {"type": "http", "scheme": scheme, "headers": pairs, "path": "/", "query_string": b"", "server": server}
    )


def test_a_cookie_is_a_logins_and_brings_what_forms_bring(services: Services) -> None:
    """Where there is TLS the cookie is called so that no other host can have set it."""
    token = services.access.sessions.open("link", role="admin")
    gate = Doorkeeper(services.access)

    found = gate.visitor(request(cookie=f"taglane_session={token}"))

    assert found is not None
    assert csrf_of(token) == found.csrf
    assert None is gate.visitor(request("https", cookie=f"taglane_session={token}"))
    assert gate.visitor(request("https", cookie=f"__Host-taglane_session={token}"))
    assert "__Host-taglane_session" == cookie_name(request("https"))


@pytest.mark.parametrize("written", ["Bearer {}", "bearer {}", "Bearer  {} "])
def test_a_key_is_a_bearers(services: Services, written: str) -> None:
    """It brings nothing for forms: it can post none."""
    secret, _ = services.access.api_keys.create("read", None)

    found = Doorkeeper(services.access).visitor(request(authorization=written.format(secret)))

    assert found is not None
    assert ("", "read", None) == (found.csrf, found.principal.role, found.principal.tenant)


def test_a_key_that_opens_nothing_is_not_made_up_for_by_a_cookie(services: Services) -> None:
    """A request with a key is its key's alone."""
    token = services.access.sessions.open("link", role="admin")
    gate = Doorkeeper(services.access)

    for authorization in ("Bearer tl_wrong", "Basic YTpi", "Bearer", f"Bearer {token}"):
        assert None is gate.visitor(request(authorization=authorization, cookie=f"taglane_session={token}"))
    assert None is gate.visitor(request())
    assert None is gate.visitor(request(cookie="taglane_session="))
