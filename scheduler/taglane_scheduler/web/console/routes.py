"""All pages and actions of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console import account, keys, overview, people, queues, tenant, tenants, workers

if TYPE_CHECKING:
    from taglane_scheduler.web.console.view import Action, Page

PAGES: list[Page] = [
    *overview.PAGES,
    *queues.PAGES,
    *workers.PAGES,
    *tenants.PAGES,
    *tenant.PAGES,
    *account.PAGES,
    *keys.PAGES,
    *people.PAGES,
]

ACTIONS: list[Action] = [
    *queues.ACTIONS,
    *tenants.ACTIONS,
    *tenant.ACTIONS,
    *account.ACTIONS,
    *keys.ACTIONS,
    *people.ACTIONS,
]
