"""The table of all routes of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.web.api import (
    alert_rules,
    alerts,
    audit,
    bulk,
    files,
    health,
    jobs,
    people,
    queues,
    runs,
    tenants,
    usage,
)

if TYPE_CHECKING:
    from taglane_scheduler.web.api.route import ApiRoute

ROUTES: list[ApiRoute] = [
    *tenants.ROUTES,
    *jobs.ROUTES,
    *files.ROUTES,
    *runs.ROUTES,
    *bulk.ROUTES,
    *queues.ROUTES,
    *usage.ROUTES,
    *alerts.ROUTES,
    *alert_rules.ROUTES,
    *audit.ROUTES,
    *people.ROUTES,
    *health.ROUTES,
]
