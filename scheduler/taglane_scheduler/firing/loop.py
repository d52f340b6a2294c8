"""The scheduler's loop: wakes up at the very instant at which some tenant has something to do, and does it.

What it keeps in memory is a hint. It is filled anew after each (re)connect, corrected by the tenants' wakes, and every
tenant is looked at once in 30 s whatever the hint says: so a wake that is lost costs 30 s at the worst.

While the server's clock is not believed (`firing.clock` says when), no tenant is looked at: nothing is fired early,
and nothing is taken for missed. Dead workers are watched all the same, since that takes no clock of the server's.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taglane.errors import Refused, ServerUnavailable
from taglane.runtime.pulse import Pulse, State

from taglane_scheduler.firing.clock import Reading, ServerClock
from taglane_scheduler.firing.firing import StepReport
from taglane_scheduler.firing.heap import TenantHeap
from taglane_scheduler.firing.outages import Alarm, Gone
from taglane_scheduler.firing.peers import BEAT_S
from taglane_scheduler.firing.roster import Roster
from taglane_scheduler.firing.wakes import Wakes

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import Protocol

    from taglane.store.server import Server

    from taglane_scheduler.firing.firing import Firing
    from taglane_scheduler.firing.outages import Log
    from taglane_scheduler.firing.roster import Company
    from taglane_scheduler.firing.wakes import Waker

    class Rescuer(Protocol):
        """What the loop needs to know of `care.rescue`."""

        interval: float

        def step(self, tenants: Collection[str], told: Iterable[str] | None = None) -> Sequence[object]:
            """Rescue what the dead workers of these tenants held; of those that are *told* one may have come."""

        def restart(self) -> None:
            """Forget what was read before a reconnect."""


log = logging.getLogger(__name__)

SWEEP_MS = 30_000  # every tenant is looked at as often as this
ROUNDS = 30  # sweeps in that time: the tenants of one are looked at together, a batch in a round trip
MOVING_MS = 200  # until a tenant is looked at again that is on its way to another node of a cluster
BATCH = 64  # tenants a step
PACE_S = 0.005  # from a step's begin to the next one's, of all schedulers, unless more is due than one takes
MOST_PACED = 4  # schedulers: of more, each goes at the pace of so many
WATCH_S = 1.0  # between two measurements of what tenants use


@dataclass(frozen=True, slots=True)
class LoopReport:
    """What one turn of the loop did: for these tenants, and to how many workers."""

    tenants: list[str]
    firing: StepReport
    rescued: int


class SchedulerLoop:
    """Drives firing and rescue for all tenants in `taglane:{.}:tenants`. For one thread.

    Args:
        server: with the operator's credential.
        firing: fires what is due.
        rescue: takes over what dead workers held; called only for tenants that have workers.
        patience_ms: how long a server may be gone before `run` gives up.
        prepare: called at each connect, before anything else: loads what a fresh server lacks.
        sweep: called whenever the tenants are listed anew: gives replicas what a server keeps nowhere itself.
        looked: called in every step with the tenants that it has looked at: no tenant is left out for a whole sweep.
        watch: called every second, for a few ms: measures what tenants use.
        roster: whom it looks after; without, all tenants of the server.
        wakes: where it hears of tenants; without, by a subscription of its own.
        log: where it says what goes on: that of a shard names it.
    """

    def __init__(  # noqa: PLR0913 - what it drives, and its hooks
        self,
        server: Server,
        firing: Firing,
        rescue: Rescuer,
        *,
        patience_ms: int = 60_000,
        prepare: Callable[[], object] = lambda: None,
        sweep: Callable[[], object] = lambda: None,
        looked: Callable[[Sequence[str]], object] = lambda _: None,
        watch: Callable[[], object] = lambda: None,
        roster: Company | None = None,
        wakes: Waker | None = None,
        log: Log = log,
        pulse: Pulse | None = None,
    ) -> None:
        self.pulse = pulse or Pulse()
        """What the loop says of itself, for whoever asks after its health."""

        self.pulses = [self.pulse]
        self._server = server
        self._firing = firing
        self._rescue = rescue
        self._patience = patience_ms / 1000
        self._prepare = prepare
        self._sweep = sweep
        self._looked = looked
        self._watch = watch
        self._wakes = wakes or Wakes(server)
        self._roster = roster or Roster(server)
        self._log = log
        self._heap = TenantHeap()
        self._staffed: set[str] = set()
        self._looked_at: set[str] = set()
        self._connected = False
        self.is_lost = False
        """Whether the server has given no answer since the last turn that went well."""
        self._clock = ServerClock()
        self._alarm = Alarm(log)
        self._list_at = self._beat_at = self._watch_at = self._rescue_at = 0.0
        self._step_at = 0.0
        """Until when to wait after a step, s: what comes due meanwhile is then done in one, which costs hardly more."""

    def run(self, stopping: threading.Event, ready: Callable[[], object] | None = None) -> None:
        """Step and wait until *stopping* is set; call *ready* once, after the first step.

        Raises:
            ServerUnavailable: the server was gone for longer than our patience.
            Refused: the credential is not the operator's. Once it was, it is tried again for as long as our patience
                lasts: a server that has just taken over may not know its users yet.
        """
        ready = ready or (lambda: None)
        gone = Gone(self._patience, self._log)
        try:
            while not stopping.is_set():
                try:
                    self.pulse.turn()
                    self.step()
                    self.pulse.answer(State.HOLDS_FIRE if self.holds_fire else State.SERVING)
                    gone.ended()
                    self.is_lost = False
                    if ready is not None:
                        ready()
                        ready = None
                    self.wait(stopping)
                except (ServerUnavailable, Refused) as error:
                    if isinstance(error, Refused) and ready is not None:
                        raise  # it has never worked
                    self.is_lost = True
                    self.disconnect()
                    gone.still(error, stopping)
        finally:
            self.pulse.stop()
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
            self._believes(_reading(self._roster.beat(clock, serves=not self.holds_fire), clock))
            for tenant in self._roster.inherited(self._heap):
                self._heap.update(tenant, 0)
        if clock >= self._watch_at:
            self._watch_at = clock + WATCH_S
            with self._server.renamed("watching the tenants"):
                self._watch()
        if clock >= self._list_at:
            with self._server.renamed("sweeping"):
                self._sweep()
            self._list_tenants()
        tenants = [] if self.holds_fire else self._roster.keep(self._heap.pop_due(self.now(), BATCH))
        pace = PACE_S * min(MOST_PACED, self._roster.company)
        self._step_at = clock + pace if 0 < len(tenants) < BATCH else 0.0
        report = self._firing.step(tenants, self._believes) if tenants else StepReport()
        self._take_in(tenants, report)
        rescued = self._rescue_the_dead()
        self._looked(tenants)
        return LoopReport(list(tenants), report, rescued)

    def wait(self, stopping: threading.Event) -> None:
        """Sleep until the next thing to do, or until a tenant's wake.

        Raises:
            ServerUnavailable: the connection is lost.
        """
        time.sleep(max(0.0, self._step_at - time.monotonic()))
        seconds = (
            min(self._list_at, self._beat_at, self._rescue_at if self._staffed else self._list_at) - time.monotonic()
        )
        earliest = self._heap.earliest()
        if earliest is not None and not self.holds_fire:
            seconds = min(seconds, (earliest - self.now()) / 1000)
        for wake in self._wakes.wait(seconds, stopping):
            if wake.tenant in self._heap or self._roster.has(wake.tenant):
                self._heap.hint(wake.tenant, wake.instant + self._roster.delay(wake.tenant))

    def now(self) -> float:
        """Return the server's time, ms, by our monotonic clock."""
        return self._clock.now(time.monotonic())

    @property
    def is_connected(self) -> bool:
        """Whether it knows its tenants."""
        return self._connected

    @property
    def holds_fire(self) -> bool:
        """Whether the server's clock is not believed, so that nothing is fired."""
        return self._clock.apart_ms is not None

    def disconnect(self) -> None:
        """Forget the connection: the next step makes it anew."""
        self._connected = False
        self._wakes.close()
        self._rescue.restart()

    def close(self) -> None:
        """Leave the other schedulers, and end the subscription."""
        if self._connected:
            try:
                self._roster.leave()
            except ServerUnavailable as error:
                self._log.info("leave_failed error=%s", error)
        self.disconnect()

    def _connect(self) -> None:
        with self._server.renamed("preparing the server"):
            self._prepare()
        self._wakes.subscribe()  # before the full read: what changes after that comes as a wake
        sent = time.monotonic()
        self._believes(_reading(self._roster.time(), sent))
        self._heap = TenantHeap()
        self._staffed.clear()
        self._list_tenants()
        self._connected = True
        self._log.info("connected scheduler=%s tenants=%d", self._roster.me, len(self._heap))

    def _list_tenants(self) -> None:
        listed = self._roster.tenants()
        for tenant in self._heap.tenants() - listed:
            self._heap.remove(tenant)
            self._staffed.discard(tenant)
        for tenant in listed - self._heap.tenants():
            self._heap.update(tenant, 0)
        self._list_at = time.monotonic() + SWEEP_MS / 1000

    def _believes(self, reading: Reading) -> bool:
        """Take in what the server's clock shows, and say what is to be said of it."""
        moved = self._clock.take(reading)
        if moved:
            self._log.warning("clock_moved by_ms=%d", moved)
        self._alarm.tell(self._clock.apart_ms)
        return not self.holds_fire

    def _take_in(self, tenants: Sequence[str], report: StepReport) -> None:
        now = self.now()
        for tenant in tenants:
            if report.held or tenant in report.moving:
                self._heap.update(tenant, int(now) + MOVING_MS if tenant in report.moving else 0)
                continue
            sweep = _sweep_at(int(now) + random.randint(SWEEP_MS * 9 // 10, SWEEP_MS))
            instant = report.next.get(tenant)
            self._heap.update(tenant, sweep if instant is None else min(sweep, instant + self._roster.delay(tenant)))
        self._staffed.difference_update(tenants)
        self._staffed |= report.staffed
        self._looked_at.update(tenants)

    def _rescue_the_dead(self) -> int:
        clock = time.monotonic()
        if not self._staffed or clock < self._rescue_at:
            return 0
        self._rescue_at = clock + self._rescue.interval
        told, self._looked_at = self._looked_at, set()
        return len(self._rescue.step(self._staffed, None if self.holds_fire else told))  # then none is looked at


def _sweep_at(instant: int) -> int:
    """Return when a tenant is swept that is to be at *instant* at the latest: spread, and not each one by itself."""
    apart = max(1, SWEEP_MS // ROUNDS)
    return instant // apart * apart


def _reading(server: int, sent: float) -> Reading:
    return Reading(server, sent, time.monotonic(), time.time() * 1000)
