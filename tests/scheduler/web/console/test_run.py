"""The page of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desks import ended, put_job
from factories import HandWorker
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

CSRF = {"csrf": "the-form's-own"}


def test_a_run_is_shown_and_nothing_of_it_is_believed(services: Services, console: Callable[..., TestClient]) -> None:
    """Error, traceback, result are escaped and without escape sequences; secrets are covered; no script is let in."""
    services.tenants.create("acme")
    services.tenants.create("globex")
    failed = ended(services, password="hunter2", text="<script>alert(1)</script>")
    good = ended(services, "succeeded")

    page, other = console("acme", "read").get(f"/runs/{failed}"), console("acme", "read").get(f"/runs/{good}")

    assert "ValueError: &lt;b&gt;no&lt;/b&gt; red" in page.text
    assert "Traceback: &lt;i&gt;here&lt;/i&gt;" in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "hunter2" not in page.text
    assert "t0p" not in other.text
    assert "not kept after success" in other.text
    assert 404 == console("globex").get(f"/runs/{failed}").status_code


def test_secrets_are_shown_when_asked_for(services: Services, console: Callable[..., TestClient]) -> None:
    """By who may write; it is a form that is sent, no address."""
    services.tenants.create("acme")
    run_id = ended(services, password="hunter2")

    refused = console("acme", "operate").post(f"/runs/{run_id}/params", data=CSRF)
    shown = console("acme", "write").post(f"/runs/{run_id}/params", data=CSRF)

    assert 303 == refused.status_code
    assert "hunter2" in shown.text
    assert ["params-shown"] == [entry.action for entry in services.audit.list("acme", count=1)]


def test_two_clicks_on_run_again_make_one_run(services: Services, console: Callable[..., TestClient]) -> None:
    """A click on a page that knows of that run makes another."""
    services.tenants.create("acme")
    put_job(services)
    run_id = ended(services, job="report")
    page = console("acme", "operate")

    first, second = (page.post(f"/runs/{run_id}/retry", data=CSRF | {"before": ""}).headers["location"] for _ in "ab")
    third = page.post(f"/runs/{run_id}/retry", data=CSRF | {"before": first.rpartition("/")[2]}).headers["location"]

    assert first == second != third
    assert "Was run again as" in page.get(f"/runs/{run_id}").text


def test_a_run_is_cancelled(services: Services, console: Callable[..., TestClient]) -> None:
    """One that waits ends; the worker of one that runs is asked."""
    services.tenants.create("acme")
    held = services.stores.client.enqueue("shop.tasks.report", tenant="acme").id
    HandWorker(services.server).hello().fetch(1)
    waits = services.stores.client.enqueue("shop.tasks.report", tenant="acme").id
    page = console("acme", "operate")

    for run_id in (held, waits):
        assert f"/runs/{run_id}" == page.post(f"/runs/{run_id}/cancel", data=CSRF).headers["location"]

    assert "cancelled" == services.stores.runs.get(waits).state
    assert "asked to stop: by ann" in page.get(f"/runs/{held}").text


def test_an_id_of_somebodys_own_is_found_with_its_tenant(
    services: Services, console: Callable[..., TestClient]
) -> None:
    """The address says whose it is; without, it is nobody's."""
    services.tenants.create("acme")
    run_id = ended(services)
    fields = services.server.redis.hgetall(keys.run("acme", run_id))
    services.server.redis.hset(keys.run("acme", "my:own"), mapping=fields)

    assert 200 == console().get("/runs/my%3Aown?tenant=acme").status_code
    assert 404 == console().get("/runs/my%3Aown").status_code


def test_a_log_is_shown_and_downloaded(services: Services, console: Callable[..., TestClient]) -> None:
    """Escaped on the page, plain in the file, without escape sequences in both."""
    services.tenants.create("acme")
    run_id = services.stores.client.enqueue("shop.tasks.report", tenant="acme").id
    ((_, token),) = HandWorker(services.server).hello().fetch(1)
    line = "0\tERROR\tlog\tshop\t\x1b[31m<b>\x1b[0m & more"
    services.server.call("log", "acme", run_id, token, 1, 1, 0, 100, 100_000, line)

    page, text = console("acme", "read").get(f"/runs/{run_id}"), console("acme", "read").get(f"/runs/{run_id}/log.txt")

    assert '<span class="said">&lt;b&gt; &amp; more</span>' in page.text
    assert "attachment" in text.headers["content-disposition"]
    assert text.text.endswith(" [1] ERROR shop: <b> & more\n")
    assert 404 == console("acme", "read").get("/runs/globex.1/log.txt").status_code


def test_a_run_that_waits_in_vain_says_why(services: Services, console: Callable[..., TestClient]) -> None:
    """And what mends it; one that is taken says nothing of it."""
    services.tenants.create("acme")
    run_id = services.stores.client.enqueue("shop.tasks.report", tenant="acme").id
    before = console("acme", "read").get(f"/runs/{run_id}").text
    services.stores.limits.put_state("acme", "paused")

    held = console("acme", "read").get(f"/runs/{run_id}").text
    services.stores.limits.put_state("acme", "")
    HandWorker(services.server, "acme").hello().fetch()
    taken = console("acme", "read").get(f"/runs/{run_id}").text

    assert "taglane tenant resume acme" not in before + taken
    assert "paused, and 1 run waits" in held
    assert "taglane tenant resume acme" in held
