"""Who stands behind a request: a login's cookie or an API key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from taglane_scheduler.access.sessions import csrf_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from taglane_scheduler.access.access import Access
    from taglane_scheduler.access.principal import Principal

COOKIE = "taglane_session"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. *csrf* is what a form of this login has to bring; empty for a key, whose requests no page can forge."""

    principal: Principal
    csrf: str = ""


class Gate(Protocol):
    """Tells who asks, by a session's cookie or an API key. May ask the server: called in a thread."""

    def visitor(self, request: Request) -> Visitor | None:
        """Return who asks; None for nobody that is known."""


class Doorkeeper:
    """The gate of a console: a request with an Authorization header is a key's, or nobody's; its cookie is not read."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def visitor(self, request: Request) -> Visitor | None:
        """Return who asks; None for nobody that is known."""
        if "authorization" in request.headers:
            kind, _, secret = request.headers["authorization"].partition(" ")
            found = self._access.of_key(secret.strip()) if kind.lower() == "bearer" else None
            return None if found is None else Visitor(found)
        token = cookie_of(request)
        found = self._access.of_cookie(token) if token else None
        return None if found is None else Visitor(found, csrf_of(token))


def cookie_name(request: Request) -> str:
    """Return what the login's cookie is called: where there is TLS no other host may have set it."""
    return f"__Host-{COOKIE}" if request.url.scheme == "https" else COOKIE


def cookie_of(request: Request) -> str:
    """Return what the login's cookie holds; empty for none."""
    return request.cookies.get(cookie_name(request), "")
