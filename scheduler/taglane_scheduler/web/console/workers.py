"""The page of the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console.view import Page, View

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask


def show(desk: Desk, ask: Ask) -> View:
    """Return the workers of one tenant, or of the first so many tenants."""
    tenants = desk.tenants_in_reach(ask.query.get("tenant"))
    found = [worker for tenant in tenants[:50] for worker in desk.queues.workers(tenant)]
    return View("workers.html", "Workers", {"workers": found})


PAGES = [Page("/workers", show)]
