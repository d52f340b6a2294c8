"""The scheduler's loop: wakes up at the very instant at which some tenant has something to do, and does it.

What it keeps in memory is a hint. It is filled anew after each (re)connect, corrected by the tenants' wakes, and every
tenant is looked at once in 30 s whatever the hint says: so a wake that is lost costs 30 s at the worst.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.errors import ServerUnavailable
from taglane.store import keys

from taglane_scheduler.firing.firing import StepReport
from taglane_scheduler.firing.heap import TenantHeap
from taglane_scheduler.firing.peers import BEAT_S, Peers
from taglane_scheduler.firing.wakes import Wakes

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from taglane.store.server import Server

    from taglane_scheduler.firing.firing import Firing

    class Rescuer(Protocol):
        """What the loop needs to know of `care.rescue`."""

        interval: float

        def step(self, tenants: Sequence[str]) -> Sequence[object]:
            """Rescue what the dead workers of these tenants held."""

        def restart(self) -> None:
            """Forget what was read before a reconnect."""


log = logging.getLogger(__name__)

SWEEP_MS = 30_000  # every tenant is looked at as often as this
BATCH = 64  # tenants a step
BACKOFF_S = (0.1, 1.0)  # between two attempts to reach a server that is gone: the first, the longest
CLOCK_MOVED_MS = 5_000  # between two steps, of our clock against the server's: worth an alarm


@dataclass(frozen=True, slots=True)
class LoopReport:
    """What one turn of the loop did: for these tenants, and to how many workers."""

    tenants: list[str]
    firing: StepReport
    rescued: int


class _Gone:
    """How long the server has been gone: says so once, and waits longer from attempt to attempt."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: float | None = None
        self._backoff = BACKOFF_S[0]

    def still(self, error: ServerUnavailable, stopping: threading.Event) -> None:
        """Wait before the next attempt; raise *error* when our patience is over."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            log.warning("server_lost error=%s", error)
        if now - self._since > self._patience:
            raise error
        until = now + self._backoff
        self._backoff = min(2 * self._backoff, BACKOFF_S[1])
        while not stopping.is_set() and time.monotonic() < until:
            time.sleep(BACKOFF_S[0])  # not stopping.wait: a signal handler sets it, in this very thread

    def ended(self) -> None:
        """Note that the server is there."""
        if self._since is not None:
            log.warning("server_back after_s=%.1f", time.monotonic() - self._since)
            self._since, self._backoff = None, BACKOFF_S[0]


class SchedulerLoop:
    """Drives firing and rescue for all tenants in `taglane:tenants`. For one thread.

    Args:
        server: with the operator's credential.
        firing: fires what is due.
        rescue: takes over what dead workers held; called only for tenants that have workers.
        patience_ms: how long a server may be gone before `run` gives up.
        prepare: called at each connect, before anything else: loads what a fresh server lacks.
    """

    def __init__(
        self,
        server: Server,
        firing: Firing,
        rescue: Rescuer,
        *,
        patience_ms: int = 60_000,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self._server = server
        self._firing = firing
        self._rescue = rescue
        self._patience = patience_ms / 1000
        self._prepare = prepare
        self._wakes = Wakes(server)
        self._peers = Peers(server)
        self._heap = TenantHeap()
        self._staffed: set[str] = set()
        self._connected = False
        self._ahead: float = 0  # ms, of the server's time to our clock
        self._list_at = self._beat_at = self._rescue_at = 0.0

    def run(self, stopping: threading.Event, ready: Callable[[], object] | None = None) -> None:
        """Step and wait until *stopping* is set; call *ready* once, after the first step.

        Raises:
            ServerUnavailable: the server was gone for longer than our patience.
            Refused: the credential is not the operator's.
        """
        gone = _Gone(self._patience)
        try:
            while not stopping.is_set():
                try:
                    self.step()
                    gone.ended()
                    if ready is not None:
                        ready()
                        ready = None
                    self.wait(stopping)
                except ServerUnavailable as error:
                    self.disconnect()
                    gone.still(error, stopping)
        finally:
            self.close()

    def step(self) -> LoopReport:
        """Serve the tenants whose instant has come, *BATCH* at most; connect first when need be.

        Raises:
            ServerUnavailable: call it again later: it begins with a connect and a full read.
        """
        if not self._connected:
            self._connect()
        clock = time.monotonic()
        if clock >= self._beat_at:
            self._beat_at = clock + BEAT_S
            self._peers.beat(clock)
        if clock >= self._list_at:
            self._list_tenants()
        tenants = self._heap.pop_due(self.now(), BATCH)
        report = self._firing.step(tenants) if tenants else StepReport()
        self._take_in(tenants, report)
        return LoopReport(tenants, report, self._rescue_the_dead())

    def wait(self, stopping: threading.Event) -> None:
        """Sleep until the next thing to do, or until a tenant's wake.

        Raises:
            ServerUnavailable: the connection is lost.
        """
        seconds = (
            min(self._list_at, self._beat_at, self._rescue_at if self._staffed else self._list_at) - time.monotonic()
        )
        earliest = self._heap.earliest()
        if earliest is not None:
            seconds = min(seconds, (earliest - self.now()) / 1000)
        for wake in self._wakes.wait(seconds, stopping):
            if wake.tenant in self._heap or self._is_tenant(wake.tenant):
                self._heap.hint(wake.tenant, wake.instant + self._peers.delay(wake.tenant))

    def now(self) -> float:
        """Return the server's time, ms, by our clock: late by the time that its last answer took, and never early."""
        return time.monotonic() * 1000 + self._ahead

    def disconnect(self) -> None:
        """Forget the connection: the next step makes it anew."""
        self._connected = False
        self._wakes.close()
        self._rescue.restart()

    def close(self) -> None:
        """Leave the other schedulers, and end the subscription."""
        if self._connected:
            try:
                self._peers.leave()
            except ServerUnavailable as error:
                log.info("leave_failed error=%s", error)
        self.disconnect()

    def _connect(self) -> None:
        with self._server.renamed("preparing the server"):
            self._prepare()
        self._wakes.subscribe()  # before the full read: what changes after that comes as a wake
        with self._server.renamed("reading the server's time"):
            seconds, micros = self._server.redis.time()
        self._ahead = seconds * 1000 + micros // 1000 - time.monotonic() * 1000
        self._heap = TenantHeap()
        self._staffed.clear()
        self._list_tenants()
        self._connected = True
        log.info("connected scheduler=%s tenants=%d", self._peers.me, len(self._heap))

    def _list_tenants(self) -> None:
        with self._server.renamed("reading the tenants"):
            names: Any = self._server.redis.hkeys(keys.TENANTS)
        listed = {name.decode() for name in names}
        for tenant in self._heap.tenants() - listed:
            self._heap.remove(tenant)
            self._staffed.discard(tenant)
        for tenant in listed - self._heap.tenants():
            self._heap.update(tenant, 0)
        self._list_at = time.monotonic() + SWEEP_MS / 1000

    def _is_tenant(self, name: str) -> bool:
        with self._server.renamed("looking for a tenant"):
            return bool(self._server.redis.hexists(keys.TENANTS, name))

    def _take_in(self, tenants: Sequence[str], report: StepReport) -> None:
        if report.server_time is not None:
            ahead = report.server_time - report.read_at * 1000
            if abs(ahead - self._ahead) > CLOCK_MOVED_MS:
                log.error("clock_moved by_ms=%d", ahead - self._ahead)
            self._ahead = ahead
        now = self.now()
        for tenant in tenants:
            sweep = int(now) + random.randint(SWEEP_MS * 9 // 10, SWEEP_MS)  # spread: they were all read at the start
            instant = report.next.get(tenant)
            self._heap.update(tenant, sweep if instant is None else min(sweep, instant + self._peers.delay(tenant)))
        self._staffed = (self._staffed - set(tenants)) | report.staffed

    def _rescue_the_dead(self) -> int:
        clock = time.monotonic()
        if not self._staffed or clock < self._rescue_at:
            return 0
        self._rescue_at = clock + self._rescue.interval
        return len(self._rescue.step(sorted(self._staffed)))
