"""The pages before the console, as a browser has them."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cluster import everywhere
from starlette.testclient import TestClient
from taglane_scheduler.access.tries import PER_NAME
from taglane_scheduler.web.doors import local
from taglane_scheduler.web.gate import COOKIE
from taglane_scheduler.web.serve import console_app

if TYPE_CHECKING:
    from httpx2 import Response
    from taglane_scheduler.services import Services

ANN = {"name": "ann", "password": "correct horse"}


@pytest.fixture
def browser(services: Services) -> TestClient:
    """A browser that knows nobody; ann may log in."""
    services.access.people.add("ann", ANN["password"], "admin")
    return new_browser(services)


def new_browser(services: Services, url: str = "http://localhost") -> TestClient:
    return TestClient(console_app(services), base_url=url, follow_redirects=False)


def csrf_in(page: Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert found, page.text
    return found[1]


def test_a_login_leads_to_the_page_that_was_asked_for(browser: TestClient) -> None:
    """The cookie is the browser's alone to send, and not to scripts."""
    asked = browser.get("/workers?tenant=acme")
    assert "/login?to=%2Fworkers%3Ftenant%3Dacme" == asked.headers["location"]
    assert 'value="/workers?tenant=acme"' in browser.get(asked.headers["location"]).text

    answer = browser.post("/login", data={**ANN, "to": "/workers"})

    assert (303, "/workers") == (answer.status_code, answer.headers["location"])
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert 200 == browser.get("/workers").status_code
    assert "/" == browser.get("/login").headers["location"]


def test_with_tls_the_cookie_is_for_tls_alone(services: Services, browser: TestClient) -> None:
    """And no other host may set it."""
    del browser
    answer = new_browser(services, "https://localhost").post("/login", data=ANN)

    assert answer.headers["set-cookie"].startswith(f"__Host-{COOKIE}=")
    assert "Secure" in answer.headers["set-cookie"]


def test_wrong_names_and_passwords_are_answered_alike(browser: TestClient) -> None:
    """Nobody learns who there is."""
    wrong = [browser.post("/login", data={"name": name, "password": "wrong horse"}) for name in ("ann", "bob")]

    assert [403, 403] == [answer.status_code for answer in wrong]
    assert 1 == len({answer.text.replace("ann", "bob") for answer in wrong})
    assert not [answer for answer in wrong if "set-cookie" in answer.headers]


def test_too_many_tries_have_to_wait(services: Services, browser: TestClient) -> None:
    """Also with the right password; it is told for how long."""
    browser.post("/login", data={"name": "ann"})
    for number in range(PER_NAME - 1):
        services.access.tries.count("ann", f"10.0.0.{number}")

    answer = browser.post("/login", data=ANN)

    assert 429 == answer.status_code
    assert 500 < int(answer.headers["retry-after"]) <= 600
    assert "set-cookie" not in answer.headers


def test_a_cookie_that_was_there_before_is_no_login(services: Services, browser: TestClient) -> None:
    """A login has a cookie of its own, and ends the one before: nobody can have planted it."""
    planted = "planted-by-somebody"
    browser.cookies.set(COOKIE, planted, domain="localhost.local")
    first = browser.post("/login", data=ANN).headers["set-cookie"].split(";")[0].partition("=")[2]
    browser.cookies.clear()
    browser.cookies.set(COOKIE, first)
    second = browser.post("/login", data=ANN).headers["set-cookie"].split(";")[0].partition("=")[2]

    assert 3 == len({planted, first, second})
    assert None is services.access.of_cookie(planted)
    assert None is services.access.of_cookie(first)
    assert services.access.of_cookie(second)


