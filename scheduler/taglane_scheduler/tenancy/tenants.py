"""Makes, lists and removes tenants: the record in `taglane:tenants` is the truth, the server's ACL users follow it.

ACL users are neither replicated nor in the append-only file, so whoever starts a scheduler, or fails over, applies them
again from the record. It holds hashes of passwords; a password itself is shown once, in the url that `create` returns.
All of this takes the operator's credential.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from difflib import get_close_matches
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from taglane.errors import TenantExists, TenantNotFound
from taglane.model.names import check_tenant
from taglane.store import functions, keys
from taglane.store.pools import Pools

from taglane_scheduler.tenancy import acl
from taglane_scheduler.tenancy.users import Record, Users

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from taglane.store.server import Server

_BATCH = 500
"""How many keys one SCAN looks at: the server serves others in between."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant just made, or given a new password: *url* holds that password, and is kept nowhere."""

    tenant: str
    tag: str
    url: str


@dataclass(frozen=True, slots=True)
class TenantInfo:
    """A tenant as its record says: *created* in ms, *user* its ACL user."""

    tenant: str
    tag: str
    user: str
    created: int
    password_hashes: tuple[str, ...]


def url_for(url: str, user: str, password: str) -> str:
    """Return *url* with its credential, wherever that stands in it, replaced by this one."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in {"username", "password"}]
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return urlunsplit((parts.scheme, f"{login}@{host}", parts.path, urlencode(query), ""))


class Tenants:
    """The tenants of one server.

    Every method raises Refused when the credential is not the operator's.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis  # redis-py can't say whether a reply is str, bytes or awaitable
        self._users = Users(server)

    def create(self, name: str) -> Tenant:
        """Enter *name* into the record and make its user, in that order: of two callers at once, one creates.

        Raises:
            BadName: no tenant may be called that.
            TenantExists: one is; its password stays what it was.
        """
        check_tenant(name)
        with self._renamed(f"creating tenant {name}"):
            password, digest = _new_password()
            seconds, micros = self._redis.time()
            record = Record(created=seconds * 1000 + micros // 1000, password_hashes=(digest,))
            functions.load(self._redis)
            if not self._redis.hsetnx(keys.TENANTS, name, record.to_json()):
                raise TenantExists(name)
            try:
                self._users.apply(name)
            except BaseException:
                self._redis.hdel(keys.TENANTS, name)
                raise
            self._users.disconnect(name)  # of a server that was emptied: who is still logged in has an older password
            self._wake(name)
        return self._with_url(name, password)

    def rotate(self, name: str, *, keep_old: bool = False) -> Tenant:
        """Give *name* a new password. The old ones end, and with them the connections that they opened.

        Args:
            name: the tenant.
            keep_old: let the old ones go on beside it, for as long as its workers take to change over.
        """
        password, digest = _new_password()

        def write(pipeline: Any) -> None:
            text = pipeline.hget(keys.TENANTS, name)
            if text is None:  # another process may delete it at this moment: that must not be undone
                raise self._not_found(name)
            old = Record.from_json(text)
            kept = old.password_hashes if keep_old else ()
            pipeline.multi()
            pipeline.hset(keys.TENANTS, name, replace(old, password_hashes=(*kept, digest)).to_json())

        with self._renamed(f"rotating the password of {name}"):
            self._redis.transaction(write, keys.TENANTS)
            self._users.apply(name)
            if not keep_old:
                self._users.disconnect(name)
        return self._with_url(name, password)

    def names(self) -> list[str]:
        """Return the names of all tenants, sorted."""
        with self._renamed("the list of tenants"):
            return sorted(name.decode() for name in self._redis.hkeys(keys.TENANTS))

    def list(self) -> list[TenantInfo]:
        """Return all tenants, by name."""
        return [_info(name, record) for name, record in sorted(self._records().items())]

    def get(self, name: str) -> TenantInfo:
        """Return one tenant.

        Raises:
            TenantNotFound: there is none; names the one that was perhaps meant.
        """
        with self._renamed(f"tenant {name}"):
            text = self._redis.hget(keys.TENANTS, name)
        if text is None:
            raise self._not_found(name)
        return _info(name, Record.from_json(text))

    def require(self, names: Iterable[str]) -> None:
        """Raise TenantNotFound for the first of *names* that is no tenant.

        With a tenant's own credential, which may not read the record, no other tenant is in reach anyway: all pass.
        """
        if self._server.tenant is not None:
            return
        known = set(self.names())
        for name in names:
            if name not in known:
                raise self._not_found(name)

    def delete(self, name: str) -> int:
        """Remove the user, its connections, the tenant's keys, and last the record; return how many keys there were.

        Interrupted, it has shut the tenant out already, and can be asked again.

        Raises:
            TenantNotFound: there is none.
        """
        info = self.get(name)
        with self._renamed(f"deleting tenant {name}"):
            # First a record that opens to no password: a scheduler that applies the users now can't let it in again.
            shut = Record(created=info.created, password_hashes=())
            self._redis.hset(keys.TENANTS, name, shut.to_json())
            self._users.apply(name)
            self._users.disconnect(name)
            count = sum(self._unlink(prefix) for prefix in (keys.prefix(name), keys.read_only_prefix(name)))
            self._redis.hdel(keys.TENANTS, name)
            self._users.apply(name)
            self._wake(name)
        Pools(self._server).forget_tenant(name)
        return count

    def apply_all(self) -> int:
        """Make every user of the record again, as this version of Taglane wants it; return how many there are.

        For each (re)connect of a scheduler, and so for each failover. It interrupts no connection of a tenant.
        """
        with self._renamed("applying the tenants' users"):
            return self._users.apply_all()

    def users_amiss(self) -> Sequence[str]:
        """Return the tenants whose user the server has not, or has otherwise than the record asks for."""
        with self._renamed("comparing the tenants' users"):
            return self._users.amiss()

    def apply_to_replicas(self) -> None:
        """Let each replica have the users that the record asks for, as far as it lacks them: for each sweep."""
        with self._renamed("applying the tenants' users to the replicas"):
            self._users.apply_to_replicas()

    def _renamed(self, what: str) -> AbstractContextManager[None]:
        return self._server.renamed(what, operator=True)

    def _unlink(self, prefix: str) -> int:
        count, cursor = 0, 0
        while True:
            cursor, found = self._redis.scan(cursor, match=f"{prefix}*", count=_BATCH)
            if found:
                count += self._redis.unlink(*found)
            if cursor == 0:
                return count

    def _records(self) -> dict[str, Record]:
        with self._renamed("the list of tenants"):
            fields = self._redis.hgetall(keys.TENANTS)
        return {name.decode(): Record.from_json(text) for name, text in fields.items()}

    def _not_found(self, name: str) -> TenantNotFound:
        near = get_close_matches(name, self.names(), n=1)
        return TenantNotFound(name, near[0] if near else "")

    def _wake(self, name: str) -> None:
        self._redis.publish(keys.wake(name), b"0")

    def _with_url(self, name: str, password: str) -> Tenant:
        return Tenant(tenant=name, tag=name, url=url_for(self._server.url, acl.user_of(name), password))


def _info(name: str, record: Record) -> TenantInfo:
    return TenantInfo(name, name, acl.user_of(name), record.created, record.password_hashes)


def _new_password() -> tuple[str, str]:
    password = secrets.token_urlsafe(32)
    return password, sha256(password.encode()).hexdigest()
