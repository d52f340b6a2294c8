"""The thread that tells the server how runs ended, keeps the leases, and takes over from dead workers of its tenant."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from taglane.errors import LibraryMissing, Refused, ServerFull, TaglaneError
from taglane.model.watch import Watch
from taglane.runtime.holdings import logger
from taglane.runtime.pace import FRESH
from taglane.runtime.pulse import Pulse, State
from taglane.runtime.standing import Standing
from taglane.runtime.unsayable import instead, singly

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from taglane.runtime.holdings import Holdings
    from taglane.runtime.outbox import Call
    from taglane.runtime.patience import Patience
    from taglane.store.leases import Leases
    from taglane.store.pool_leases import PoolLeases

AT_MOST = 256
"""Ends to say in one step."""

PACE = 0.003
"""Seconds between two messages of a busy worker: an idle one's goes at once, a busy one's are gathered."""

MARK_AFTER = 0.25
"""Seconds after which a run that is still going is shown as running."""

BEAT = 3.0
"""Seconds between two heartbeats at most."""

BUSY_BEAT = 1.0
"""Seconds between two heartbeats at most, while something is executed: they carry who asks to stop it."""

NEAR = 3
"""How many other workers of its tenant one looks after, as long as none of them is silent."""

FAREWELL = 5.0
"""Seconds that a stopping worker tries to reach a server that is gone."""


class TenantGone(TaglaneError):
    """The tenant of this worker was deleted."""

    def __init__(self, worker: str) -> None:
        super().__init__(f"the tenant of worker {worker} was deleted")


class Sender:
    """Says what one worker has to say, in order; nothing that was said twice does harm."""

    def __init__(
        self,
        holdings: Holdings,
        leases: Leases | PoolLeases,
        patience: Patience,
        pulse: Pulse | None = None,
        standing: Standing | None = None,
    ) -> None:
        self._holdings = holdings
        self._leases = leases
        self._patience = patience
        self._pulse = pulse or Pulse()
        self._standing = standing or Standing()
        self.on_tenant_gone: Callable[[str], None] = lambda _why: None
        """Called once, with the reason, when the tenant was deleted: the thread has ended then."""
        self.on_beat: Callable[[float], None] = lambda _at: None
        """Called with when it was sent, on the monotonic clock, once a heartbeat was heard."""
        self._interval = min(holdings.lease / 5, BEAT)
        self._watch = Watch(holdings.lease)
        self._others: Collection[str] = ()
        self._renew_at = time.monotonic()
        self._sent_at = 0.0
        self._failures = 0
        self._stopping = False
        self._give_up_at = 0.0
        self._thread = threading.Thread(target=self._loop, name="taglane-sender", daemon=True)

    def start(self) -> None:
        """Begin, with a heartbeat."""
        self._renewed(self._holdings.renewed_at)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Say what is unsaid, and end."""
        with self._holdings.lock:
            self._stopping = True
            self._give_up_at = time.monotonic() + FAREWELL
            self._holdings.news.notify()
        self._thread.join(timeout)

    def _loop(self) -> None:
        unsaid: list[Call] = []
        while True:
            self._pulse.turn()
            self._show()
            unsaid = unsaid or self._await_news()
            if not unsaid and self._stopping and not self._leases.owes:
                self._show(at_last=True)
                return
            try:
                self._leases.say(unsaid, self._hear)
                unsaid, self._failures = [], 0
                serves = self._patience.restore() and self._holdings.serving
                self._pulse.answer(State.SERVING if serves else State.TAKES_NO_WORK)
            except TenantGone as error:
                self.on_tenant_gone(str(error))
                return
            except TaglaneError as error:
                self._watch.restart()
                if self._stopping and time.monotonic() > self._give_up_at:
                    logger.warning("unsaid calls=%d error=%s", len(unsaid), error)
                    return
                unsaid = [call for call in unsaid if call[0] != "renew"]
                self._holdings.must_renew = True
                self._failures += 1
                if unsaid and self._failures > 1 and self._is_unsayable(error):
                    unsaid = self._say_singly(unsaid)
                else:
                    self._patience.bear(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread ends, and with it the worker
                self._patience.despair(error)
                return

    def _is_unsayable(self, error: TaglaneError) -> bool:
        """Whether the server, which has failed to answer a call, answers another: then it is that one's fault."""
        if isinstance(error, (Refused, ServerFull, LibraryMissing)):
            return False
        try:
            self._leases.beats()
        except TaglaneError:
            return False
        return True

    def _say_singly(self, calls: list[Call]) -> list[Call]:
        """Say one thing after the other, and of what is never taken something else; answers what is still unsaid."""
        left = singly(calls)
        fails = 0
        while left:
            try:
                self._leases.say(left[:1], self._hear)
                left, fails = left[1:], 0
            except TaglaneError as error:
                if not self._is_unsayable(error):
                    return left
                fails += 1
                if fails > 1:  # the first may have been a connection that was lost, just then
                    other = instead(left[0], str(error))
                    logger.error("end_refused move=%s run=%s error=%s", left[0][0], left[0][1][0], error)
                    left, fails = ([other] if other else []) + left[1:], 0
        return left

    def _await_news(self) -> list[Call]:
        holdings = self._holdings
        with holdings.lock:
            while not self._stopping and (wait := self._until_due()) > 0:
                holdings.news.wait(wait)
            if holdings.has_news() and holdings.is_busy() and not self._stopping:
                self._gather()
            calls = holdings.pack(AT_MOST)
            if not self._stopping and self._until_renewal() <= 0:
                calls.append(self._renewal())
            self._sent_at = time.monotonic()
            return calls

    def _gather(self) -> None:
        """Let a busy worker's ends come together, without being woken for each. The lock is held."""
        wait = self._sent_at + PACE - time.monotonic()
        if wait > 0:
            self._holdings.lock.release()
            try:
                time.sleep(wait)
            finally:
                self._holdings.lock.acquire()

    def _until_due(self) -> float:
        return 0.0 if self._holdings.has_news() else self._until_renewal()

    def _until_renewal(self) -> float:
        """Seconds until the next heartbeat, early for a run that has started and is to be shown. The lock is held."""
        if self._holdings.must_renew:
            return 0.0
        start = self._holdings.first_unmarked()
        at = self._renew_at if start is None else min(self._renew_at, start + MARK_AFTER)
        return at - time.monotonic()

    def _renewal(self) -> Call:
        self._holdings.must_renew = False
        busy = self._holdings.is_executing()
        self._renew_at = time.monotonic() + (min(self._interval, BUSY_BEAT) if busy else self._interval)
        return "renew", [self._leases.worker, *self._holdings.renewal()]

    def _hear(self, move: str, answer: Any) -> None:
        """Take the answer to a heartbeat: what we have lost, what we are to stop. Then look after the others."""
        if move != "renew":
            return
        if answer == 0 and self._leases.is_tenant_gone():
            raise TenantGone(self._leases.worker)
        if answer == 0:
            logger.warning("given_up_for_dead worker=%s", self._leases.worker)
            self._lose(self._holdings.all_runs())  # before the server knows us again, and gives us new ones
            self._leases.hello_again()
            cancels, staff = [], 0
        else:
            lost, cancels = ([run.decode() for run in each] for each in answer[:2])
            staff = sum(answer[2:])  # of a pool's workers the schedulers look after
            self._lose(lost)
            self.on_beat(self._sent_at)
        self._renewed(self._sent_at)  # not now: we may have stood still before we heard it
        for run in cancels:
            self._holdings.cancel(run)
        self._holdings.wake()
        self._look_after_others(staff)

    def _show(self, *, at_last: bool = False) -> None:
        """Show what has been counted, where somebody may ask for it."""
        slate, holdings = self._pulse.slate, self._holdings
        if slate is not None and (at_last or slate.is_due()):
            with holdings.lock:
                holdings.tally.look(holdings.roster)
                holdings.tally.reconnects = self._patience.reconnects
                slate.write(holdings.tally)

    def _lose(self, runs: list[str]) -> None:
        self._holdings.lose(runs)
        self._holdings.tally.lost += len(runs)
        if runs:
            self._standing.lose()

    def _renewed(self, at: float) -> None:
        self._holdings.renewed_at = at
        self._standing.renew(at + self._holdings.lease * FRESH)

    def _look_after_others(self, staff: int) -> None:
        """Take over from workers of this tenant whose counter stands still.

        Each looks after the next few alone, unless one of those is silent: so whoever is silent has somebody who sees
        it, were all before it dead, and a hundred workers don't each ask after a hundred.
        """
        if staff <= 1:
            self._watch.restart()
            return
        is_quiet = not any(self._watch.stands(worker, self._watch.lease / 3) for worker in self._others)
        self._others = beats = self._leases.beats(NEAR if is_quiet else None)
        now = time.monotonic()
        self._watch.keep(beats)
        for worker, beat in beats.items():
            if worker != self._leases.worker and self._watch.observe(worker, beat.counter, now, beat.lease):
                queued, dead = self._leases.rescue(worker, beat.counter)
                logger.warning("worker_rescued worker=%s queued=%d dead=%d", worker, queued, dead)
