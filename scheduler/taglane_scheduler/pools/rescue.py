"""Takes over what dead workers of shared pools held, in every tenant that they had visited. Scripts: pool_lost, rescue.

The claim is the worker's heartbeat counter, as of any worker. What was claimed stays on record until all of its tenants
have their runs back: so a scheduler that dies half-way leaves the rest to another.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from taglane.errors import NodeUnavailable, ServerUnavailable, TaglaneError
from taglane.model.watch import Watch
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taglane.store.leases import Beat
    from taglane.store.pools import Pools
    from taglane.store.server import Server

log = logging.getLogger(__name__)


class PoolRescue:
    """Watches the heartbeat counters of the pools' workers. For one thread.

    Args:
        server: with the operator's credential.
        pools: the pools of that server.
        lease_ms: how long a worker may be silent.
        clock: monotonic, s.
    """

    def __init__(
        self, server: Server, pools: Pools, lease_ms: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._server = server
        self._pools = pools
        self._clock = clock
        self._watch = Watch(lease_ms / 1000)
        self.interval = min(1.0, lease_ms / 1000 / 6)
        """How often to call `step`, s: often enough that no watch starts anew for want of readings."""

    def step(self, pools: Sequence[str]) -> int:
        """Read the counters of all workers of these pools; answers how many lives were taken over from.

        Raises:
            ServerUnavailable: no answer; every watch starts anew.
        """
        try:
            beats: dict[tuple[str, str], Beat] = {}
            there = [pool for pool in pools if self._read(pool, beats)]
            at = self._clock()
            for (pool, worker), beat in beats.items():
                if self._watch.observe((pool, worker), beat.counter, at, beat.lease):
                    self._pools.claim_lost(pool, worker, beat.counter)
            self._watch.keep(beats)
            return sum(self._take_over(pool) for pool in there)
        except ServerUnavailable:
            self.restart()
            raise

    def restart(self) -> None:
        """Start every watch anew: what was read before a reconnect says nothing."""
        self._watch.restart()

    def _read(self, pool: str, beats: dict[tuple[str, str], Beat]) -> bool:
        """Add the heartbeats of a pool's workers; False where its node of a cluster gives no answer."""
        try:
            beats |= {(pool, worker): beat for worker, beat in self._pools.beats(pool).items()}
        except NodeUnavailable:
            return False
        return True

    def _take_over(self, pool: str) -> int:
        lost = self._pools.lost(pool)
        for life, visited in lost.items():
            tenants = self._known(visited)
            queued = dead = 0
            unreached: list[str] = []
            while tenants:  # one call moves so many runs at most
                answers = self._server.calls([("rescue", tenant, [life, "", "1"]) for tenant in tenants])
                left = []
                for tenant, answer in zip(tenants, answers, strict=True):
                    if isinstance(answer, NodeUnavailable):
                        unreached.append(tenant)
                    elif isinstance(answer, TaglaneError):
                        log.error("rescue_failed tenant=%s worker=%s error=%s", tenant, life, answer)
                    elif any(answer):
                        queued, dead = queued + answer[0], dead + answer[1]
                        left.append(tenant)
                tenants = left
            log.warning("pool_worker_rescued pool=%s worker=%s queued=%d dead=%d", pool, life, queued, dead)
            if not unreached:  # else it stays on record, until each node has answered
                self._pools.forget_lost(pool, life)
        return len(lost)

    def _known(self, tenants: Sequence[str]) -> list[str]:
        """Those that are tenants still: a deleted one has nothing, and is to stay so."""
        if not tenants:
            return []
        with self._server.renamed("reading the tenants"):
            records = self._server.redis.hmget(keys.TENANTS, list(tenants))
        return [tenant for tenant, record in zip(tenants, records, strict=True) if record is not None]
