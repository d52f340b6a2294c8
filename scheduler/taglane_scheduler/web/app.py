"""The ASGI application: routes requests to the console's pages, and says in HTTP what went wrong."""

from __future__ import annotations

import hmac
import logging
from contextlib import suppress
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from taglane import errors

from taglane_scheduler.desk.desk import Desk
from taglane_scheduler.web.console import render
from taglane_scheduler.web.console.languages import language_of
from taglane_scheduler.web.console.routes import ACTIONS, FILES, PAGES
from taglane_scheduler.web.console.stream import Live, Streams
from taglane_scheduler.web.console.view import Action, Ask, Done, Download, FilePage, Page, Tail, View
from taglane_scheduler.web.headers import SecureHeaders
from taglane_scheduler.web.hosts import KnownHosts, page_before

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from taglane_scheduler.services import Services
    from taglane_scheduler.web.gate import Gate, Visitor

log = logging.getLogger(__name__)

FLASH = "taglane_flash"
LONGEST_FLASH = 1_900
"""Bytes: in hex with its name it is a cookie that browsers still take."""
LANGUAGE = "taglane_language"
LONGEST_FORM = 2_000_000
"""Bytes of a form, which may hold a run's params."""

STATUS: tuple[tuple[type[errors.TaglaneError], int], ...] = (
    (errors.CallerError, 422),
    (errors.NotFound, 404),
    (errors.Refused, 403),
    (errors.Conflict, 409),
    (errors.OverLimit, 429),
    (errors.ServerUnavailable, 503),
)


