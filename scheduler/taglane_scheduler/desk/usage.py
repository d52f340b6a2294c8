"""The desk's usage: what tenants and their jobs have used, by day."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.model.usage import DayUsage

    from taglane_scheduler.desk.desk import Desk

DAYS = 35
"""That are kept of tenants."""


class UsageDesk:
    """What one principal may read of what was used. Every method may raise TenantNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._usage = desk.services.stores.usage

    def days(self, tenants: Sequence[str], days: int) -> Sequence[DayUsage]:
        """Return what these tenants have used on each of the last days on which they did anything."""
        return self._usage.days_of(self._seen(tenants), *self._usage.last_days(days))

    def jobs(self, tenants: Sequence[str], days: int, job: str | None = None) -> Sequence[DayUsage]:
        """Return what each of their jobs, or the one, has used on each of these days."""
        return self._usage.jobs_of(self._seen(tenants), *self._usage.last_days(days), job)

    def _seen(self, tenants: Sequence[str]) -> Sequence[str]:
        self._desk.principal.require("read", "reading usage")
        for tenant in tenants:
            self._desk.principal.require_sight(tenant)
        return tenants
