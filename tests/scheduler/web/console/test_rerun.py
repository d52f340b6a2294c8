"""Run again with other params."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desks import ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

CSRF = {"csrf": "the-form's-own"}


def test_params_are_changed_and_run(services: Services, console: Callable[..., TestClient]) -> None:
    """What is covered stays; what is no JSON comes back with its place; the new run is gone to."""
    services.tenants.create("acme")
    run_id = ended(services, token="t0p", n=1)
    at, page = f"/runs/{run_id}/again", console("acme", "write")

    assert "t0p" not in page.get(at).text
    wrong = page.post(at, data=CSRF | {"params": '{"n": 2,}'})
    assert (422, True) == (wrong.status_code, "line 1, column" in wrong.text and "{&#34;n&#34;: 2,}" in wrong.text)
    made = page.post(at, data=CSRF | {"params": '{"token": "••••••", "n": 2}'}).headers["location"].rpartition("/")[2]
    assert {"token": "t0p", "n": 2} == services.stores.calls.get(made).params


def test_what_is_not_kept_can_not_be_changed(services: Services, console: Callable[..., TestClient]) -> None:
    """The page says so; it takes the role `write`."""
    services.tenants.create("acme")
    run_id = ended(services, "succeeded")

    assert "is not kept" in console("acme", "write").get(f"/runs/{run_id}/again").text
    assert 403 == console("acme", "operate").get(f"/runs/{run_id}/again").status_code