def status_of(error: errors.TaglaneError) -> int:
    """Return the HTTP status that says what an error says."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


class Console:
    """The console's side of the application: gets each request to its page or action, as who asks."""

    def __init__(self, services: Services, gate: Gate, is_over: Callable[[], bool] = lambda: False) -> None:
        self._services = services
        self._gate = gate
        self._is_over = is_over
        self._streams = Streams()
        self._pages = [(Route(page.path, endpoint=_nowhere), page) for page in PAGES]

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of all pages and actions, and of the stream."""
        return [
            *(Route(file.path, self._file(file), methods=["GET"]) for file in FILES),
            *(Route(page.path, self._page(page), methods=["GET"]) for page in PAGES),
            *(Route(action.path, self._action(action), methods=["POST"]) for action in ACTIONS),
            Route("/events", self._events, methods=["GET"]),
            Mount("/static", StaticFiles(directory=str(files(render.PACKAGE).joinpath("static")))),
        ]

    def _page(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            visitor = await run_in_threadpool(self._gate.visitor, request)
            if visitor is None:
                return _to_login(request)
            ask = _ask(request)
            return await run_in_threadpool(self._show, visitor, request, lambda desk: page.show(desk, ask), ask)

        return answer

    def _action(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            visitor = await run_in_threadpool(self._gate.visitor, request)
            if visitor is None:
                return _to_login(request)
            form = await form_of(request)
            if not visitor.csrf or not hmac.compare_digest(form.pop("csrf", "").encode(), visitor.csrf.encode()):
                text = "This form is not from a page of this login, or the login has ended: load the page again."
                return PlainTextResponse(text, 403)
            ask = _ask(request, form)
            return await run_in_threadpool(self._do, visitor, request, action, ask)

        return answer

    def _file(self, file: FilePage) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            visitor = await run_in_threadpool(self._gate.visitor, request)
            if visitor is None:
                return _to_login(request)
            desk, ask = self._desk(visitor, request), _ask(request)

            def seated(do: Callable[[], Any]) -> Any:
                with desk.sitting():
                    return do()

            try:
                found: Download = await run_in_threadpool(seated, lambda: file.get(desk, ask))
                first = await run_in_threadpool(seated, lambda: found.read(""))
            except errors.TaglaneError as error:
                return PlainTextResponse(str(error), status_of(error))
            headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}"}
            pieces = _pieces(found, first, lambda do: run_in_threadpool(seated, do))
            return StreamingResponse(pieces, media_type="text/plain; charset=utf-8", headers=headers)

        return answer

    def _show(self, visitor: Visitor, request: Request, show: Callable[[Desk], View], ask: Ask) -> Response:
        desk = self._desk(visitor, request)
        frame = self._frame(visitor, request, ask)
        try:
            with desk.sitting():
                view = show(desk)
                html = render.render(view, frame)
        except errors.TaglaneError as error:
            away = isinstance(error, errors.ServerUnavailable)  # then the page comes by itself when the server is back
            view = View("error.html", "Not possible", {"text": str(error)}, status=status_of(error), live=away)
            html = render.render(view, frame)
        response = HTMLResponse(html, view.status)
        if FLASH in request.cookies:
            response.delete_cookie(FLASH)
        return response

    def _do(self, visitor: Visitor, request: Request, action: Action, ask: Ask) -> Response:
        desk = self._desk(visitor, request)
        try:
            with desk.sitting():
                done = action.do(desk, ask)
        except errors.TaglaneError as error:
            done = Done(str(error), page_before(request.headers.get("referer", ""), request.url.netloc), bad=True)
        if isinstance(done, View):
            view = done
            return self._show(visitor, request, lambda _: view, ask)
        response = RedirectResponse(done.to, 303)
        said = ("!" if done.bad else "") + done.said
        told = said.encode("utf-8", "replace")[:LONGEST_FLASH].hex()
        response.set_cookie(FLASH, told, max_age=30, httponly=True, samesite="strict")
        return response

    async def _events(self, request: Request) -> Response:
        visitor = await run_in_threadpool(self._gate.visitor, request)
        if visitor is None:
            return PlainTextResponse("no login", 401)
        found = self._matched(request)
        if found is None:
            return PlainTextResponse("no such page", 404)
        page, ask = found
        frame = self._frame(visitor, request, ask)

        def desk() -> Desk:  # anew each time: a login may have ended meanwhile
            now = self._gate.visitor(request)
            if now is None:
                raise errors.Refused("a login that has ended")
            return self._desk(now, request)

        def look() -> tuple[str, Tail | None]:
            at = desk()
            with at.sitting():
                view = page.show(at, ask)
                return (render.render_live(view, frame) if view.live else ""), view.tail

        def add(tail: Tail, cursor: str) -> tuple[str, str]:
            with desk().sitting():
                data, after = tail.read(cursor)
            return (render.render_part(tail.template, frame, data) if data else ""), after

        live = Live(look, add, request.query_params.get("cursor", ""))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        who = (visitor.principal.name, visitor.principal.tenant)
        bytes_ = self._streams.of(who, live, self._is_over)
        return StreamingResponse(bytes_, media_type="text/event-stream", headers=headers)

    def _matched(self, request: Request) -> tuple[Page, Ask] | None:
        """Return the page whose address the stream was asked for, with what it asks."""
        path, _, query = request.query_params.get("at", "").partition("?")
        from starlette.datastructures import QueryParams  # noqa: PLC0415

        for route, page in self._pages:
            match, scope = route.matches({"type": "http", "method": "GET", "path": path, "root_path": ""})
            if match.value == 2:
                language = self._language(request)
                return page, Ask(path, scope["path_params"], dict(QueryParams(query)), {}, language)
        return None

    def _desk(self, visitor: Visitor, request: Request) -> Desk:
        return Desk(self._services, visitor.principal, request.client.host if request.client else "")

    def _frame(self, visitor: Visitor, request: Request, ask: Ask) -> Mapping[str, Any]:
        return {
            "ask": ask,
            "me": visitor.principal,
            "csrf": visitor.csrf,
            "language": self._language(request),
            "flash": _flash(request),
        }

    def _language(self, request: Request) -> str:
        return language_of(request.cookies.get(LANGUAGE), request.headers.get("accept-language", ""))


def build_app(
    services: Services,
    gate: Gate,
    more: Sequence[BaseRoute] = (),
    hosts: Iterable[str] | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """Return the application.

    Args:
        services: of the operator's credential.
        gate: who tells who asks.
        more: the routes of logins and of the API, which know the gate themselves.
        hosts: what it is called; any name when None.
        is_over: whether the process is to end: streams, which are open for ever, end by that.
    """
    routes = [*more, *Console(services, gate, is_over).routes()]
    handlers: Mapping[Any, Any] = {errors.TaglaneError: _not_possible, Exception: _broken}
    app = Starlette(routes=routes, exception_handlers=handlers)
    return SecureHeaders(app if hosts is None else KnownHosts(app, hosts))


async def _pieces(
    file: Download, first: tuple[str, str], seated: Callable[[Callable[[], Any]], Awaitable[Any]]
) -> AsyncIterator[bytes]:
    text, cursor = first
    while True:
        yield text.encode()
        if not cursor:
            return
        try:
            text, cursor = await seated(partial(file.read, cursor))
        except errors.TaglaneError as error:
            text, cursor = f"\n{error}\n", ""


def _ask(request: Request, form: Mapping[str, str] | None = None) -> Ask:
    language = language_of(request.cookies.get(LANGUAGE), request.headers.get("accept-language", ""))
    return Ask(request.url.path, request.path_params, dict(request.query_params), form or {}, language)


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form; files are none, and one that is too large is empty."""
    if int(request.headers.get("content-length") or LONGEST_FORM + 1) > LONGEST_FORM:
        return {}
    form = await request.form(max_files=0, max_fields=200)
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _flash(request: Request) -> tuple[str, bool] | None:
    """Return what the last action said, and whether it was bad."""
    with suppress(ValueError):
        if said := bytes.fromhex(request.cookies.get(FLASH, "")).decode("utf-8", "ignore"):
            return said.removeprefix("!"), said.startswith("!")
    return None


def _to_login(request: Request) -> Response:
    at = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?to={quote(at, safe='')}" if request.method == "GET" else "/login", 303)


async def _nowhere(_: Request) -> Response:  # routes that only match
    raise NotImplementedError


async def _not_possible(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), status_of(error) if isinstance(error, errors.TaglaneError) else 500)


async def _broken(request: Request, error: Exception) -> Response:
    log.error("page_broken path=%s", request.url.path, exc_info=error)
    return PlainTextResponse("Something is wrong in Taglane itself; its log says what.", 500)
