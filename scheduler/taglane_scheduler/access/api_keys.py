"""Keeps API keys: a random 256 bits, of which the SHA-256 alone is stored, with a role and a tenant, or all.

A guess at 256 random bits is hopeless, so the hash need not be slow. All of this takes the operator's credential.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taglane.store import full, keys

from taglane_scheduler.access.errors import ApiKeyNotFound, BadRole, TooManyKeys
from taglane_scheduler.access.people import born_of, check_role

if TYPE_CHECKING:
    from taglane.store.server import Server

    from taglane_scheduler.access.principal import Role

PREFIX = "tl_"
"""What every key begins with, so that scanners of repositories find one that was committed."""

MOST = 200
"""Keys of one tenant, or for all tenants."""

USE_S = 60.0
"""Between two notes of one key's use."""

PAGE = 500


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without what opens.

    id       what it is called by; the beginning of its hash
    name     what its maker called it
    tenant   the only one that it sees; None: all
    born     when that tenant was made, ms: another of its name is another tenant
    by       who made it
    owner    whose own it is, as `owner_of` says it, and so ends with them and may no more than they; '' for nobody's
    created, expires, used  ms; None: never
    """

    id: str
    name: str
    role: Role
    tenant: str | None
    born: int | None
    by: str
    created: int
    expires: int | None
    digest: str
    owner: str = ""
    used: int | None = None


def owner_of(name: str, created: int) -> str:
    """Return what is kept of whose own a key is: another person of that name is another person."""
    return f"{name} {created}"


class ApiKeys:
    """The API keys of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis
        self._noted: dict[str, float] = {}

    def create(  # noqa: PLR0913 - one for each thing that is kept
        self,
        role: str,
        tenant: str | None,
        *,
        name: str = "",
        by: str = "",
        owner: str = "",
        lasts: int | None = None,
    ) -> tuple[str, ApiKey]:
        """Make a key, and return it: shown this once. *tenant* must be one; *lasts* is in ms, None: for ever.

        Raises:
            BadRole: it is no role.
            TooManyKeys: there are as many as there may be.
        """
        rank = check_role(role)
        secret = PREFIX + secrets.token_urlsafe(32)
        digest = sha256(secret.encode()).hexdigest()
        with self._server.renamed("making an API key", operator=True):
            seconds, micros = self._redis.time()
            now = seconds * 1000 + micros // 1000
            low, high = _range(tenant)
            if self._redis.zlexcount(keys.API_KEY_ORDER, low, high) >= MOST:
                raise TooManyKeys(tenant, MOST)
            born = born_of(self._redis.hget(keys.TENANTS, tenant)) if tenant else None
            key_id = digest[:16]
            made = ApiKey(key_id, name[:64], rank, tenant, born, by, now, lasts and now + lasts, digest, owner)
            full.write(self._redis, "ZADD", keys.API_KEY_ORDER, "0", _member(tenant, key_id))
            full.write(self._redis, "HSET", keys.API_KEYS, key_id, _text(made))
        return secret, made

    def list(
        self, tenant: str | None = None, *, every: bool = False, after: str = "", limit: int = PAGE
    ) -> list[ApiKey]:
        """Return keys: a tenant's, those for all tenants (None), or *every* one.

        *after* is the `place` of the last of the page before.
        """
        low, high = ("-", "+") if every else _range(tenant)
        with self._server.renamed("reading API keys", operator=True):
            found = self._redis.zrangebylex(
                keys.API_KEY_ORDER, f"({after}" if after else low, high, start=0, num=min(limit, PAGE)
            )
            ids = [member.rpartition(b"|")[2] for member in found]
            if not ids:
                return []
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.hmget(keys.API_KEYS, ids)
            pipeline.hmget(keys.API_KEY_USE, ids)
            stored, used = pipeline.execute()
        read = [
            _read(each.decode(errors="replace"), text, at) for each, text, at in zip(ids, stored, used, strict=True)
        ]
        return [key for key in read if key is not None]

    def get(self, key_id: str) -> ApiKey:
        """Return one key.

        Raises:
            ApiKeyNotFound: there is none.
        """
        with self._server.renamed("reading an API key", operator=True):
            text, used = self._redis.hget(keys.API_KEYS, key_id), self._redis.hget(keys.API_KEY_USE, key_id)
        found = _read(key_id, text, used)
        if found is None:
            raise ApiKeyNotFound(key_id)
        return found

    def revoke(self, key_id: str) -> ApiKey:
        """Let a key open nothing any more, from now on.

        Raises:
            ApiKeyNotFound: there is none.
        """
        found = self.get(key_id)
        with self._server.renamed("revoking an API key", operator=True):
            if not self._redis.hdel(keys.API_KEYS, key_id):
                raise ApiKeyNotFound(key_id)
            self._redis.hdel(keys.API_KEY_USE, key_id)
            self._redis.zrem(keys.API_KEY_ORDER, _member(found.tenant, key_id))
        return found

    def forget_tenant(self, tenant: str) -> None:
        """Revoke the keys of a tenant that is gone."""
        for key in self.list(tenant):
            self.revoke(key.id)

    def find(self, secret: str) -> ApiKey | None:
        """Return the key that opens with *secret*, None when none does, or not any more; notes its use."""
        digest = sha256(secret.encode()).hexdigest()
        with self._server.renamed("reading an API key", operator=True):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.time()
            pipeline.hget(keys.API_KEYS, digest[:16])
            (seconds, micros), text = pipeline.execute()
        found, now = _read(digest[:16], text, None), seconds * 1000 + micros // 1000
        if found is None or not hmac.compare_digest(found.digest, digest):
            return None
        if found.expires is not None and found.expires <= now:
            return None
        self._note_use(found.id, now)
        return found

    def _note_use(self, key_id: str, now: int) -> None:
        began = time.monotonic()
        if began - self._noted.get(key_id, -USE_S) < USE_S:
            return
        if len(self._noted) > 10_000:  # keys that were used once, long ago
            self._noted.clear()
        self._noted[key_id] = began
        with self._server.renamed("noting an API key's use", operator=True):
            full.write(self._redis, "HSET", keys.API_KEY_USE, key_id, str(now))


def place(key: ApiKey) -> str:
    """Return where a key stands in the order of all: the cursor behind it."""
    return _member(key.tenant, key.id)


def _member(tenant: str | None, key_id: str) -> str:
    return f"{tenant or ''}|{key_id}"


def _range(tenant: str | None) -> tuple[str, str]:
    return f"[{tenant or ''}|", f"({tenant or ''}}}"  # '}' comes behind '|'


def _text(key: ApiKey) -> str:
    return json.dumps({name: value for name, value in asdict(key).items() if name not in {"id", "used"}})


def _read(key_id: str, text: bytes | None, used: bytes | None) -> ApiKey | None:
    if text is None:
        return None
    try:
        values = json.loads(text)
        return ApiKey(
            id=key_id,
            name=str(values["name"]),
            role=check_role(values["role"]),
            tenant=values["tenant"],
            born=values["born"],
            by=str(values["by"]),
            created=int(values["created"]),
            expires=None if values["expires"] is None else int(values["expires"]),
            digest=str(values["digest"]),
            owner=str(values["owner"]),
            used=None if used is None else int(used),
        )
    except (ValueError, KeyError, TypeError, BadRole):  # whoever has the operator's credential may write anything
        return None
