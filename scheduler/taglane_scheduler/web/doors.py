"""The pages before the console: login, set-up, the link that enters; logout and language. And whether it lives."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route
from taglane.errors import TaglaneError

from taglane_scheduler.access.errors import BadPassword, LinkOver
from taglane_scheduler.access.passwords import check_password
from taglane_scheduler.access.people import check_person
from taglane_scheduler.access.sessions import LONGEST
from taglane_scheduler.tenancy.audit import acting_for
from taglane_scheduler.web.app import LANGUAGE, form_of, status_of
from taglane_scheduler.web.console import render
from taglane_scheduler.web.console.languages import LANGUAGES, language_of, text, translate
from taglane_scheduler.web.console.view import Ask, View
from taglane_scheduler.web.gate import cookie_name, cookie_of
from taglane_scheduler.web.hosts import page_before

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from taglane_scheduler.services import Services
    from taglane_scheduler.web.gate import Gate

    Form = Mapping[str, str]

_SAID = (
    text("name or password is wrong"),
    text("this link was used, or is too old: start the console again for another"),
)
"""Errors that people meet before they are in, and what the catalogs of other languages have of them."""


KNOCKING = 6
"""Threads in which forms of the doors are read: whoever sends many passwords leaves the pages theirs."""


class Doors:
    """What somebody may ask who is not known yet."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services = services
        self._access = services.access
        self._gate = gate
        self._threads = CapacityLimiter(KNOCKING)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of all doors."""
        return [
            Route("/login", _get(self.show_login), methods=["GET"]),
            Route("/login", self._post(self.log_in), methods=["POST"]),
            Route("/logout", self._post(self.log_out), methods=["POST"]),
            Route("/language", self._post(self.choose_language), methods=["POST"]),
            Route("/setup", _get(self.show_setup), methods=["GET"]),
            Route("/setup", self._post(self.set_up), methods=["POST"]),
            Route("/enter", _get(self.enter), methods=["GET"]),
            Route("/livez", _get(_alive), methods=["GET"]),
            Route("/readyz", _get(self.ready), methods=["GET"]),
        ]

    def show_login(self, request: Request) -> Response:
        """Ask for name and password; who is logged in goes on."""
        to = local(request.query_params.get("to", ""))
        if self._gate.visitor(request) is not None:
            return RedirectResponse(to, 303)
        return _page(request, "login.html", "Log in", to=to, anyone=self._access.people.anyone())

    def log_in(self, request: Request, form: Form) -> Response:
        """Begin a login, always a new one: nobody can have set its cookie before."""
        to, address = local(form.get("to", "")), address_of(request)
        try:
            token, principal = self._access.log_in(form.get("name", ""), form.get("password", ""), address)
        except TaglaneError as error:
            shown = _page(request, "login.html", "Log in", error, to=to, anyone=True, name=form.get("name", "")[:64])
            if wait := getattr(error, "retry_after", None):
                shown.headers["Retry-After"] = str(int(wait))
            return shown
        self._end(request)
        with acting_for(principal.name, address):
            self._services.audit.note("login", principal.tenant or "")
        return _entered(request, token, to)

    def log_out(self, request: Request, form: Form) -> Response:
        """End the login."""
        visitor = self._gate.visitor(request)
        if visitor is not None and visitor.csrf:
            if not hmac.compare_digest(form.get("csrf", "").encode(), visitor.csrf.encode()):
                return PlainTextResponse("This form is not from a page of this login: load the page again.", 403)
            self._end(request)
        response = RedirectResponse("/login", 303)
        secure = request.url.scheme == "https"  # without it a browser leaves a cookie of that name as it is
        response.delete_cookie(cookie_name(request), secure=secure, httponly=True, samesite="lax")
        return response

    def choose_language(self, request: Request, form: Form) -> Response:
        """Speak another language from now on."""
        response = RedirectResponse(local(page_before(request.headers.get("referer", ""), request.url.netloc)), 303)
        if form.get("language") in LANGUAGES:
            response.set_cookie(LANGUAGE, form["language"], max_age=31_536_000, samesite="lax", httponly=True)
        return response

    def show_setup(self, request: Request) -> Response:
        """Ask for who administers the console, when nobody does yet."""
        token = request.query_params.get("token", "")
        try:
            self._check_setup(token)
        except TaglaneError as error:
            return _page(request, "setup.html", "Set up", error, token="")
        return _page(request, "setup.html", "Set up", token=token)

    def set_up(self, request: Request, form: Form) -> Response:
        """Make the first person, who administers everything, and log them in."""
        token, name, password = form.get("token", ""), form.get("name", ""), form.get("password", "")
        try:
            self._check_setup(token)
            if password != form.get("again", ""):
                raise BadPassword("the two are not the same")
            with acting_for(name[:64], address_of(request)):
                check_person(name)
                check_password(password)
                self._access.tickets.take("setup", token)  # of two at once, one goes on
                person = self._access.people.add(name, password, "admin")
                self._services.audit.note("user-add", "", user=person.name, role="admin")
        except TaglaneError as error:
            return _page(request, "setup.html", "Set up", error, token=token, name=name[:64])
        return _entered(request, self._access.sessions.open(person.name, person.epoch), "/")

    def enter(self, request: Request) -> Response:
        """Let in who has the link of a console that was just started."""
        try:
            token = self._access.enter(request.query_params.get("token", ""))
        except TaglaneError as error:
            return _page(request, "login.html", "Log in", error, to="/", anyone=True)
        principal = self._access.of_cookie(token)
        with acting_for(principal.name if principal else "", address_of(request)):
            self._services.audit.note("login", "")
        return _entered(request, token, "/")

    def ready(self, _: Request) -> Response:
        """Say whether the server answers, and has the functions."""
        try:
            check_server(self._services)
        except TaglaneError as error:
            return PlainTextResponse(f"not ready: {type(error).__name__}", 503)
        return PlainTextResponse("ready")

    def _post(self, answer: Callable[[Request, Form], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await to_thread.run_sync(answer, request, await form_of(request), limiter=self._threads)

        return endpoint

    def _check_setup(self, token: str) -> None:
        self._access.tickets.check("setup", token)
        if self._access.people.anyone():
            raise LinkOver

    def _end(self, request: Request) -> None:
        if before := cookie_of(request):
            self._access.sessions.end(before)


def check_server(services: Services) -> None:
    """Raise ServerUnavailable unless the server answers; LibraryMissing, when it has no functions of ours yet."""
    with services.server.renamed("asking for the function library", operator=True):
        services.server.redis.fcall("taglane_version", 0)


def local(to: str) -> str:
    """Return a path of ours to go on to; what leads elsewhere is the first page."""
    fine = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return to if fine and len(to) < 2_000 and not to.startswith(("/login", "/logout")) else "/"


def address_of(request: Request) -> str:
    """Return from where a request came."""
    return request.client.host if request.client else ""


def _alive(_: Request) -> Response:
    return PlainTextResponse("alive")


def _entered(request: Request, token: str, to: str) -> Response:
    """Go on with the login's cookie. Lax, not Strict: a link in a chat or mail opens the page; what changes is POST."""
    response = RedirectResponse(to, 303)
    secure = request.url.scheme == "https"
    response.set_cookie(
        cookie_name(request), token, max_age=LONGEST // 1000, httponly=True, secure=secure, samesite="lax"
    )
    return response


def _page(request: Request, template: str, title: str, error: TaglaneError | None = None, **data: Any) -> Response:
    language = language_of(request.cookies.get(LANGUAGE), request.headers.get("accept-language", ""))
    ask = Ask(request.url.path, {}, dict(request.query_params), {}, language)
    frame = {
        "view": View(template, title),
        "ask": ask,
        "language": language,
        "title": title,
        "error": translate(language, str(error)) if error else "",
        "name": "",
        **data,
    }
    html = render.environment().get_template(template).render(**frame)
    return HTMLResponse(html, status_of(error) if error else 200)


def _get(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return endpoint
