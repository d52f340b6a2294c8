"""Desks over a server of the tests, with a tenant and runs of it that ended as a test wants."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from factories import HandWorker, make_job
from taglane.settings import load_settings
from taglane_scheduler.access.principal import Principal
from taglane_scheduler.desk.desk import Desk
from taglane_scheduler.services import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane_scheduler.access.principal import Role
    from taglane_scheduler.services import Services

ERROR = '{"e":{"exc_type":"ValueError","exc_message":["<b>no</b> \\u001b[31mred"]},"tb":"Traceback: <i>here</i>"}'


@contextmanager
def services_at(url: str, *tenants: str) -> Iterator[Services]:
    """The operator's services of a server, with these tenants."""
    made = build(load_settings(url=url))
    made.prepare()
    for tenant in tenants or ("acme", "globex"):
        made.tenants.create(tenant)
    yield made
    made.close()


def desk_of(services: Services, tenant: str | None = None, role: Role = "admin") -> Desk:
    """The desk of ann, who administers all unless told otherwise."""
    return Desk(services, Principal("ann", tenant, role))


def put_job(services: Services, name: str = "report", **fields: Any) -> None:
    """Add a job, of acme unless told otherwise."""
    services.jobs.put(make_job(name, **fields))


def ended(services: Services, state: str = "failed", tenant: str = "acme", job: str = "", **params: Any) -> str:
    """A run that ended so, of a job or of nobody's."""
    if job:
        made = services.jobs.trigger(tenant, job, params or None)
    else:
        made = services.stores.client.enqueue("shop.tasks.report", tenant=tenant, params=params).id
    worker = HandWorker(services.server, tenant).hello()
    fetched = [each for each in worker.fetch() if each[0] == made]
    result = '{"r":{"rows":3,"token":"t0p"}}' if state == "succeeded" else ERROR
    words = [word for run, token in fetched for word in (run, token, state, "1", result, "")]
    services.server.call("finish", tenant, *words)
    return made
