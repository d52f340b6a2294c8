"""The desk's records of tenants: make one, give it a new password, cut it off, delete it; what it has used."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from taglane.model.usage import DayUsage, days_between

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane.model.limits import Limits

    from taglane_scheduler.care.measures import Measure
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.tenancy.tenants import Tenant, TenantInfo


class RecordDesk:
    """What one principal may do with the tenants' records. Every method may raise TenantNotFound and RoleNeeded.

    To make, shut out and delete tenants is for who administers all of them.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    def page(self, pattern: str, after: str, limit: int) -> tuple[Sequence[TenantInfo], bool]:
        """Return tenants by name behind *after*, of those whose names hold *pattern*, and whether there are more."""
        self._desk.principal.require_all("read", "the list of tenants")
        names = [name for name in self._services.tenants.names() if pattern in name and name > after]
        return self._services.tenants.some(names[:limit]), len(names) > limit

    def get(self, tenant: str) -> TenantInfo:
        """Return one tenant's record."""
        self._desk.principal.require_all("read", "a tenant's record")
        return self._services.tenants.get(tenant)

    def limits_of(self, tenants: Sequence[str]) -> Mapping[str, Limits]:
        """Return the limits of these tenants."""
        for tenant in tenants:
            self._desk.principal.require_sight(tenant)
        return self._services.stores.limits.get_many(tenants)

    def usage(self, tenant: str, days: int) -> Sequence[DayUsage]:
        """Return what a tenant has used on each of the last days, today last; a day without any is empty."""
        self._desk.tenant(tenant, "read", "reading usage")
        _, today = self._services.stores.usage.last_days(days)
        since = today - timedelta(days=days - 1)
        found = {each.day: each for each in self._services.stores.usage.days(tenant, since, today)}
        return [found.get(day) or DayUsage(tenant, day) for day in days_between(since, today)]

    def measure(self, tenant: str) -> Measure | None:
        """Return what a tenant was last measured to use of the server."""
        self._desk.tenant(tenant, "read", "reading measures")
        return self._services.measures.get(tenant)

    def create(self, name: str) -> Tenant:
        """Make a tenant; its url is told this once."""
        self._desk.principal.require_all("admin", "creating tenants")
        return self._services.tenants.create(name)

    def rotate(self, name: str, overlap: int) -> Tenant:
        """Give a tenant a new password; the old ones open for *overlap* ms more. Its url is told this once."""
        self._desk.principal.require_all("admin", "rotating passwords")
        return self._services.tenants.rotate(name, overlap=overlap)

    def cut(self, name: str, reason: str) -> bool:
        """Shut a tenant out; return False when it was."""
        self._desk.principal.require_all("admin", "cutting off tenants")
        self._desk.tenant(name, "admin", "cutting off tenants")
        return self._services.cutoff.cut(name, reason)

    def restore(self, name: str) -> bool:
        """Let a tenant in again; return False when it was not shut out."""
        self._desk.principal.require_all("admin", "restoring tenants")
        self._desk.tenant(name, "admin", "restoring tenants")
        return self._services.cutoff.restore(name)

    def delete(self, name: str) -> int:
        """Delete a tenant with all that it has; return how many keys that were."""
        self._desk.principal.require_all("admin", "deleting tenants")
        return self._services.tenants.delete(name)
