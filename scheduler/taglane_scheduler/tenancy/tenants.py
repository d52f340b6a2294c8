"""Makes, lists and removes tenants: the record in `taglane:{.}:tenants` is the truth, the server's ACL users follow it.

ACL users are neither replicated nor in the append-only file, so whoever starts a scheduler, or fails over, applies them
again from the record. It holds hashes of passwords; a password itself is shown once, in the url that `create` returns.
All of this takes the operator's credential.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as TimedOut
from taglane.errors import NotFenced, TenantExists, TenantNotFound
from taglane.model.names import check_tenant
from taglane.store import functions, keys
from taglane.store.pools import Pools

from taglane_scheduler.tenancy import acl
from taglane_scheduler.tenancy.audit import Audit
from taglane_scheduler.tenancy.record import Record
from taglane_scheduler.tenancy.users import Users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from taglane.store.server import Server

log = logging.getLogger(__name__)

UNFENCED = (
    "the server lets this credential make no users (ACL SETUSER): a tag is a convention here, and whoever has the url "
    "reaches every tenant"
)

OVERLAP = 86_400_000
"""How long, ms, an old password opens beside a new one, unless said otherwise: a day to roll out the new one."""

_BATCH = 1_000
"""How many keys one SCAN looks at, in about 0.3 ms: the server serves others in between."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant just made, or given a new password: *url* holds that password, and is kept nowhere.

    Not *fenced*, it is the operator's own url: the server lets nobody make users, and a tag is a convention.
    """

    tenant: str
    tag: str
    url: str
    fenced: bool = True


@dataclass(frozen=True, slots=True)
class Password:
    """One that opens a tenant: *id* tells it from others, *until* is when it ends, ms; None: with a rotation."""

    id: str
    until: int | None


@dataclass(frozen=True, slots=True)
class TenantInfo:
    """A tenant as its record says: *created* in ms, *user* its ACL user, *cut* why it is cut off, if it is."""

    tenant: str
    tag: str
    user: str
    created: int
    passwords: tuple[Password, ...]
    cut: str = ""


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

    Args:
        server: with the operator's credential.
        forget: is told which tenant is being deleted, once nobody can log in as it any more.
    """

    def __init__(self, server: Server, forget: Callable[[str], object] = lambda _: None) -> None:
        self._server = server
        self._forget = forget
        self._redis: Any = server.redis  # redis-py can't say whether a reply is str, bytes or awaitable
        self._users = Users(server)
        self.audit = Audit(server)
        """Where each change is entered."""

    def create(self, name: str) -> Tenant:
        """Enter *name* into the record and make its user, in one step: of two callers at once, one creates.

        Raises:
            BadName: no tenant may be called that.
            TenantExists: one is; its password stays what it was.
        """
        check_tenant(name)
        password, digest = _new_password()

        def enter(old: Record | None) -> Record:
            if old is not None:
                raise TenantExists(name)
            return Record(created=now, password_hashes=(digest,))

        with self._renamed(f"creating tenant {name}"):
            now = self._now()
            functions.load(self._redis)
            # Of a server that was emptied: who is still logged in has an older password.
            self._users.write(name, enter, disconnects=True)
            self._wake(name)
        return self._made("create", name, password)

    def rotate(self, name: str, *, overlap: int = OVERLAP) -> Tenant:
        """Give *name* a new password. The old ones open for *overlap* ms more; a scheduler ends them then.

        With 0 they end at once, and with them all connections of the tenant. At the end of an overlap all connections
        end as well: a client with the new password connects again by itself.

        Raises:
            TenantNotFound: there is none.
            NotFenced: tenants have no passwords on this server.
        """
        password, digest = _new_password()

        def turn(old: Record | None) -> Record:
            if old is None:  # another process may delete it at this moment: that must not be undone
                raise self._not_found(name)
            return old.rotated(digest, now=now, overlap=overlap)

        with self._renamed(f"rotating the password of {name}"):
            if not self._users.enforces():
                raise NotFenced(f"tenant {name} can't be given a new password")
            now = self._now()
            self._users.write(name, turn, disconnects=not overlap)
        return self._made("rotate", name, password, overlap_ms=overlap)

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

    def some(self, names: Sequence[str]) -> Sequence[TenantInfo]:
        """Return those of these tenants that there are, in one round trip."""
        if not names:
            return []
        with self._renamed("reading tenants"):
            texts = self._redis.hmget(keys.TENANTS, names)
        return [
            _info(name, Record.from_json(text)) for name, text in zip(names, texts, strict=True) if text is not None
        ]

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
        """Remove the user, its connections, the tenant's keys, last its record and its turns in the pools.

        Returns how many keys there were.

        Interrupted, it has shut the tenant out already, and can be asked again. It looks through all keys of the
        server, a thousand a call, and again until it finds none: whoever was at it when it began has written its last.

        Raises:
            TenantNotFound: there is none.
        """

        def shut(old: Record | None) -> Record:
            if old is None:
                raise self._not_found(name)
            return old.shut()

        with self._renamed(f"deleting tenant {name}"):
            # First a record that opens to no password: a scheduler that applies the users now can't let it in again.
            self._users.write(name, shut, disconnects=True)
            self._forget(name)
            count = 0
            while found := self._unlink(name):
                count += found
            self._users.write(name, lambda old: old if old and old.password_hashes else None)  # not a new one's
            Pools(self._server).forget_tenant(name)
            self._forget_alerting(name)
            self._wake(name)
        self.audit.note("delete", name, keys=count)
        return count

    def apply_all(self) -> int:
        """Make every user of the record again, as this version of Taglane wants it; return how many there are.

        For each (re)connect of a scheduler, and so for each failover. It interrupts no connection of a tenant, but of
        those whose password has ended meanwhile.
        """
        with self._renamed("applying the tenants' users"):
            self._users.end_passwords()
            count = self._users.apply_all()
        if self._users.enforces():
            self.audit.note("users-applied", "", users=count)
        else:
            log.warning("isolation_by_convention why=%s", UNFENCED)
        return count

    def sweep(self) -> None:
        """Do what is to be done now and then: end passwords whose overlap is over, and give replicas their users."""
        with self._renamed("ending passwords"):
            ended = self._users.end_passwords()
        for name in ended:
            log.info("password_ended tenant=%s", name)
            self.audit.note("password-ended", name)
        self.apply_to_replicas()

    def fenced(self) -> bool:
        """Whether the server keeps the tenants apart: with this credential, users can be made."""
        with self._renamed("asking whether users can be made"):
            return self._users.enforces(ask_again=True)

    def users_amiss(self) -> Sequence[str]:
        """Return the tenants whose user the server has not, or has otherwise than the record asks for.

        Raises:
            NotFenced: this credential may make no users, nor look at any.
        """
        if not self.fenced():
            raise NotFenced("the tenants' users can't be compared")
        with self._renamed("comparing the tenants' users"):
            return self._users.amiss()

    def apply_to_replicas(self) -> None:
        """Let each replica have the users that the record asks for, as far as it lacks them: for each sweep."""
        with self._renamed("applying the tenants' users to the replicas"):
            self._users.apply_to_replicas()

    def _renamed(self, what: str) -> AbstractContextManager[None]:
        return self._server.renamed(what, operator=True)

    def _unlink(self, name: str) -> int:
        """Remove what lies under the tenant's prefixes; return how many keys that were."""
        own, read_only = keys.prefix(name).encode(), keys.read_only_prefix(name).encode()
        count = 0
        for node in self._server.nodes():  # all: the tenant may be on its way from one to another
            try:
                for found in _walk(node, f"*:{{{name}}}:*"):  # one for both: it finds strangers' keys, too
                    if mine := [key for key in found if key.startswith((own, read_only))]:
                        count += self._redis.unlink(*mine)
            except (LostConnection, TimedOut):
                if node is self._server.node_at(keys.prefix(name)):
                    raise
        return count

    def _forget_alerting(self, name: str) -> None:
        """Forget the tenant's own rules and channels: whoever gets the name next has none of them."""
        for key in keys.ALERT_PARTS:
            own = [field for field in self._redis.hkeys(key) if field.startswith(f"{name}/".encode())]
            if own:
                self._redis.hdel(key, *own)

    def _records(self) -> dict[str, Record]:
        with self._renamed("the list of tenants"):
            fields = self._redis.hgetall(keys.TENANTS)
        return {name.decode(): Record.from_json(text) for name, text in fields.items()}

    def _not_found(self, name: str) -> TenantNotFound:
        near = get_close_matches(name, self.names(), n=1)
        return TenantNotFound(name, near[0] if near else "")

    def _wake(self, name: str) -> None:
        self._server.node_at(keys.TENANTS).publish(
            keys.wake(name), b"0"
        )  # all nodes pass it on; the tenant's may be gone

    def _now(self) -> int:
        seconds, micros = self._server.node_at(keys.TENANTS).time()  # the clock that ends passwords, too
        return int(seconds) * 1000 + int(micros) // 1000

    def _made(self, action: str, name: str, password: str, **details: int) -> Tenant:
        fenced = self._users.enforces()
        self.audit.note(action, name, **details, **({} if fenced else {"fenced": 0}))
        url = url_for(self._server.url, acl.user_of(name), password) if fenced else self._server.url
        return Tenant(tenant=name, tag=name, url=url, fenced=fenced)


def _walk(redis: Any, pattern: str) -> Iterator[Sequence[bytes]]:
    cursor = 0
    while True:
        cursor, found = redis.scan(cursor, match=pattern, count=_BATCH)
        yield found
        if cursor == 0:
            return


def _info(name: str, record: Record) -> TenantInfo:
    passwords = tuple(Password(digest[:8], record.until.get(digest)) for digest in record.password_hashes)
    return TenantInfo(name, name, acl.user_of(name), record.created, passwords, record.cut)


def _new_password() -> tuple[str, str]:
    password = secrets.token_urlsafe(32)
    return password, sha256(password.encode()).hexdigest()
