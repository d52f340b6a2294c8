"""The page of one job, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desks import ended, put_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

CSRF = {"csrf": "the-form's-own"}
AT = "/jobs/acme/report"


def test_a_job_is_shown_with_its_runs_and_next_fires(services: Services, console: Callable[..., TestClient]) -> None:
    """Each run is a bar that leads to it; secrets are covered; a deleted one says so, with its runs still linked."""
    services.tenants.create("acme")
    put_job(services, cron="0 3 * * *", tz="Asia/Shanghai", params={"password": "hunter2"}, retry=3)
    runs = [ended(services, state, job="report") for state in ("succeeded", "failed")]

    page = console("acme", "read").get(AT)
    gone = console().get("/jobs/acme/none")

    assert all(f'<a href="/runs/{run_id}"' in page.text for run_id in runs)
    assert 'class="ok"' in page.text
    assert 'class="no"' in page.text
    assert 5 == page.text.count("03:00:00 +08:00")
    assert "hunter2" not in page.text
    assert 404 == gone.status_code
    assert "/runs?q=tenant%3Aacme%20job%3Anone" in gone.text


def test_a_job_is_paused_resumed_and_run(services: Services, console: Callable[..., TestClient]) -> None:
    """Who may operate may; other params take the role `write`, and what is covered in them stays."""
    services.tenants.create("acme")
    put_job(services, every="1h", params={"password": "hunter2", "n": 1})
    operator, writer = console("acme", "operate"), console("acme", "write")

    assert (
        "/jobs?tenant=acme"
        == operator.post(f"{AT}/pause", data=CSRF | {"back": "/jobs?tenant=acme"}).headers["location"]
    )
    assert services.jobs.get("acme", "report").paused
    assert AT == operator.post(f"{AT}/resume", data=CSRF | {"back": "//evil"}).headers["location"]
    assert not services.jobs.get("acme", "report").paused
    operator.post(f"{AT}/trigger", data=CSRF | {"params": "{}"})
    assert [] == services.stores.runs.list("acme")
    made = operator.post(f"{AT}/trigger", data=CSRF).headers["location"].rpartition("/")[2]
    assert {"password": "hunter2", "n": 1} == services.stores.calls.get(made).params
    wrong = writer.post(f"{AT}/trigger", data=CSRF | {"params": '{"n": <b>}'})
    assert (422, True) == (wrong.status_code, "line 1, column 7" in wrong.text and "&lt;b&gt;}" in wrong.text)
    made = writer.post(f"{AT}/trigger", data=CSRF | {"params": '{"password": "••••••", "n": 2}'}).headers["location"]
    assert {"password": "hunter2", "n": 2} == services.stores.calls.get(made.rpartition("/")[2]).params


def test_a_job_is_deleted_when_its_name_is_typed(services: Services, console: Callable[..., TestClient]) -> None:
    """And by who may write alone."""
    services.tenants.create("acme")
    put_job(services)

    console("acme", "operate").post(f"{AT}/delete", data=CSRF | {"typed": "report"})
    console("acme", "write").post(f"{AT}/delete", data=CSRF | {"typed": "repor"})
    assert services.jobs.get("acme", "report")
    console("acme", "write").post(f"{AT}/delete", data=CSRF | {"typed": "report"})
    assert [] == services.jobs.list("acme")


def test_a_copied_command_is_one_command(services: Services, console: Callable[..., TestClient]) -> None:
    """Whatever an address or a tenant calls a job, a shell takes it for a word."""
    services.tenants.create("acme")

    page = console().get("/jobs/acme/$(reboot) 'x")

    assert "taglane run list &#39;tenant:acme job:$(reboot) &#39;&#34;&#39;&#34;&#39;x&#39;" in page.text
