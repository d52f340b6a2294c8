"""The console's pages as a browser gets them, and the API's lists: the ms of each answer."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starlette.testclient import TestClient
from taglane.settings import load_settings
from taglane.store import keys
from taglane_scheduler.access.principal import Principal
from taglane_scheduler.services import build
from taglane_scheduler.web.api.rest import Rest
from taglane_scheduler.web.app import build_app
from taglane_scheduler.web.gate import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.reads import Reads
    from redis import Redis
    from starlette.requests import Request

AIM_MS = 200.0


class Operator:
    """A gate that takes everybody for who administers all tenants."""

    def visitor(self, request: Request) -> Visitor:  # noqa: ARG002 - a gate's signature
        """Return the administrator."""
        return Visitor(Principal("bench", None, "admin"), "csrf")


@contextmanager
def opened(url: str) -> Iterator[TestClient]:
    """Yield a client of a console on this server, whose services it has as its `services`."""
    services = build(load_settings(url=url))
    over = threading.Event()
    gathering = threading.Thread(target=services.gathering.run, args=(over,), daemon=True)
    rest = Rest(services, Operator())
    gathering.start()
    try:
        with TestClient(build_app(services, Operator(), [rest.mount(), rest.scraped()])) as client:
            client.services = services  # type: ignore[attr-defined]
            yield client
    finally:
        over.set()  # its thread ends within a second
        services.close()


def get(reads: Reads, console: TestClient, name: str, path: str) -> None:
    """Time one answer."""
    answer = reads.time(name, lambda: console.get(path))
    if answer.status_code != 200:
        raise AssertionError(f"{path}: {answer.status_code} {answer.text[:300]}")


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
    yield from (("the new run of a run", f"/runs/{run}/again"), ("a tenant's runs", f"/runs?q=tenant:{tenant}"))
    yield from lists(tenant)


def lists(tenant: str) -> Iterator[tuple[str, str]]:
    """Yield name and address of each list of the API that grows with what there is."""
    api = "/api/v1"
    yield from (("API: runs", f"{api}/runs"), ("API: unwell runs", f"{api}/runs?q=state:unwell&limit=500"))
    yield from (("API: jobs", f"{api}/jobs"), ("API: tenants", f"{api}/tenants"), ("API: queues", f"{api}/queues"))
    yield from (
        ("API: a tenant", f"{api}/tenants/{tenant}"),
        ("API: last runs", f"{api}/tenants/{tenant}/jobs/job-7/runs"),
    )
    yield from (("API: workers", f"{api}/workers"), ("API: dead", f"{api}/dead"), ("API: audit", f"{api}/audit"))
    yield from (("API: usage", f"{api}/usage"), ("API: alerts", f"{api}/alerts"), ("API: metrics", "/metrics"))
