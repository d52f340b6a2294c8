"""The API as it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.web.api.world import URL
from starlette.testclient import TestClient
from taglane.settings import load_settings
from taglane_scheduler.access.sessions import csrf_of
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.services import build
from taglane_scheduler.web.gate import COOKIE
from taglane_scheduler.web.serve import console_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane_scheduler.embedded import ServerBinary
    from taglane_scheduler.services import Services


JOB = "/api/v1/tenants/acme/jobs/report"
GOOD = {"task": "shop.report", "every": "1h"}


def test_a_logins_changes_bring_its_token(services: Services) -> None:
    """A page elsewhere can send the cookie, and can't know that; a look takes none."""
    services.tenants.create("acme")
    token = services.access.sessions.open("link", role="admin")
    client = TestClient(console_app(services), base_url=URL, cookies={COOKIE: token})

    assert csrf_of(token) == client.get("/api/v1/me").json()["csrf"]
    for headers in ({}, {"X-Taglane-CSRF": "0" * 64}):
        assert 403 == client.put(JOB, json=GOOD, headers=headers).status_code
    elsewhere = {"X-Taglane-CSRF": csrf_of(token), "Origin": "http://evil.example"}
    assert 403 == client.put(JOB, json=GOOD, headers=elsewhere).status_code
    assert 200 == client.put(JOB, json=GOOD, headers={"X-Taglane-CSRF": csrf_of(token)}).status_code


def test_what_is_not_there_is_a_problem_too(rest: Callable[..., TestClient]) -> None:
    """A path, a method; what there is can be read without a key."""
    client = rest()

    nowhere, wrong = client.get("/nothing"), client.delete("/jobs")

    assert [404, 405] == [nowhere.status_code, wrong.status_code]
    assert {"application/problem+json"} == {answer.headers["content-type"] for answer in (nowhere, wrong)}
    assert "GET" in wrong.headers["allow"]
    client.headers.pop("authorization")
    assert "3.1.0" == client.get("/openapi.json").json()["openapi"]


def test_a_server_that_is_gone_is_503(binary: ServerBinary) -> None:
    """For keys, whose check asks it, and for pages."""
    with EmbeddedServer(binary=binary) as server:
        services = build(load_settings(url=server.url))
        services.prepare()
        secret, _ = services.access.api_keys.create("read", None)
        client = TestClient(console_app(services), base_url=URL, headers={"Authorization": f"Bearer {secret}"})
        assert 200 == client.get("/api/v1/me").status_code
    gone = client.get("/api/v1/me")

    assert (503, "1") == (gone.status_code, gone.headers["retry-after"])
    assert 503 == client.get("/workers").status_code
    services.close()


def test_prometheus_finds_its_page_at_the_root(services: Services, url: str) -> None:
    """With a key, or with the token of the settings, and no other way."""
    del services
    told = build(load_settings(url=url, metrics_token="scrape-me"))
    told.gathering.step()
    client = TestClient(console_app(told), base_url=URL)

    def status(authorization: str) -> int:
        return client.get("/metrics", headers={"Authorization": authorization} if authorization else {}).status_code

    key, _ = told.access.api_keys.create("read", None)
    assert [200, 200, 401, 401, 401] == [
        status(each) for each in ("Bearer scrape-me", f"Bearer {key}", "Bearer scrape", "Bearer ", "")
    ]
    told.close()
