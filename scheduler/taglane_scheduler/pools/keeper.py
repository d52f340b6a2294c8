"""Keeps the shared pools: tells them which tenants have work, and takes over from their dead workers.

A tenant's call can't write into a pool, which is the operator's: it says on its channel, once, that it has work, and
the keeper lets it have turns. Any number of schedulers may do so at once. A message may be lost, with the connection or
the scheduler: so each connect and each sweep looks at every tenant.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from taglane.errors import NodeUnavailable, Refused, ServerUnavailable
from taglane.model.names import SHARED, owner_of, pool_of
from taglane.store import keys

from taglane_scheduler.listening import SLICE_S, Listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from taglane.store.limits import LimitStore
    from taglane.store.pools import Pools
    from taglane.store.server import Server

    from taglane_scheduler.pools.rescue import PoolRescue

log = logging.getLogger(__name__)

SWEEP_S = 30.0
AGAIN_S = 1.0  # after a sweep that missed some
MOST = 1_000  # messages taken at once
BACKOFF_S = 1.0


class PoolKeeper:
    """A thread of each scheduler.

    Args:
        server: with the operator's credential, and connections of its own.
        pools: the pools of that server.
        limits: the tenants' limits, for their weights.
        rescue: takes over from dead workers of the pools.
        clock: monotonic, s.
    """

    def __init__(
        self,
        server: Server,
        pools: Pools,
        limits: LimitStore,
        rescue: PoolRescue,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._pools = pools
        self._limits = limits
        self._rescue = rescue
        self._clock = clock
        self._listening = Listening(
            server, "waiting for work of the pools", patterns=[keys.POOL_ALL], channels=[keys.POOLS], clock=clock
        )
        self._missed = False
        """Whether a sweep could not see to all tenants, or pools: a node of a cluster gave no answer."""
        self._known: set[str] = set()
        """The pools that have had a worker: a tenant may name any, and makes none by that."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="taglane-pools", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the end."""
        self._stopping.set()
        self._thread.join(10 * SLICE_S)
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._listening.close()
        self._server.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve()
            except (ServerUnavailable, Refused) as error:
                log.info("pools_unattended error=%s", error)
            except Exception:
                log.exception("pools_unattended")  # whatever it is: without this thread no pool has work
            self._rescue.restart()
            self._stopping.wait(BACKOFF_S)
        self._listening.close()

    def _serve(self) -> None:
        self.connect()
        sweep_at = self._clock() + SWEEP_S
        rescue_at = 0.0
        while not self._stopping.is_set():
            self.step(SLICE_S)
            now = self._clock()
            if now >= sweep_at:
                self.sweep()
                sweep_at = now + (AGAIN_S if self._missed else SWEEP_S)
            if now >= rescue_at:
                rescue_at = now + self._rescue.interval
                self._rescue.step(sorted(self._known))

    def connect(self) -> None:
        """Listen to every tenant, then look at every tenant."""
        self._listening.open()
        self.sweep()

    def step(self, seconds: float) -> int:
        """Wait for tenants that have work, *seconds* at most, and let them have turns; answers how many came."""
        wanted: dict[str, set[str]] = {}
        for message in self._read(seconds):
            told = message["data"].decode(errors="replace")
            if message["type"] == "message":  # a pool has a worker, for the first time perhaps
                self._known = set(self._pools.names())
                self.sweep([told] if told in self._known else [])
            elif message["type"] == "pmessage" and owner_of(told) == SHARED and pool_of(told) in self._known:
                tenant = message["channel"].decode(errors="replace").partition("{")[2].partition("}")[0]
                wanted.setdefault(pool_of(told), set()).add(tenant)
        return sum(self._wake(pool, tenants) for pool, tenants in wanted.items())

    def sweep(self, pools: Sequence[str] | None = None) -> None:
        """Let every tenant have turns that has work for these pools, for all without any."""
        if pools is None:
            self._known = set(self._pools.names())
        names = sorted(self._known) if pools is None else pools
        tenants = self._tenants() if names else []
        self._missed = False
        for pool in names:
            for some in self._by_shard(tenants):
                with self._passing_over():
                    self._wake(pool, self._pools.with_work(pool, some), guessed=True)

    def _wake(self, pool: str, tenants: Iterable[str], *, guessed: bool = False) -> int:
        woken = 0
        for names in self._by_shard(sorted(tenants)):
            for start in range(0, len(names), MOST):
                with self._passing_over():
                    there = self._limits.of_tenants(names[start : start + MOST])
                    self._pools.wake(pool, there, guessed=guessed)
                    woken += len(there)
        return woken

    def _by_shard(self, tenants: Sequence[str]) -> list[list[str]]:
        """Part tenants by the node that they are on: one that is gone is the trouble of its own alone."""
        parts: dict[str, list[str]] = {}
        for tenant in tenants:
            parts.setdefault(self._server.shard_of(tenant), []).append(tenant)
        return list(parts.values())

    @contextmanager
    def _passing_over(self) -> Iterator[None]:
        """Go on where one node of a cluster gives no answer; what was missed is looked for again soon."""
        try:
            yield
        except NodeUnavailable as error:
            self._missed = True
            log.debug("pools_missed error=%s", error)

    def _tenants(self) -> list[str]:
        with self._server.renamed("reading the tenants"):
            return sorted(name.decode() for name in self._server.redis.hkeys(keys.TENANTS))

    def _read(self, seconds: float) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < MOST:
            message = self._listening.read(0.0 if found else seconds)
            if message is None:
                break
            found.append(message)
        return found
