"""Cuts a tenant off, and restores it: its user is shut and its connections end, and all that it has stays.

That it is cut off is in its record, with the reason, so it stays so through restarts, failovers and new passwords.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from taglane.errors import TenantNotFound
from taglane.store import keys
from taglane.store.full import swap

from taglane_scheduler.tenancy.audit import Audit
from taglane_scheduler.tenancy.record import Record
from taglane_scheduler.tenancy.users import Users

if TYPE_CHECKING:
    from taglane.store.server import Server

CUT = "tenant_cut"
"""The kind of alert that stands for as long as a tenant is cut off."""

LONGEST = 300
"""Characters of a reason: behind it, the alert names the command."""


class Alerting(Protocol):
    """Where it is said that a tenant is cut off."""

    def raise_alert(self, kind: str, tenant: str, subject: str, text: str) -> bool:
        """Say that something is wrong."""

    def end(self, kind: str, tenant: str, subject: str) -> bool:
        """Say that it is no longer so."""


class CutOff:
    """Shuts tenants out of one server. Takes the operator's credential."""

    def __init__(self, server: Server, alerts: Alerting) -> None:
        self._server = server
        self._redis: Any = server.redis
        self._users = Users(server)
        self._audit = Audit(server)
        self._alerts = alerts

    def cut(self, name: str, reason: str) -> bool:
        """Shut *name* out, also on a server that is full; return False when it was shut out already.

        Raises:
            TenantNotFound: there is none.
        """
        reason = reason[:LONGEST] or "by the operator"
        with self._server.renamed(f"cutting off tenant {name}", operator=True):
            changed = self._write(name, reason)
            self._users.apply(name)  # also when it was cut off before: whoever did it may have come no further
            self._users.disconnect(name)
        if changed:
            self._audit.note("cut", name, reason=reason)
        self._alerts.raise_alert(CUT, name, "", f"cut off: {reason}:  taglane tenant restore {name}")
        return changed

    def restore(self, name: str) -> bool:
        """Let *name* in again, with the password that it has; return False when it was not shut out.

        One that is still over its limits will be cut off again: change them first.

        Raises:
            TenantNotFound: there is none.
        """
        with self._server.renamed(f"restoring tenant {name}", operator=True):
            changed = self._write(name, "")
            self._users.apply(name)
        if changed:
            self._audit.note("restore", name)
        self._alerts.end(CUT, name, "")
        return changed

    def reason(self, name: str) -> str:
        """Return why *name* is cut off, empty when it is not.

        Raises:
            TenantNotFound: there is none.
        """
        with self._server.renamed(f"tenant {name}", operator=True):
            text = self._redis.hget(keys.TENANTS, name)
        if text is None:
            raise TenantNotFound(name)
        return Record.from_json(text).cut

    def _write(self, name: str, reason: str) -> bool:
        """Write the reason into the record, asked again when another process has written a new password meanwhile."""
        while True:
            text = self._redis.hget(keys.TENANTS, name)
            if text is None:
                raise TenantNotFound(name)
            record = Record.from_json(text)
            if bool(record.cut) == bool(reason):
                return False
            if swap(self._redis, keys.TENANTS, name, text, replace(record, cut=reason).to_json()):
                return True
