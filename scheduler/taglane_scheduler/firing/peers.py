"""Shares the tenants among the schedulers that live: one goes first, and the next steps in when that one stands still.

A courtesy that saves work, and nothing depends on it: whoever comes second loses every claim. There is no leader and no
lease; a scheduler lives while its heartbeat counter moves. While it does, the others leave its tenants alone, so that
two schedulers ask the server hardly more than one.
"""

from __future__ import annotations

import hashlib
import os
import socket
from typing import TYPE_CHECKING

from taglane.model.watch import Watch
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from taglane.store.server import Server

BEAT_S = 0.2
STILL_S = 0.6
"""For how long a counter stands still until others step in. One that is merely late has its work looked at twice."""

DEAD_AFTER_S = 5.0
LEAVE_MS = 5_000
"""By how much later we look at a tenant of another whose counter moves: it should have nothing left for us."""

_COUNT = "#!lua flags=allow-oom\nreturn redis.call('HINCRBY', KEYS[1], ARGV[1], 1)"
"""A heartbeat that a server out of memory takes as well: HINCRBY by itself is refused by one."""


def scheduler_id() -> str:
    """Return an id that no other scheduler has: where this one runs, and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"


def goes_first(me: str, others: Collection[str], tenant: str) -> bool:
    """Say whether *me* has the highest weight for *tenant* (rendezvous hashing): all who ask agree."""
    mine = _weight(me, tenant)
    return all(mine > _weight(other, tenant) for other in others)


def _weight(scheduler: str, tenant: str) -> bytes:
    return hashlib.blake2b(f"{scheduler}\0{tenant}".encode(), digest_size=8).digest()


class Peers:
    """The other schedulers of this server, by their heartbeat counters in `taglane:{.}:schedulers`."""

    def __init__(self, server: Server, me: str = "") -> None:
        self.me = me or scheduler_id()
        self.others: frozenset[str] = frozenset()
        self._server = server
        self._watch = Watch(DEAD_AFTER_S)
        self._counters: dict[str, tuple[str, float]] = {}  # of each, and when it was first read
        self._moving: frozenset[str] = frozenset()
        self._moved: frozenset[str] = frozenset()  # whose counters moved as of the beat before

    def beat(self, at: float, *, serves: bool = True) -> int:
        """Move our counter and read the others', at *at*, s, on a monotonic clock; strike out who is dead.

        One that *serves* nobody for now strikes itself out instead: else its tenants would wait for it.

        Returns the server's time, ms.

        Raises:
            ServerUnavailable: no answer.
        """
        with self._server.renamed("the schedulers' heartbeat"):
            pipeline = self._server.redis.pipeline(transaction=False)
            if serves:
                pipeline.eval(_COUNT, 1, keys.SCHEDULERS, self.me)
            else:
                pipeline.hdel(keys.SCHEDULERS, self.me)
            pipeline.hgetall(keys.SCHEDULERS)
            pipeline.time()
            _, counters, (seconds, micros) = pipeline.execute()
            living, dead = {}, []
            for name, counter in counters.items():
                peer, count = name.decode(errors="replace"), counter.decode(errors="replace")
                if peer != self.me:
                    gone = self._watch.observe(peer, count, at)
                    known = self._counters.get(peer, ("", at))
                    if gone:
                        dead.append(name)
                    else:
                        living[peer] = known if known[0] == count else (count, at)
            if dead:
                self._server.redis.hdel(keys.SCHEDULERS, *dead)
        self._watch.keep(living)
        self._counters = living
        self.others = frozenset(living)
        self._moved = self._moving
        self._moving = frozenset(peer for peer, (_, since) in living.items() if at - since < STILL_S)
        return int(seconds) * 1000 + int(micros) // 1000

    @property
    def company(self) -> int:
        """How many schedulers share the tenants, we among them."""
        return 1 + len(self._moving)

    def delay(self, tenant: str) -> int:
        """Return how long, ms, to leave a due instant of *tenant* to another scheduler."""
        return 0 if goes_first(self.me, self._moving, tenant) else LEAVE_MS

    def inherited(self, tenants: Iterable[str]) -> list[str]:
        """Return those of *tenants* that have become ours with the last beat, since another's counter stands still."""
        if self._moved <= self._moving:
            return []
        ours = (tenant for tenant in tenants if goes_first(self.me, self._moving, tenant))
        return [tenant for tenant in ours if not goes_first(self.me, self._moved, tenant)]

    def leave(self) -> None:
        """Strike ourselves out, so that the others need not wait.

        Raises:
            ServerUnavailable: no answer.
        """
        with self._server.renamed("leaving the schedulers"):
            self._server.redis.hdel(keys.SCHEDULERS, self.me)
