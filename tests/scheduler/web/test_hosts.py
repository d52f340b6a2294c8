"""What the console is called, and whose pages may change anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from taglane_scheduler.web.hosts import KnownHosts, host_of, page_before

if TYPE_CHECKING:
    from starlette.requests import Request


async def fine(_: Request) -> PlainTextResponse:
    return PlainTextResponse("fine")


@pytest.fixture
def client() -> TestClient:
    routes = [Route(path, fine, methods=["GET", "POST"]) for path in ("/", "/livez")]
    return TestClient(
        KnownHosts(Starlette(routes=routes), ["localhost", "::1", "console.example.com", "10.0.0.7:7077"])
    )


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:7077", "[::1]:7077", "console.example.com", "CONSOLE.example.com.", "10.0.0.7"]
)
def test_it_answers_to_its_names(client: TestClient, host: str) -> None:
    """With any port."""
    assert 200 == client.get("/", headers={"Host": host}).status_code


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::1", "10.0.0.8", "a@localhost@evil"])
def test_it_answers_to_no_other(client: TestClient, host: str) -> None:
    """A page elsewhere may let its own name point here: the browser says that name."""
    answer = client.get("/", headers={"Host": host})

    assert 421 == answer.status_code
    assert "TAGLANE_CONSOLE_HOSTS" in answer.text


def test_probes_and_keys_may_call_it_what_they_like(client: TestClient) -> None:
    """No browser brings a key of its own doing."""
    assert 200 == client.get("/livez", headers={"Host": "10.1.1.1"}).status_code
    assert 200 == client.post("/", headers={"Host": "10.1.1.1", "Authorization": "Bearer x"}).status_code


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://localhost"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_another_sites_page_changes_nothing(client: TestClient, headers: dict[str, str], status: int) -> None:
    """By a form of its own, to which the browser adds our cookie. It may link to a page."""
    assert status == client.post("/", headers={"Host": "localhost", **headers}).status_code
    assert 200 == client.get("/", headers={"Host": "localhost", **headers}).status_code


def test_the_page_before_is_one_of_ours() -> None:
    """What is no address, or another's, is the first page."""
    before = [
        "http://a:1/x?y=1",
        "http://b:1/x",
        "http://[",
        "",
        "http://a:1//evil.example",
        "http://a:1/\\\\evil.example",
    ]

    assert ["/x?y=1", "/", "/", "/", "/", "/"] == [page_before(referer, "a:1") for referer in before]


def test_a_host_is_a_name_without_its_port() -> None:
    assert ["a", "::1", "", ""] == [host_of(text) for text in ("a:1", "[::1]:80", "", "[")]
