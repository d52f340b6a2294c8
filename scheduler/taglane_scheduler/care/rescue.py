"""Takes over what dead workers held, through `rescue` of the library: its runs go back to the head of their queues."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from taglane.errors import ServerUnavailable, TaglaneError
from taglane.model.watch import Watch
from taglane.store import keys
from taglane.store.leases import Beat, read_beat
from taglane.store.reading import read_each
from taglane.store.workers import MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)

AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Rescued:
    """A worker that was given up for dead, and what became of its runs."""

    tenant: str
    worker: str
    queued: int
    dead: int
    """Runs that went to the dead letters: too many workers have died in them."""


class Rescue:
    """Watches the heartbeat counters of workers. For one thread.

    Args:
        server: the operator's, or a tenant's own.
        lease_ms: how long a worker may be silent.
        clock: monotonic, s.
        at_once: tenants with workers that are read in each step: of more, a part each step, and all of them within a
            quarter of a lease.
    """

    def __init__(
        self, server: Server, lease_ms: int, clock: Callable[[], float] = time.monotonic, *, at_once: int = AT_ONCE
    ) -> None:
        self._server = server
        self._at_once = at_once
        self._clock = clock
        self._watch = Watch(lease_ms / 1000)
        self._staff: dict[str, list[str]] = {}
        self._suspects: set[str] = set()
        self._steps = 0
        self.interval = min(1.0, lease_ms / 1000 / 6)
        """How often to call `step`, s: often enough that no watch starts anew for want of readings."""

        self._parts = max(1, int(lease_ms / 1000 / 4 / self.interval))
        """Steps within which each tenant is read: a living worker's counter has moved between two readings."""

    def step(self, tenants: Collection[str], told: Iterable[str] | None = None) -> list[Rescued]:
        """Read the counters of the workers of these tenants; rescue what is held by those that are dead.

        Of more tenants than are read at once it reads a part, and those with a counter that stood still of late.

        Args:
            tenants: all that have workers.
            told: those of which a worker may have come since the step before; None: all.

        Raises:
            ServerUnavailable: no answer; every watch starts anew.
        """
        for tenant in list(self._staff) if told is None else told:
            self._staff.pop(tenant, None)
        for tenant in self._staff.keys() - set(tenants):
            del self._staff[tenant]
        try:
            turn = self._turn(tenants)
            beats = self._read(turn)
            at = self._clock()
            dead = [who for who, beat in beats.items() if self._watch.observe(who, beat.counter, at, beat.lease)]
            self._suspects.difference_update(turn)
            self._suspects.update(who[0] for who in beats if self._watch.stands(who))
            self._watch.keep({(tenant, worker) for tenant, staff in self._staff.items() for worker in staff})
            rescued = self._rescue((*who, beats[who].counter) for who in dead)
        except ServerUnavailable:
            self.restart()
            raise
        for tenant in [one.tenant for one in rescued] + [
            tenant for (tenant, _), beat in beats.items() if not beat.counter
        ]:
            self._staff.pop(tenant, None)  # who has left is read no more
        return rescued

    def restart(self) -> None:
        """Start every watch anew: what was read before a reconnect says nothing."""
        self._watch.restart()
        self._staff.clear()
        self._suspects.clear()

    def _turn(self, tenants: Collection[str]) -> list[str]:
        """Whom to read in this step."""
        self._steps += 1
        parts = min(self._parts, -(-len(tenants) // self._at_once))
        if parts < 2:
            return list(tenants)
        part = self._steps % parts
        return [
            tenant
            for tenant in tenants
            if crc32(tenant.encode()) % parts == part or tenant in self._suspects or tenant not in self._staff
        ]

    def _read(self, tenants: Sequence[str]) -> dict[tuple[str, str], Beat]:
        """Return the heartbeat of each worker; tenants with corrupted keys have none."""
        unknown = [tenant for tenant in tenants if tenant not in self._staff]
        found = self._each("SRANDMEMBER", map(keys.workers, unknown), MOST)
        for tenant, members in zip(unknown, found, strict=True):
            self._staff[tenant] = [] if isinstance(members, Exception) else _names(members)
        workers = [(tenant, worker) for tenant in tenants for worker in self._staff[tenant]]
        beats = self._each("HMGET", (keys.worker(*who) for who in workers), "beat", "lease")
        moving = self._moving({tenant for tenant, _ in workers}) if self._server.clustered else set()
        return {
            who: read_beat(*beat)
            for who, beat in zip(workers, beats, strict=True)
            if not isinstance(beat, Exception) and who[0] not in moving
        }

    def _each(self, command: str, names: Iterable[str], *arguments: str | int) -> list[Any]:
        return read_each(self._server, "reading the workers' counters", command, names, *arguments)

    def _moving(self, tenants: Collection[str]) -> set[str]:
        """Those tenants that are on their way between nodes of a cluster: their workers' hearts can't beat."""
        asked = sorted(tenants)
        answers = self._server.calls([("version", tenant, []) for tenant in asked]) if asked else []
        return {tenant for tenant, answer in zip(asked, answers, strict=True) if isinstance(answer, TaglaneError)}

    def _rescue(self, dead: Iterable[tuple[str, str, str]]) -> list[Rescued]:
        claims = list(dead)
        answers = self._server.calls(("rescue", tenant, [worker, counter]) for tenant, worker, counter in claims)
        rescued = []
        for (tenant, worker, _), answer in zip(claims, answers, strict=True):
            if isinstance(answer, TaglaneError):
                log.error("rescue_failed tenant=%s worker=%s error=%s", tenant, worker, answer)
                continue
            rescued.append(Rescued(tenant, worker, *answer))
            level = logging.WARNING if any(answer) else logging.INFO
            log.log(level, "worker_rescued tenant=%s worker=%s queued=%d dead=%d", tenant, worker, *answer)
        return rescued


def _names(members: Iterable[bytes]) -> list[str]:
    """Return the ids that a worker of ours can have: a tenant's key may hold anything."""
    return [member.decode() for member in members if member.isascii()]
