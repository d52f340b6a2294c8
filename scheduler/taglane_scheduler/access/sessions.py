"""Keeps logins: a random cookie, of which the SHA-256 alone is stored, with who it is and until when at most.

A login is over 12 hours after it was last used, 7 days after it began, and at once when it is ended or when who it is
gets another password or role. The server's own expiry ends it: no clock of ours is asked.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taglane.store import full, keys

if TYPE_CHECKING:
    from taglane.store.server import Server

    from taglane_scheduler.access.principal import Role

IDLE = 12 * 3_600_000
LONGEST = 7 * 24 * 3_600_000
AGAIN = 60_000
"""A login that is used is prolonged when its last use is that old: one write a minute."""


@dataclass(frozen=True, slots=True)
class Login:
    """One login.

    name    who it is
    epoch   of that person's record; a login of another epoch is over
    role    of one who came by a link, and is nobody's in the record; '' for a person, whose role is in the record
    ends    ms: it is over then, however much it is used
    """

    name: str
    epoch: str = ""
    role: Role | str = ""
    ends: int = 0


def digest_of(token: str) -> str:
    """Return what is stored of a cookie."""
    return sha256(token.encode()).hexdigest()


def csrf_of(token: str) -> str:
    """Return what each form of a login has to bring: who has not the cookie can't know it."""
    return sha256(f"csrf {token}".encode()).hexdigest()


class Sessions:
    """The logins of one server's consoles."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def open(self, name: str, epoch: str = "", role: Role | str = "", longest: int = LONGEST) -> str:
        """Begin a login, and return what its cookie holds."""
        token = secrets.token_urlsafe(32)
        with self._server.renamed("beginning a login", operator=True):
            seconds, micros = self._redis.time()
            login = Login(name, epoch, role, seconds * 1000 + micros // 1000 + longest)
            life = str(min(IDLE, longest))
            full.write(self._redis, "SET", keys.session(digest_of(token)), json.dumps(asdict(login)), "PX", life)
        return token

    def find(self, token: str) -> Login | None:
        """Return the login of a cookie, None when there is none or it is over; its use prolongs it."""
        key = keys.session(digest_of(token))
        with self._server.renamed("reading a login", operator=True):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.get(key)
            pipeline.pttl(key)
            pipeline.time()
            text, left, (seconds, micros) = pipeline.execute()
            login = _read(text)
            now = seconds * 1000 + micros // 1000
            if login is None or login.ends <= now:
                return None
            life = min(IDLE, login.ends - now)
            if left < life - AGAIN:
                self._redis.pexpire(key, life)  # of one that was ended meanwhile there is nothing to prolong
        return login

    def end(self, token: str) -> None:
        """End a login."""
        with self._server.renamed("ending a login", operator=True):
            self._redis.unlink(keys.session(digest_of(token)))


def _read(text: bytes | None) -> Login | None:
    if text is None:
        return None
    try:
        values = json.loads(text)
        return Login(str(values["name"]), str(values["epoch"]), values["role"], int(values["ends"]))
    except (ValueError, KeyError, TypeError):  # whoever has the operator's credential may write anything
        return None
