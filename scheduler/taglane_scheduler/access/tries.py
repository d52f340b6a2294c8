"""Counts how often a login is tried, on the server: several consoles count as one, and a restart forgets nothing."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taglane.store import full, keys

from taglane_scheduler.access.errors import TooManyTries

if TYPE_CHECKING:
    from taglane.store.server import Server

WINDOW = 600_000
"""ms, from the first try, after which they are counted anew."""

PER_NAME = 20
PER_ADDRESS = 40


class Tries:
    """The tries of one server's consoles."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._redis: Any = server.redis

    def count(self, name: str, address: str) -> None:
        """Count a try, before it is one: many at once can't all be the first.

        Raises:
            TooManyTries: there were too many, with this name or from this address.
        """
        self._count(f"address {_network(address)}", PER_ADDRESS)
        self._count(f"name {name}", PER_NAME)

    def succeeded(self, name: str, address: str) -> None:
        """Forget those with this name, and this one from this address: not the others."""
        with self._server.renamed("counting logins", operator=True):
            self._redis.unlink(_key(f"name {name}"))
            if self._redis.exists(key := _key(f"address {_network(address)}")):
                full.write(self._redis, "DECR", key)

    def _count(self, what: str, most: int) -> None:
        key = _key(what)
        with self._server.renamed("counting logins", operator=True):
            pipeline = self._redis.pipeline(transaction=False)
            full.write(pipeline, "SET", key, "0", "NX", "PX", str(WINDOW))
            full.write(pipeline, "INCR", key)
            pipeline.pttl(key)
            _, count, left = pipeline.execute()
            if left < 0:  # it had ended between the two
                self._redis.pexpire(key, WINDOW)
        if count > most:
            raise TooManyTries(max(1.0, left / 1000))


def _network(address: str) -> str:
    """Return what one user has: an IPv4 address, or the /64 of an IPv6 one."""
    with suppress(ValueError):
        found = ipaddress.ip_address(address)
        if found.version == 6:
            return str(ipaddress.ip_network((found, 64), strict=False))
    return address


def _key(what: str) -> str:
    return keys.tries(sha256(what.encode()).hexdigest())
