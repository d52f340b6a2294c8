"""The desk's people: who may log in, and one's own password. People are made by who administers all tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.access.errors import BadPassword, LoginRefused, NoPerson, OwnAccount

if TYPE_CHECKING:
    from taglane_scheduler.access.people import Person
    from taglane_scheduler.desk.desk import Desk


class PeopleDesk:
    """What one principal may do with people. Every method may raise RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._people = desk.services.access.people

    def list(self) -> list[Person]:
        """Return everybody who may log in, by name."""
        self._desk.principal.require_all("admin", "reading who may log in")
        return self._people.list()

    def get(self, name: str) -> Person:
        """Return one of them; PersonNotFound."""
        self._desk.principal.require_all("admin", "reading who may log in")
        return self._people.get(name)

    def add(self, name: str, password: str, role: str, tenant: str | None = None) -> Person:
        """Let somebody log in; raises as `People.add` does, and TenantNotFound."""
        self._desk.principal.require_all("admin", "adding people")
        if tenant:
            self._desk.tenant(tenant, "admin", "adding people")
        made = self._people.add(name, password, role, tenant or None)
        self._desk.note("user-add", tenant or "", user=made.name, role=made.role)
        return made

    def change_role(self, name: str, role: str) -> Person:
        """Give somebody else another role; their logins are over."""
        self._desk.principal.require_all("admin", "changing roles")
        self._not_self(name, "changing the role of")
        changed = self._people.change_role(name, role)
        self._desk.note("user-role", changed.tenant or "", user=name, role=changed.role)
        return changed

    def change_password(self, name: str, password: str) -> None:
        """Give somebody else another password; their logins are over."""
        self._desk.principal.require_all("admin", "changing passwords")
        changed = self._people.change_password(name, password)
        self._desk.note("user-password", changed.tenant or "", user=name)

    def delete(self, name: str) -> None:
        """Let somebody else in no more; their logins and own keys are over."""
        self._desk.principal.require_all("admin", "deleting people")
        self._not_self(name, "deleting")
        found = self._people.get(name)
        self._people.delete(name)
        self._desk.note("user-delete", found.tenant or "", user=name)

    def change_own_password(self, old: str, new: str) -> None:
        """Change the password of who asks; all their logins are over, this one too.

        Raises:
            BadPassword: the old one is wrong, or the new one can't be one.
            NoPerson: who asks has none.
            TooManyTries: it was tried too often.
        """
        name, access = self._desk.principal.name, self._desk.services.access
        if self._people.find(name) is None:
            raise NoPerson
        access.tries.count(name, self._desk.address)
        try:
            self._people.checked(name, old)
        except LoginRefused as error:
            raise BadPassword("the old one is wrong") from error
        changed = self._people.change_password(name, new)
        access.tries.succeeded(name, self._desk.address)
        self._desk.note("user-password", changed.tenant or "", user=name)

    def _not_self(self, name: str, what: str) -> None:
        if name == self._desk.principal.name:
            raise OwnAccount(what)
