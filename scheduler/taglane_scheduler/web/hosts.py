"""Answers only to the console's own names, and takes changes from its own pages alone.

A page elsewhere can let a name of its own point here (DNS rebinding), and so be of the same origin to a browser: but
then the request says that name. A request with a key is no browser's own doing, and is not held to either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")

SAFE = {"GET", "HEAD", "OPTIONS"}

OPEN = {"/livez", "/readyz"}
"""Asked by probes, which name what address they like; they say nothing."""


def host_of(netloc: str) -> str:
    """Return the name of ``name:port``, or of ``[::1]:port``; '' for what is none."""
    try:
        return (urlsplit(f"//{netloc.strip()}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def netloc_of(url: str) -> str:
    """Return the ``name:port`` of an address; '' of what is none."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def page_before(referer: str, netloc: str) -> str:
    """Return the path, with its query, of the page of ours that led here; '/' for another's, and what is no address."""
    try:
        parts = urlsplit(referer)
    except ValueError:
        return "/"
    if parts.netloc != netloc or not parts.path.startswith("/") or parts.path.startswith(("//", "/\\")):
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")


class KnownHosts:
    """Lets through what names one of *hosts*, and changes nothing for another origin's page."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = {host_of(host) if not host.count(":") > 1 else host.strip("[]") for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        why = self._why_not(scope) if scope["type"] == "http" else None
        if why is None:
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse(why[1], why[0])(scope, receive, send)

    def _why_not(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if "authorization" in headers or scope["path"] in OPEN:
            return None
        host = host_of(headers.get("host", ""))
        if host not in self._hosts:
            return 421, f"This console is not called {host[:200]!r}: TAGLANE_CONSOLE_HOSTS names what it is called."
        if scope["method"] in SAFE:
            return None
        origin = headers.get("origin")
        elsewhere = origin is not None and netloc_of(origin) != headers.get("host")
        if elsewhere or headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return 403, "This was asked for by a page of another site."
        return None
