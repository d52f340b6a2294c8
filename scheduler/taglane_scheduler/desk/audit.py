"""The desk's audit log: who did what, and what the server refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.tenancy.audit import AuditPage


class AuditDesk:
    """What one principal may read of the audit log: all of it, or, for who administers one tenant, that tenant's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def page(
        self, tenant: str | None = None, *, action: str = "", since: int = 0, before: str = "", count: int = 50
    ) -> AuditPage:
        """Return entries, the newest first, *before* a place: of one tenant, one action, since an instant, ms.

        Raises:
            TenantNotFound: it is none, or another's.
            RoleNeeded: who sees one tenant reads the log as its administrator.
        """
        principal = self._desk.principal
        if principal.tenant is None:
            principal.require("read", "reading the audit log")
        else:
            principal.require("admin", "reading the audit log")
            tenant = tenant or principal.tenant
            principal.require_sight(tenant)
        found = self._desk.services.audit.page(tenant, action=action, since=since, before=before, count=count)
        if principal.tenant is None:
            return found
        return replace(found, entries=[replace(each, who=_named(each.who), address="") for each in found.entries])


def _named(who: str) -> str:
    """Return who it was as a tenant may know it: a name of the console's, or the operator without user and machine."""
    return "operator" if "@" in who or "(" in who else who
