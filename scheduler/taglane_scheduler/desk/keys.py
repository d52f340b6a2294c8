"""The desk's API keys: those of a tenant or for all, by who administers them; and everybody's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.access.api_keys import owner_of
from taglane_scheduler.access.errors import ApiKeyNotFound, NoPerson, TooManyKeys
from taglane_scheduler.access.people import check_role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane_scheduler.access.api_keys import ApiKey
    from taglane_scheduler.desk.desk import Desk

OWN = 20
"""Keys of one person's own."""


class KeyDesk:
    """What one principal may do with API keys. Every method may raise TenantNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._keys = desk.services.access.api_keys

    def list(self, tenant: str | None = None, *, after: str = "", limit: int = 100) -> list[ApiKey]:
        """Return the keys of one tenant, or all that the principal may see.

        *after* is the `place` of the last of the page before.
        """
        principal = self._desk.principal
        if tenant is None and principal.tenant is None:
            principal.require("admin", "reading API keys")
            return self._keys.list(every=True, after=after, limit=limit)
        whose = self._desk.tenant(tenant or principal.tenant or "", "admin", "reading API keys")
        return self._keys.list(whose, after=after if after.startswith(f"{whose}|") else "", limit=limit)

    def create(
        self, role: str, tenant: str | None = None, *, name: str = "", lasts: int | None = None
    ) -> tuple[str, ApiKey]:
        """Make a key, and return what opens, which is shown this once; never with more than the principal may.

        Made with somebody's own key, it is their own, too: it ends with them.

        *tenant* None is all tenants, or the only one that the principal sees; *lasts* is in ms.
        """
        principal = self._desk.principal
        tenant = tenant or principal.tenant
        principal.require(check_role(role), "making such a key")
        if tenant is None:
            principal.require_all("admin", "making API keys for all tenants")
        else:
            self._desk.tenant(tenant, "admin", "making API keys")
        return self._made(role, tenant, name, lasts, principal.owner)

    def revoke(self, key_id: str) -> None:
        """Let a key open nothing any more; one's own, or one that the principal administers.

        Raises:
            ApiKeyNotFound: there is none, or none that the principal may see.
        """
        principal = self._desk.principal
        found = self._keys.get(key_id)
        own = bool(found.owner) and found.owner == self._owner()
        if not own and not (principal.may("admin") and principal.tenant in {None, found.tenant}):
            raise ApiKeyNotFound(key_id)
        self._keys.revoke(key_id)
        self._desk.note("key-revoke", found.tenant or "", key=key_id)

    def own(self) -> Sequence[ApiKey]:
        """Return the principal's own keys."""
        owner = self._owner()
        return [key for key in self._keys.list(self._desk.principal.tenant) if owner and key.owner == owner]

    def create_own(self, role: str, *, name: str = "", lasts: int | None = None) -> tuple[str, ApiKey]:
        """Make a key of the principal's own: it may no more than they may at each time, and ends with them."""
        principal = self._desk.principal
        principal.require(check_role(role), "making such a key")
        owner = self._owner()
        if not owner:
            raise NoPerson
        if len(self.own()) >= OWN:
            raise TooManyKeys(principal.tenant, OWN)
        return self._made(role, principal.tenant, name, lasts, owner)

    def _made(self, role: str, tenant: str | None, name: str, lasts: int | None, owner: str = "") -> tuple[str, ApiKey]:
        by = self._desk.principal.name
        secret, made = self._keys.create(role, tenant, name=name, by=by, owner=owner, lasts=lasts)
        self._desk.note("key-create", tenant or "", key=made.id, scope=made.role)
        return secret, made

    def _owner(self) -> str:
        """Return whose own a key of the principal's is; '' for one that is no person."""
        found = self._desk.services.access.people.find(self._desk.principal.name)
        return "" if found is None else owner_of(found.name, found.created)
