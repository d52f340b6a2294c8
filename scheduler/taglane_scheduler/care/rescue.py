"""Takes over what dead workers held, through `rescue` of the library: its runs go back to the head of their queues."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.errors import ServerUnavailable, TaglaneError
from taglane.model.watch import Watch
from taglane.store import keys
from taglane.store.leases import Beat, read_beat
from taglane.store.workers import MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from taglane.store.server import Server

log = logging.getLogger(__name__)


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
    """

    def __init__(self, server: Server, lease_ms: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._watch = Watch(lease_ms / 1000)
        self.interval = min(1.0, lease_ms / 1000 / 6)
        """How often to call `step`, s: often enough that no watch starts anew for want of readings."""

    def step(self, tenants: Sequence[str]) -> list[Rescued]:
        """Read the counters of all workers of these tenants; rescue what is held by those that are dead.

        Raises:
            ServerUnavailable: no answer; every watch starts anew.
        """
        try:
            beats = self._read(tenants)
            at = self._clock()
            dead = [who for who, beat in beats.items() if self._watch.observe(who, beat.counter, at, beat.lease)]
            self._watch.keep(beats)
            return self._rescue((*who, beats[who].counter) for who in dead)
        except ServerUnavailable:
            self.restart()
            raise

    def restart(self) -> None:
        """Start every watch anew: what was read before a reconnect says nothing."""
        self._watch.restart()

    def _read(self, tenants: Sequence[str]) -> dict[tuple[str, str], Beat]:
        """Return the heartbeat of each worker; tenants with corrupted keys have none."""
        workers = [
            (tenant, worker)
            for tenant, members in zip(
                tenants, self._pipeline("SRANDMEMBER", map(keys.workers, tenants), MOST), strict=True
            )
            if not isinstance(members, Exception)
            for worker in _names(members)
        ]
        beats = self._pipeline("HMGET", (keys.worker(*who) for who in workers), "beat", "lease")
        moving = self._moving({tenant for tenant, _ in workers}) if self._server.clustered else set()
        return {
            who: read_beat(*beat)
            for who, beat in zip(workers, beats, strict=True)
            if not isinstance(beat, Exception) and who[0] not in moving
        }

    def _moving(self, tenants: Collection[str]) -> set[str]:
        """Those tenants that are on their way between nodes of a cluster: their workers' hearts can't beat."""
        asked = sorted(tenants)
        answers = self._server.calls([("version", tenant, []) for tenant in asked]) if asked else []
        return {tenant for tenant, answer in zip(asked, answers, strict=True) if isinstance(answer, TaglaneError)}

    def _pipeline(self, command: str, names: Iterable[str], *arguments: str | int) -> list[Any]:
        with self._server.renamed("reading the workers' counters"):
            pipeline: Any = self._server.redis.pipeline(transaction=False)
            for name in names:
                pipeline.execute_command(command, name, *arguments)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
            return answers

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
