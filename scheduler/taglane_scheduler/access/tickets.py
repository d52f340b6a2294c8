"""Makes links that open the console once: to set it up, and into one just started. Their hash alone is kept."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from taglane.store import full, keys

from taglane_scheduler.access.errors import LinkOver

if TYPE_CHECKING:
    from taglane.store.server import Server

Kind = Literal["setup", "enter"]

LASTS = 3_600_000
"""ms, for which a link opens."""


class Tickets:
    """The links of one server's consoles."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def make(self, kind: Kind) -> str:
        """Return the path, with its token, that opens once: ``/setup?token=…`` or ``/enter?token=…``."""
        token = secrets.token_urlsafe(32)
        with self._server.renamed("making a link", operator=True):
            full.write(self._redis, "SET", _key(token), kind, "PX", str(LASTS))
        return f"/{kind}?token={token}"

    def check(self, kind: Kind, token: str) -> None:
        """Raise LinkOver unless the link still opens."""
        with self._server.renamed("reading a link", operator=True):
            if self._redis.get(_key(token)) != kind.encode():
                raise LinkOver

    def take(self, kind: Kind, token: str) -> None:
        """Use the link: of many at once, one does.

        Raises:
            LinkOver: it was used, is too old, or never was.
        """
        self.check(kind, token)
        with self._server.renamed("using a link", operator=True):
            if not self._redis.delete(_key(token)):
                raise LinkOver


def _key(token: str) -> str:
    return keys.ticket(sha256(token.encode()).hexdigest())
