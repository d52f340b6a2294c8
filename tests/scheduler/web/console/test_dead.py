"""The page of the dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desks import ended, put_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient
    from taglane_scheduler.services import Services

CSRF = {"csrf": "the-form's-own"}


def test_dead_letters_are_listed_replayed_and_dropped(services: Services, console: Callable[..., TestClient]) -> None:
    """One takes a click, and to drop it the role `write`; who may only read gets no buttons."""
    services.tenants.create("acme")
    services.tenants.create("globex")
    put_job(services)
    first, second = ended(services, "dead", job="report"), ended(services, "dead")
    others = ended(services, "dead", tenant="globex")

    everybodys = console().get("/dead")
    page, own = console().get("/dead?tenant=acme&job=report"), console("acme", "read").get("/dead")

    assert "acme <b>2</b>" in everybodys.text
    assert "Choose a tenant." in everybodys.text
    assert f'id="dead-{first}"' in page.text
    assert f'id="dead-{second}"' not in page.text
    assert "&lt;b&gt;no&lt;/b&gt; red" in page.text
    assert others not in own.text
    assert "/replay" not in own.text
    console("acme", "operate").post(f"/dead/{first}/replay", data=CSRF)
    console("acme", "operate").post(f"/dead/{second}/drop", data=CSRF)
    assert [second] == [run.id for run in services.stores.dead_letters.list("acme")]
    console("acme", "write").post(f"/dead/{second}/drop", data=CSRF | {"tenant": "acme"})
    assert [] == services.stores.dead_letters.list("acme")


def test_all_takes_its_name_typed(services: Services, console: Callable[..., TestClient]) -> None:
    """Of a job its name, of a tenant the tenant's."""
    services.tenants.create("acme")
    put_job(services)
    kept = ended(services, "dead")
    ended(services, "dead", job="report")
    page = console("acme", "write")

    page.post("/dead/all/drop", data=CSRF | {"tenant": "acme", "job": "report", "typed": "acme"})
    assert 2 == len(services.stores.dead_letters.list("acme"))
    page.post("/dead/all/drop", data=CSRF | {"tenant": "acme", "job": "report", "typed": "report"})
    assert [kept] == [run.id for run in services.stores.dead_letters.list("acme")]
    page.post("/dead/all/replay", data=CSRF | {"tenant": "acme", "typed": "acme"})
    assert [] == services.stores.dead_letters.list("acme")
