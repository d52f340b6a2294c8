"""Who asks: a person or a key, with a role, for one tenant or for all. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from taglane.errors import RoleNeeded, TenantNotFound

Role = Literal["read", "operate", "write", "admin"]

ROLES: tuple[Role, ...] = ("read", "operate", "write", "admin")
"""From the least to the most: each may what those before it may.

read     see everything of its tenants
operate  run, cancel, retry, pause and resume what is there; drain and purge
write    add, change and delete jobs; enqueue
admin    keys, people, alerts; of all tenants: create, limit, cut off and delete them
"""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. *tenant* is the only one that it sees; None sees all. *name* is how the audit log calls it.

    *owner* is whose own key it is, as `api_keys.owner_of` says it: keys that it makes are theirs, too.
    """

    name: str
    tenant: str | None
    role: Role
    owner: str = ""

    def may(self, role: Role) -> bool:
        """Whether it may do, to the tenants that it sees, what takes *role*."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, tenant: str) -> bool:
        """Whether the tenant is one of its own."""
        return self.tenant is None or self.tenant == tenant

    def require(self, role: Role, what: str) -> None:
        """Raise RoleNeeded unless it has *role*, or one that may more."""
        if not self.may(role):
            raise RoleNeeded(what, role, self.role, self.tenant)

    def require_all(self, role: Role, what: str) -> None:
        """Raise RoleNeeded unless it has *role* for all tenants."""
        if self.tenant is not None or not self.may(role):
            raise RoleNeeded(what, role, self.role if self.tenant is None else f"{self.role} of {self.tenant}")

    def require_sight(self, tenant: str) -> None:
        """Raise TenantNotFound, as for one that there is not, unless the tenant is one of its own."""
        if not self.sees(tenant):
            raise TenantNotFound(tenant)
