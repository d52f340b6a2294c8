"""The console's pages as a browser gets them, on the server that `bench.pages` fills: the ms of each answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.testclient import TestClient
from taglane.settings import load_settings
from taglane.store import keys
from taglane_scheduler.access.principal import Principal
from taglane_scheduler.services import build
from taglane_scheduler.web.app import build_app
from taglane_scheduler.web.gate import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from redis import Redis
    from starlette.requests import Request

    Get = Callable[[str], object]

AIM_MS = 200.0


class Operator:
    """A gate that takes everybody for who administers all tenants."""

    def visitor(self, request: Request) -> Visitor:  # noqa: ARG002 - a gate's signature
        """Return the administrator."""
        return Visitor(Principal("bench", None, "admin"), "csrf")


def opened(url: str) -> AbstractContextManager[TestClient]:
    """Return a client of a console on this server."""
    services = build(load_settings(url=url))
    services.prepare()
    return TestClient(build_app(services, Operator()))


def paths(redis: Redis, tenants: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and address of each page, of what is there."""
    tenant = tenants[-1]
    newest: Any = redis.zrange(keys.unwell(tenant), -1, -1)
    run = newest[0].decode()
    yield from (("overview", "/"), ("queues", "/queues"), ("workers", "/workers"), ("tenants", "/tenants"))
    yield from (("a tenant", f"/tenants/{tenant}"), ("templates", "/templates"), ("dead letters", "/dead"))
    yield from (("alerts", "/alerts"), ("audit", "/audit"), ("jobs", "/jobs"), ("jobs of a name", "/jobs?name=job-9*"))
    yield from (("jobs of a task that none has", "/jobs?task=shop.none"), ("paused jobs", "/jobs?paused=yes"))
    yield from (("a job", f"/jobs/{tenant}/job-7"), ("the form of a job", f"/jobs/{tenant}/job-7/edit"))
    yield from (("runs", "/runs"), ("unwell runs", "/runs?q=state:unwell"), ("a run", f"/runs/{run}"))
    yield from (("runs of a job", f"/runs?q=tenant:{tenant}+job:job-7"), ("runs of no task", "/runs?q=task:shop.none"))
    yield from (
        ("dead letters of a tenant", f"/dead?tenant={tenant}"),
        ("a question in bulk", "/runs/bulk?do=retry&q=state:failed"),
    )
