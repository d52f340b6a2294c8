"""What every answer says to browsers."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from taglane_scheduler.web.headers import FOR_EVER, HEADERS, POLICY, SecureHeaders


async def fine(_: object) -> PlainTextResponse:
    return PlainTextResponse("fine", headers={"X-Frame-Options": "ALLOWALL"})


def test_each_answer_has_them_and_is_not_stored() -> None:
    """But for a file with its hash, which may be kept for ever; an answer's own header does not win."""
    client = TestClient(SecureHeaders(Starlette(routes=[Route("/", fine), Route("/static/a.css", fine)])))

    page, asset, bare, missing = (
        client.get(path) for path in ("/", "/static/a.css?v=1", "/static/a.css", "/static/b?v=1")
    )

    for answer in (page, asset, bare, missing):
        assert HEADERS == {name: answer.headers[name] for name in HEADERS}
    assert ["no-store", FOR_EVER, "no-store", "no-store"] == [
        answer.headers["Cache-Control"] for answer in (page, asset, bare, missing)
    ]


def test_the_policy_lets_nothing_run_but_our_own_files() -> None:
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in POLICY
