"""The desk's audit log: what was done, and what the server refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.tenancy.audit import AuditPage


class AuditDesk:
    """What one principal may read of the audit log. It takes the role `admin`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def page(  # noqa: PLR0913 - what is asked for
        self,
        tenant: str | None = None,
        *,
        denied: bool = False,
        before: str = "",
        since: int = 0,
        limit: int = 100,
        action: str = "",
    ) -> AuditPage:
        """Return what was done, or one *action*, or what was *denied*, the newest first, behind the page *before*.

        Who sees one tenant is told what was done to that one, and not from where.
        """
        principal = self._desk.principal
        principal.require("admin", "reading the audit log")
        whose = self._desk.tenant(tenant, "admin", "reading the audit log") if tenant else principal.tenant
        found = self._desk.services.audit.page(
            whose, denied=denied, before=before, since=since, limit=limit, action=action
        )
        if principal.tenant is None:
            return found
        return replace(found, entries=[replace(each, who=_named(each.who), address="") for each in found.entries])


def _named(who: str) -> str:
    """Return who it was as a tenant may know it: a name of the console's, or the operator without user and machine."""
    return "operator" if "@" in who or "(" in who else who
