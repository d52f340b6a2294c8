"""The form of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from desks import put_job
from factories import make_job
from taglane_scheduler.web.console.job_form import read, typed_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

CSRF = {"csrf": "the-form's-own"}
GOOD = {"tenant": "acme", "name": "report", "task": "shop.tasks.report", "kind": "cron", "value": "0 3 * * *"}


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"name": "A b", "priority": "9" * 5_000}, {"name", "priority"}),
        ({"task": "no task"}, {"task"}),
        ({"value": ""}, {"value"}),
        (
            {"value": "0 3 * *", "tz": "Mars", "timeout": "x", "retry_attempts": "0"},
            {"value", "tz", "timeout", "retry"},
        ),
        ({"params": '{"a": }', "priority": "12", "tag": "globex"}, {"params", "priority", "tag"}),
        ({"timeout": "1s", "soft_timeout": "2s"}, {"soft_timeout"}),
        ({"misfire": "all"}, {"misfire"}),
        ({"kind": "every", "value": "1.5s", "no_worker": "run"}, {"value", "no_worker"}),
        ({"start": "2030-01-01T00:00", "end": "2029-01-01T00:00"}, {"start"}),
        ({"start": "soon", "expires": "-1s", "overlap": "x"}, {"start", "expires", "overlap"}),
    ],
)
def test_each_mistake_is_told_beside_its_field(typed: dict[str, str], wrong: set[str]) -> None:
    """All of them at once."""
    assert wrong == set(read(GOOD | typed).wrong)


@pytest.mark.parametrize(
    "fields",
    [
        {"cron": "0 3 * * *", "tz": "Asia/Shanghai", "tag": "acme.gpu", "priority": 3, "misfire": "skip"},
        {"every": "90s", "start": "2030-01-01T00:00:00Z", "end": "2031-01-01T00:00:00Z", "no_worker": "wait:1h"},
        {
            "after": "5m",
            "retry": {"attempts": 4, "delay": "10s", "backoff": "fixed", "on": ["A", "B"]},
            "expires": "1h",
        },
        {"at": "2030-01-01T00:00:00Z", "timeout": "5m", "soft_timeout": "4m30s", "overlap": "queue", "retry": 3},
        {"manual": True, "params": {"a": [1, {"b": None}]}},
    ],
)
def test_a_job_comes_back_from_its_form_as_it_was(fields: dict[str, Any]) -> None:
    """Whatever its fields."""
    job = make_job(now=1, **fields)
    draft = read(typed_of(job, job.params))

    assert {} == draft.wrong
    assert draft.job is not None
    assert job.model_copy(update={"schedule": None}) == draft.job.model_copy(update={"schedule": None})
    assert "every" in fields or job.schedule == draft.job.schedule


def test_a_job_is_previewed_added_and_changed(services: Services, console: Callable[..., TestClient]) -> None:
    """A preview writes nothing; what was typed is kept; a name that is there is not overwritten; secrets stay."""
    services.tenants.create("acme")
    put_job(services, "there")
    page = console("acme", "write")

    preview = page.post("/jobs/new", data=CSRF | GOOD | {"do": "preview", "tz": "Asia/Shanghai"})
    assert 5 == preview.text.count("03:00:00 +08:00")
    assert 'value="shop.tasks.report"' in preview.text
    assert "There is a job of that name already." in page.post("/jobs/new", data=CSRF | GOOD | {"name": "there"}).text
    wrong = page.post("/jobs/new", data=CSRF | GOOD | {"task": "<b> "})
    assert (422, True) == (wrong.status_code, 'value="&lt;b&gt;"' in wrong.text)
    assert ["there"] == [stored.job.name for stored in services.jobs.list("acme")]

    added = page.post("/jobs/new", data=CSRF | GOOD | {"params": '{"token": "t0p", "n": 1}'})
    assert "/jobs/acme/report" == added.headers["location"]
    edit = page.get("/jobs/acme/report/edit")
    assert "t0p" not in edit.text
    page.post(
        "/jobs/acme/report/edit", data=CSRF | GOOD | {"params": '{"token": "••••••", "n": 2}', "tenant": "globex"}
    )
    assert {"token": "t0p", "n": 2} == services.jobs.get("acme", "report").job.params


def test_the_form_takes_the_role_write(services: Services, console: Callable[..., TestClient]) -> None:
    """To see it, and to send it; another tenant's job is none."""
    services.tenants.create("acme")
    services.tenants.create("globex")

    assert 403 == console("acme", "operate").get("/jobs/new").status_code
    console("acme", "operate").post("/jobs/new", data=CSRF | GOOD)
    console("globex", "write").post("/jobs/new", data=CSRF | GOOD)
    assert [] == services.jobs.list("acme")
