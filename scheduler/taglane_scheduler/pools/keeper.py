"""Keeps the shared pools: tells them which tenants have work, and takes over from their dead workers.

A tenant's call can't write into a pool, which is the operator's: it says on its channel, once, that it has work, and
the keeper lets it have turns. Any number of schedulers may do so at once. A message may be lost, with the connection or
the scheduler: so each connect and each sweep looks at every tenant.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from taglane.errors import Refused, ServerUnavailable
from taglane.model.names import SHARED, owner_of, pool_of
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taglane.store.limits import LimitStore
    from taglane.store.pools import Pools
    from taglane.store.server import Server

    from taglane_scheduler.pools.rescue import PoolRescue

log = logging.getLogger(__name__)

SWEEP_S = 30.0
SLICE_S = 0.2  # of a wait: in between we see whether we are to stop
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
        self._pubsub: Any = None
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
        self._close()
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
        self._close()

    def _serve(self) -> None:
        self.connect()
        sweep_at = self._clock() + SWEEP_S
        rescue_at = 0.0
        while not self._stopping.is_set():
            self.step(SLICE_S)
            now = self._clock()
            if now >= sweep_at:
                sweep_at = now + SWEEP_S
                self.sweep()
            if now >= rescue_at:
                rescue_at = now + self._rescue.interval
                self._rescue.step(sorted(self._known))

    def connect(self) -> None:
        """Listen to every tenant, then look at every tenant."""
        self._close()
        with self._server.renamed("listening for work of the pools"):
            self._pubsub = self._server.redis.pubsub()
            self._pubsub.psubscribe(keys.POOL_ALL)
            self._pubsub.subscribe(keys.POOLS)
            for _ in range(2):
                self._pubsub.get_message(timeout=5.0)
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
        for pool in names:
            self._wake(pool, self._pools.with_work(pool, tenants), guessed=True)

    def _wake(self, pool: str, tenants: Iterable[str], *, guessed: bool = False) -> int:
        names, woken = sorted(tenants), 0
        for start in range(0, len(names), MOST):
            there = self._limits.of_tenants(names[start : start + MOST])
            self._pools.wake(pool, there, guessed=guessed)
            woken += len(there)
        return woken

    def _tenants(self) -> list[str]:
        with self._server.renamed("reading the tenants"):
            return sorted(name.decode() for name in self._server.redis.hkeys(keys.TENANTS))

    def _read(self, seconds: float) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with self._server.renamed("waiting for work of the pools"):
            while len(found) < MOST:
                message = self._pubsub.get_message(timeout=0.0 if found else seconds)
                if message is None:
                    break
                if message["type"] in ("subscribe", "psubscribe"):
                    raise ServerUnavailable("the connection was lost and made anew: messages may be missing")
                found.append(message)
        return found

    def _close(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            pubsub.close()
