"""All pages and actions of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.console import alerts, audit, overview, queues, templates, tenant, tenants, workers

if TYPE_CHECKING:
    from taglane_scheduler.web.console.view import Action, Page

PAGES: list[Page] = [*overview.PAGES, *queues.PAGES, *workers.PAGES, *tenants.PAGES, *tenant.PAGES, *templates.PAGES, *audit.PAGES, *alerts.PAGES]

ACTIONS: list[Action] = [*queues.ACTIONS, *tenants.ACTIONS, *tenant.ACTIONS, *alerts.ACTIONS]
