"""Says who it is that has a cookie or a key, and lets people in: over people, keys, logins, links and tries."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from taglane.store import keys

from taglane_scheduler.access.api_keys import ApiKeys, owner_of
from taglane_scheduler.access.errors import LoginRefused
from taglane_scheduler.access.people import People, born_of
from taglane_scheduler.access.principal import ROLES, Principal
from taglane_scheduler.access.sessions import Sessions, digest_of
from taglane_scheduler.access.tickets import Tickets
from taglane_scheduler.access.tries import Tries

if TYPE_CHECKING:
    from taglane.store.server import Server

    from taglane_scheduler.access.principal import Role

log = logging.getLogger(__name__)

BY_LINK = "link"
"""What somebody is called who came by a link: nobody of the people is, since it is no name of theirs."""

LINK_LASTS = 12 * 3_600_000
"""ms that a login by a link lasts at most."""


class Access:
    """Who may come in, on one server. Takes the operator's credential."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    @cached_property
    def people(self) -> People:
        """Who may log in."""
        return People(self._server)

    @cached_property
    def api_keys(self) -> ApiKeys:
        """The API keys."""
        return ApiKeys(self._server)

    @cached_property
    def sessions(self) -> Sessions:
        """The logins."""
        return Sessions(self._server)

    @cached_property
    def tickets(self) -> Tickets:
        """The links that open once."""
        return Tickets(self._server)

    @cached_property
    def tries(self) -> Tries:
        """How often logins were tried."""
        return Tries(self._server)

    def log_in(self, name: str, password: str, address: str) -> tuple[str, Principal]:
        """Begin a login; return what its cookie holds, and who it is.

        Raises:
            LoginRefused: name and password open nothing.
            TooManyTries: it was tried too often.
        """
        small = name.strip().lower()[:64]
        self.tries.count(small, address)
        try:
            person = self.people.checked(small, password)
        except LoginRefused:
            log.warning("login_refused address=%s", address)
            raise
        self.tries.succeeded(small, address)
        return self.sessions.open(person.name, person.epoch), Principal(person.name, person.tenant, person.role)

    def enter(self, token: str) -> str:
        """Begin a login by a link, as who administers all; return what its cookie holds.

        Raises:
            LinkOver: it does not open, or not any more.
        """
        self.tickets.take("enter", token)
        return self.sessions.open(BY_LINK, role="admin", longest=LINK_LASTS)

    def of_cookie(self, token: str) -> Principal | None:
        """Return whose login a cookie is; None when it is over."""
        login = self.sessions.find(token)
        if login is None:
            return None
        if login.role:
            return Principal(f"{login.name}:{digest_of(token)[:6]}", None, "admin") if login.role == "admin" else None
        person = self.people.find(login.name)
        if person is None or person.epoch != login.epoch or not self._is_there(person.tenant, person.born):
            return None
        return Principal(person.name, person.tenant, person.role)

    def of_key(self, secret: str) -> Principal | None:
        """Return whose key it is; None when it opens nothing."""
        key = self.api_keys.find(secret)
        if key is None or not self._is_there(key.tenant, key.born):
            return None
        role: Role | None = key.role
        if key.owner:
            role = self._role_of(key.owner, key.role)
        name = f"key:{key.id[:8]}" + (f" {key.name}" if key.name else "")
        return Principal(name, key.tenant, role, key.owner) if role else None

    def forget_tenant(self, tenant: str) -> None:
        """Let nobody in any more who saw that tenant alone."""
        self.people.forget_tenant(tenant)
        self.api_keys.forget_tenant(tenant)

    def _role_of(self, owner: str, role: Role) -> Role | None:
        """Return what a key may whose own it is: no more than they now; None when they are gone."""
        person = self.people.find(owner.partition(" ")[0])
        if person is None or owner_of(person.name, person.created) != owner:
            return None
        return min(role, person.role, key=ROLES.index)

    def _is_there(self, tenant: str | None, born: int | None) -> bool:
        """Whether that tenant is still the one that it was."""
        if tenant is None:
            return True
        with self._server.renamed("reading who is a tenant", operator=True):
            return born is not None and born_of(self._redis.hget(keys.TENANTS, tenant)) == born