def test_a_logout_ends_the_login_and_takes_its_own_form(browser: TestClient) -> None:
    """The cookie, copied, opens nothing any more."""
    browser.post("/login", data=ANN)
    cookie, csrf = browser.cookies[COOKIE], csrf_in(browser.get("/workers"))

    assert 403 == browser.post("/logout").status_code
    assert 403 == browser.post("/logout", data={"csrf": "0" * 64}).status_code
    assert 200 == browser.get("/workers").status_code
    assert "/login" == browser.post("/logout", data={"csrf": csrf}).headers["location"]
    assert COOKIE not in browser.cookies
    browser.cookies.set(COOKIE, cookie)
    assert 303 == browser.get("/workers").status_code


def test_another_sites_form_is_no_logins(browser: TestClient) -> None:
    """Not for a login either: it would make one work under a name that is not one's own."""
    answer = browser.post("/login", data=ANN, headers={"Origin": "http://evil.example"})

    assert 403 == answer.status_code
    assert "set-cookie" not in answer.headers


def test_the_first_who_administers_is_made_by_a_link(services: Services) -> None:
    """It opens once, shows what is wrong, and never where somebody can log in already."""
    browser, link = new_browser(services), services.access.tickets.make("setup")
    other = services.access.tickets.make("setup")
    token = link.partition("token=")[2]
    assert "taglane user add" in browser.get("/login").text
    assert token in browser.get(link).text

    unlike = browser.post("/setup", data={**ANN, "again": "other horse", "token": token})
    short = browser.post("/setup", data={"name": "ann", "password": "short", "again": "short", "token": token})
    made = browser.post("/setup", data={**ANN, "again": ANN["password"], "token": token})

    assert [422, 422, 303] == [answer.status_code for answer in (unlike, short, made)]
    assert 200 == browser.get("/people").status_code
    assert 403 == browser.get(link).status_code == new_browser(services).get(other).status_code
    assert (
        403 == browser.post("/setup", data={**ANN, "name": "eve", "again": ANN["password"], "token": token}).status_code
    )
    assert ["ann"] == [person.name for person in services.access.people.list()]


def test_of_two_who_have_the_link_one_sets_up(services: Services) -> None:
    """Who comes too late is told so, and nobody of that name is left who could log in."""
    token = services.access.tickets.make("setup").partition("token=")[2]
    ready = threading.Barrier(8)

    def set_up(name: str) -> int:
        browser = new_browser(services)
        ready.wait()
        form = {"name": name, "password": ANN["password"], "again": ANN["password"], "token": token}
        return browser.post("/setup", data=form).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(set_up, [f"ann{number}" for number in range(8)]))

    assert 1 == answers.count(303) == len(services.access.people.list())


def test_a_link_enters_once(services: Services) -> None:
    """As who administers all; the second time it says that it is over."""
    link, browser = services.access.tickets.make("enter"), new_browser(services)

    assert "/" == browser.get(link).headers["location"]
    assert 200 == browser.get("/people").status_code
    assert 403 == new_browser(services).get(link).status_code


def test_language_is_chosen_and_kept(browser: TestClient) -> None:
    """One that there is not changes nothing."""
    answer = browser.post("/language", data={"language": "zh"}, headers={"Referer": "http://localhost/login?to=/jobs"})

    assert 'lang="zh"' in browser.get("/login").text
    assert 303 == answer.status_code
    assert "set-cookie" not in browser.post("/language", data={"language": "xx"}).headers


def test_it_says_whether_it_lives_and_is_ready(services: Services, browser: TestClient) -> None:
    """To anybody; without the functions it is not ready."""
    assert [200, 200] == [browser.get(path).status_code for path in ("/livez", "/readyz")]

    everywhere(services.server.redis).function_flush()

    assert [200, 503] == [browser.get(path).status_code for path in ("/livez", "/readyz")]


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "",
        "x",
        "/login",
        "/a\r\nSet-Cookie: x",
        "/" * 3_000,
    ],
)
def test_a_login_leads_nowhere_else(to: str) -> None:
    """Whatever the address said where it was to lead."""
    assert "/" == local(to)
    assert "/runs?q=state:failed" == local("/runs?q=state:failed")
