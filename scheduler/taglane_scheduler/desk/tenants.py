"""The desk's tenants: list, pause, drain, purge, limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taglane.model.limits import Limits
    from taglane.store.limits import State

    from taglane_scheduler.desk.desk import Desk

_ACTION = {"paused": "pause", "draining": "drain", "": "resume"}


class TenantDesk:
    """What one principal may do with tenants. Every method may raise TenantNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stores = desk.services.stores

    def limits(self, tenant: str) -> Limits:
        """Return a tenant's limits."""
        self._desk.tenant(tenant, "read", "reading limits")
        return self._stores.limits.get(tenant)

    def change_limits(self, tenant: str, changes: Mapping[str, Any]) -> Limits:
        """Change some limits; for who administers all tenants: one that could raise its own would have none."""
        self._desk.tenant(tenant, "admin", "changing limits")
        self._desk.principal.require_all("admin", "changing limits")
        found = self._stores.limits.change(tenant, changes)
        self._desk.note("limit", tenant, changes=" ".join(f"{name}={value}" for name, value in changes.items()))
        return found

    def let(self, tenant: str, state: State) -> None:
        """Pause a tenant (`paused`), let it finish and take no more (`draining`), or let it go on (`''`)."""
        action = _ACTION[state]
        self._desk.tenant(tenant, "operate", f"{action} of a tenant")
        self._stores.limits.put_state(tenant, state)
        self._desk.note(action, tenant)

    def purge(self, tenant: str) -> int:
        """Cancel all that waits of a tenant; return how many runs."""
        self._desk.tenant(tenant, "operate", "purging")
        count = self._stores.queues.purge_all(tenant)
        self._desk.note("purge", tenant, runs=count)
        return count
