"""The API as an ASGI application: finds out who asks, reads, calls the route's function, writes."""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount, Route
from taglane.errors import TaglaneError

from taglane_scheduler.access.principal import Principal
from taglane_scheduler.desk.desk import Desk
from taglane_scheduler.web.api.answers import answer, problem, problem_of
from taglane_scheduler.web.api.openapi import document
from taglane_scheduler.web.api.reading import LONGEST, TooLarge, read_body, read_query
from taglane_scheduler.web.api.route import Call, Text
from taglane_scheduler.web.api.table import ROUTES
from taglane_scheduler.web.doors import address_of
from taglane_scheduler.web.gate import Visitor
from taglane_scheduler.web.hosts import SAFE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from taglane_scheduler.services import Services
    from taglane_scheduler.web.api.route import ApiRoute
    from taglane_scheduler.web.gate import Gate

log = logging.getLogger(__name__)

PREFIX = "/api/v1"
CSRF = "x-taglane-csrf"


class Rest:
    """The API over one server."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate

    def scraped(self) -> BaseRoute:
        """Return /metrics, where Prometheus looks for it: with a key, or the token of the settings."""
        route = next(each for each in ROUTES if each.path == "/metrics")
        told, token = self._endpoint(route), self._services.settings.metrics_token

        async def endpoint(request: Request) -> Response:
            shown = request.headers.get("authorization", "").partition(" ")[2].strip()
            if not token or not hmac.compare_digest(shown.encode(), token.encode()):
                return await told(request)
            scraper = Visitor(Principal("scraper", None, "read"))
            return await run_in_threadpool(self._answer, route, request, scraper, b"")

        return Route("/metrics", endpoint, methods=["GET"])

    def mount(self) -> BaseRoute:
        """Return all of it, to be mounted beside the console."""
        routes = [Route(each.path, self._endpoint(each), methods=[each.method]) for each in ROUTES]
        routes.append(Route("/openapi.json", _describe, methods=["GET"]))
        handlers: Mapping[Any, Any] = {HTTPException: _no_route, TaglaneError: _no_answer, Exception: _broken}
        return Mount(PREFIX, Starlette(routes=routes, exception_handlers=handlers))

    def _endpoint(self, route: ApiRoute) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            visitor = await run_in_threadpool(self._gate.visitor, request)
            if visitor is None:
                why = "bring a key (Authorization: Bearer tl_…, made by  taglane key create), or log in"
                return problem(401, "Not known", why, kind="not-known")
            try:
                content = b"" if route.body is None else await _content(request)
            except TaglaneError as error:
                return problem_of(error, visitor.principal)
            return await run_in_threadpool(self._answer, route, request, visitor, content)

        return endpoint

    def _answer(self, route: ApiRoute, request: Request, visitor: Visitor, content: bytes) -> Response:
        if visitor.csrf and request.method not in SAFE and not _is_meant(request, visitor):
            why = "a login's changes bring the header X-Taglane-CSRF, as GET /api/v1/me says it"
            return problem(403, "Not from this login", why, kind="not-from-this-login")
        desk = Desk(self._services, visitor.principal, address_of(request))
        try:
            if route.for_all:
                visitor.principal.require_all(route.role, route.summary.rstrip(".").lower())
            else:
                visitor.principal.require(route.role, route.summary.rstrip(".").lower())
            query = read_query(route.query, request.query_params.multi_items())
            media = request.headers.get("content-type", "")
            body = None if route.body is None else read_body(route.body, media, content)
            with desk.sitting():
                said = route.do(desk, Call(request.path_params, query, body, visitor.csrf))
        except TaglaneError as error:
            return problem_of(error, visitor.principal)
        except Exception:
            log.exception("api_broken method=%s path=%s", route.method, route.path)
            return _sorry()
        if isinstance(said, Text):
            return Response(said.content, media_type=said.media)
        return answer(said, route.status)


def _is_meant(request: Request, visitor: Visitor) -> bool:
    return hmac.compare_digest(request.headers.get(CSRF, "").encode(), visitor.csrf.encode())


async def _content(request: Request) -> bytes:
    """Return the body; TooLarge as soon as it is."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > LONGEST:
            raise TooLarge
    return bytes(found)


async def _describe(_: Request) -> Response:
    return Response(document(), media_type="application/json")


async def _no_route(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    made = problem(status, detail, f"{detail}: GET {PREFIX}/openapi.json says what there is")
    for name, value in ((error.headers or {}) if isinstance(error, HTTPException) else {}).items():
        made.headers[name] = value
    return made


async def _no_answer(_: Request, error: Exception) -> Response:
    return problem_of(error) if isinstance(error, TaglaneError) else _sorry()


async def _broken(_: Request, error: Exception) -> Response:
    log.error("api_broken", exc_info=error)
    return _sorry()


def _sorry() -> Response:
    return problem(500, "Something is wrong in Taglane itself", "its log says what", kind="broken")
