"""The page of the workers: who serves which tags, and what each executes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console.places import start_of
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

TENANTS = 50
"""Tenants with workers on one page."""

SHOWN = 300
"""Workers on one page; one tenant may say that it has thousands."""


def show(desk: Desk, ask: Ask) -> View:
    """Return the workers of one tenant, or of some tenants that have any; and, for the operator, those of the pools."""
    start = start_of(ask)
    tenants = _tenants(desk, ask)
    shown = tenants[start : start + TENANTS]
    desk.standing.freshen(shown)
    workers = desk.workers.list(shown)
    if tag := ask.query.get("tag", ""):
        workers = [each for each in workers if tag in each.tags]
    only_stalled = bool(ask.query.get("stalled"))
    if only_stalled:
        workers = [each for each in workers if each.silent > desk.workers.lease]
    some = workers[:SHOWN]
    with_pools = desk.principal.tenant is None and not ask.query.get("tenant") and not start
    data = {
        "workers": some,
        "hidden": len(workers) - len(some),
        "holding": desk.workers.holding(some),
        "pools": desk.workers.pools() if with_pools else (),
        "lease": desk.workers.lease,
        "only_stalled": only_stalled,
        "next": str(start + TENANTS) if len(tenants) > start + TENANTS else "",
    }
    return View("workers.html", "Workers", data)


def _tenants(desk: Desk, ask: Ask) -> Sequence[str]:
    """Return the tenants that are asked for: one, or those that had a worker of late."""
    if given := ask.query.get("tenant"):
        return desk.tenants_in_reach(given)
    if desk.principal.tenant is not None:
        return [desk.principal.tenant]
    return [each.tenant for each in desk.standing.all() if each.workers or each.stalled or not each.readable]


def drain(desk: Desk, ask: Ask) -> Done:
    """Let a worker take no more."""
    tenant, worker = ask.form.get("tenant", ""), ask.form.get("worker", "")
    desk.workers.drain(tenant, worker)
    said = ask.say("Worker {worker} takes no more runs, and ends when it has done its own.", worker=worker)
    return Done(said, f"/workers?tenant={tenant}")


PAGES = [Page("/workers", show)]

ACTIONS = [Action("/workers/drain", drain)]
