"""What this process holds: the runs it has leased, and what is to be said of them. Bookkeeping, without any waiting.

One object for the whole process, whatever becomes of Celery's channels and connections. Two threads do all talking to
the server: the `Fetcher` leases runs into the inbox, the `Sender` says how they ended and keeps the leases. The
worker's main loop takes from the inbox, and settles; it never waits for the network.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from taglane.runtime.carry import Outcome
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.model.envelope import Delivery

logger = logging.getLogger("taglane.worker")

HORIZON = 0.1
"""Seconds of work to hold beyond what is being executed."""

STALE = 2.0
"""Seconds after which a run that we hold and don't get to goes back to its queue, for another worker."""

HAND_BACK_MS = 1000
"""How long a run waits that this worker gives up for another, or whose task asked for another try."""

FRESH = 0.8
"""The part of a lease after which a worker that could not renew starts nothing more of what it holds."""

Call = tuple[str, list[Any]]
"""A move and its arguments."""


class Finish(NamedTuple):
    """One end of a run, as the finish script takes it."""

    run: str
    token: int
    kind: str
    ran_ms: int | str
    result: str
    part: str


@dataclass(slots=True)
class Held:
    """One lease of this process. Instants are seconds of the monotonic clock."""

    delivery: Delivery
    fetched_at: float
    started_at: float | None = None
    in_pool: bool = False
    marked: bool = False
    """The server knows that it has started."""
    last: bool = False
    """Its task acknowledges early: one death is its last."""
    lost: bool = False
    noted: Outcome | None = None


class Holdings:
    """The leases of one worker process. Thread-safe.

    Args:
        lease: seconds after which a silent worker counts as dead.
        batch: runs to hold in the inbox at most.
    """

    def __init__(self, *, lease: float, batch: int) -> None:
        self.lease = lease
        self.wake: Callable[[], None] = lambda: None
        """Called when there is something to take, from any thread."""
        self.on_cancel: Callable[[str], None] = lambda _message: None
        """Called, from the sender, with the message id of a run that executes and is to be stopped."""
        self.lock = threading.Lock()
        self.room = threading.Condition(self.lock)
        """Notified when the inbox wants more."""
        self.news = threading.Condition(self.lock)
        """Notified when there is something to say."""
        self.serving = False
        """Whether runs are to be fetched."""
        self.renewed_at = time.monotonic()
        self.must_renew = False
        self._batch = batch
        self._window = 1
        self._inbox: deque[Delivery] = deque()
        self._held: dict[str, Held] = {}
        self._run_of: dict[str, str] = {}
        self._executing = 0
        self._alone = False
        self._mean = 0.02
        self._finishes: list[Finish] = []
        self._calls: list[Call] = []

    # -- for the main loop ---------------------------------------------------------------------------------------

    def serve(self, window: int) -> None:
        """Let runs be fetched, for a pool that executes *window* at once."""
        with self.lock:
            self._window = max(1, window)
            self.serving = True
            self.room.notify_all()

    def stop_serving(self) -> None:
        """Let no more runs be fetched, and hand back those that nobody has started."""
        with self.lock:
            self.serving = False
            self._empty_inbox()
            self.room.notify_all()

    def take(self) -> Delivery | None:
        """Return a run to start now; None when the pool is full, or there is none.

        A worker that could not renew for a lease starts nothing that it holds: it asks first whether it still does.
        """
        if not self._inbox or self._executing >= self._window:
            return None
        with self.lock:
            if not self._inbox:
                return None
            now = time.monotonic()
            if now - self.renewed_at > self.lease * FRESH:
                self._renew_now()
                return None
            delivery = self._inbox.popleft()
            self._executing += 1
            self._held[delivery.run].started_at = now
            self._ask_for_more()
            return delivery

    def started(self, run: str) -> None:
        """Note that the pool has been given a run: its clock starts."""
        held = self._held.get(run)
        if held is not None:
            held.in_pool, held.started_at = True, time.monotonic()

    def acknowledged_early(self, run: str) -> None:
        """Note that a run's task asked not to be run again after a death."""
        with self.lock:
            held = self._held.get(run)
            if held is not None and not held.last:
                held.last, held.marked = True, False
                self._renew_now()

    def note(self, message_id: str, outcome: Outcome) -> bool:
        """Keep an outcome that the parent process decides; answers whether the run is held here."""
        with self.lock:
            held = self._held.get(self._run_of.get(message_id, ""))
            if held is None:
                return False
            before = held.noted
            if before is not None:  # a result, or a part of a chord: they are noted one after the other
                kind = outcome.kind if outcome.result else before.kind
                outcome = Outcome(kind, outcome.result or before.result, outcome.part or before.part)
            held.noted = outcome
            return True

    def noted(self, run: str) -> Outcome | None:
        """What the parent has noted of a run."""
        held = self._held.get(run)
        return held.noted if held else None

    def lease_of(self, message_id: str) -> tuple[str, int] | None:
        """The run and token under which a message is held here."""
        held = self._held.get(self._run_of.get(message_id, ""))
        return (held.delivery.run, held.delivery.token) if held else None

    def run_of_lease(self, delivery_tag: str) -> str | None:
        """The run of a delivery tag, ``<token>:<run>``, when this process still has that very lease of it."""
        token, _, run = delivery_tag.partition(":")
        held = self._held.get(run)
        return run if held is not None and str(held.delivery.token) == token else None

    def is_in_pool(self, run: str) -> bool:
        """Whether the pool has been given a run."""
        held = self._held.get(run)
        return held is not None and held.in_pool

    def has_room(self) -> bool:
        """Whether the pool can execute one more."""
        return self._executing < self._window

    def settle(self, run: str, outcome: Outcome | None) -> None:
        """End what we do of a run: what the parent noted wins over what its child said. Asked again: nothing."""
        with self.lock:
            held = self._drop(run)
            if held is None:
                return
            ran = time.monotonic() - held.started_at if held.started_at is not None else None
            if ran is not None:
                self._mean += (ran - self._mean) * 0.1
            if not held.lost:
                self._say(held, held.noted or outcome or Outcome("failed"), ran)
            self._ask_for_more()
        self.wake()

    def refuse(self, run: str) -> None:
        """Hand back, uncounted, a run that this worker can't execute, for another."""
        with self.lock:
            held = self._drop(run)
            if held is not None and not held.lost:
                self._hand_back(held.delivery, HAND_BACK_MS)
            self._ask_for_more()
        self.wake()

    # -- for the fetcher -----------------------------------------------------------------------------------------

    def appetite(self) -> int:
        """How many runs to fetch now; 0 when the inbox has enough. The lock is held."""
        if self._alone:
            return 0
        wanted = self._wanted()
        return wanted - len(self._inbox) if len(self._inbox) * 2 <= wanted else 0

    def is_idle(self) -> bool:
        """Whether nothing at all is held."""
        return not self._held

    def receive(self, deliveries: list[Delivery]) -> None:
        """Put what was fetched into the inbox; back to its queue when nobody serves any more.

        A run that was lost, and still executes here, is for another worker, or for later: two executions of it in one
        process could not be told apart.
        """
        now = time.monotonic()
        with self.lock:
            for delivery in deliveries:
                if (delivery.of or delivery.run) in self._run_of:
                    self._hand_back(delivery, HAND_BACK_MS)
                    continue
                self._held[delivery.run] = Held(delivery, now)
                self._run_of[delivery.of or delivery.run] = delivery.run
                self._inbox.append(delivery)
                self._alone = self._alone or delivery.rescues >= keys.ALONE_AFTER
            if not self.serving:
                self._empty_inbox()
        self.wake()

    def return_stale(self) -> None:
        """Hand back what has lain in the inbox for too long, behind long runs. The lock is held."""
        if not self._inbox or self._executing < self._window:
            return
        if self._held[self._inbox[0].run].fetched_at < time.monotonic() - STALE:
            self._mean = max(self._mean, STALE)
            self._empty_inbox()

    # -- for the sender ------------------------------------------------------------------------------------------

    def is_busy(self) -> bool:
        """Whether more ends are to be expected soon."""
        return bool(self._inbox or self._executing)

    def has_news(self) -> bool:
        """Whether there is something to say."""
        return bool(self._finishes or self._calls)

    def pack(self, most: int) -> list[Call]:
        """Take what is to be said, *most* ends at once. The lock is held."""
        finishes, self._finishes = self._finishes[:most], self._finishes[most:]
        calls, self._calls = self._calls, []
        if finishes:
            calls.insert(0, ("finish", [value for finish in finishes for value in finish]))
        return calls

    def first_unmarked(self) -> float | None:
        """When the run started that has executed longest without the server's knowing. The lock is held."""
        starts = [held.started_at for held in self._held.values() if not (held.marked or held.lost) and held.started_at]
        return min(starts, default=None)

    def renewal(self) -> list[Any]:
        """The arguments of the renew script behind the worker: what executes, what has started, what is held."""
        now = time.monotonic()
        started: list[Any] = []
        leases: list[Any] = []
        for run, held in self._held.items():
            if held.lost:
                continue
            if held.started_at is not None and not held.marked:
                held.marked = True
                started += [run, held.delivery.token, round((now - held.started_at) * 1000), "1" if held.last else ""]
            leases += [run, held.delivery.token]
        return [self._executing, len(started) // 4, *started, *leases]

    def all_runs(self) -> list[str]:
        """Every run that is held."""
        with self.lock:
            return list(self._held)

    def lose(self, runs: list[str]) -> None:
        """Take note that the server gave runs to others: what waits is dropped, what executes ends unheard."""
        with self.lock:
            for run in runs:
                held = self._held.get(run)
                if held is None or held.lost:
                    continue
                held.lost = True
                if held.delivery in self._inbox:
                    self._inbox.remove(held.delivery)
                    self._forget(held)
                logger.warning("lease_lost run=%s", run)
            self._ask_for_more()

    def cancel(self, run: str) -> None:
        """End a run that waits here, or pass the wish on to the pool."""
        with self.lock:
            held = self._held.get(run)
            if held is None:
                return
            if held.delivery in self._inbox:
                self._inbox.remove(held.delivery)
                self._forget(held)
                self._finishes.append(Finish(run, held.delivery.token, "cancelled", "", "", ""))
                self.news.notify()
                self._ask_for_more()
                return
        self.on_cancel(held.delivery.of or run)

    # -- within --------------------------------------------------------------------------------------------------

    def _wanted(self) -> int:
        return max(1, min(self._batch, int(HORIZON * self._window / max(self._mean, 1e-4))))

    def _ask_for_more(self) -> None:
        if self.serving and self.appetite():
            self.room.notify_all()

    def _renew_now(self) -> None:
        self.must_renew = True
        self.news.notify()

    def _say(self, held: Held, outcome: Outcome, ran: float | None) -> None:
        run, token = held.delivery.run, held.delivery.token
        match outcome.kind:
            case "retry" if outcome.again is not None:
                at, envelope, task, tag, step = outcome.again
                self._calls.append(("retry", [run, token, at, envelope, outcome.result, task, tag, step]))
            case "requeue":
                self._hand_back(held.delivery, HAND_BACK_MS)
            case "died":
                self._calls.append(("died", [run, token]))
            case kind:
                milliseconds = "" if ran is None else max(0, round(ran * 1000))
                self._finishes.append(Finish(run, token, kind, milliseconds, outcome.result, outcome.part))
        self.news.notify()

    def _hand_back(self, delivery: Delivery, wait_ms: int) -> None:
        self._calls.append(("hand_back", [wait_ms, delivery.run, delivery.token]))
        self.news.notify()

    def _drop(self, run: str) -> Held | None:
        """Forget a run that was taken."""
        held = self._held.get(run)
        if held is not None:
            self._forget(held)
            self._executing -= 1
        return held

    def _forget(self, held: Held) -> None:
        self._held.pop(held.delivery.run, None)
        self._run_of.pop(held.delivery.of or held.delivery.run, None)
        self._alone = self._alone and bool(self._held)

    def _empty_inbox(self) -> None:
        arguments: list[Any] = [""]
        while self._inbox:
            held = self._held[self._inbox.popleft().run]
            self._forget(held)
            arguments += [held.delivery.run, held.delivery.token]
        if len(arguments) > 1:
            self._calls.append(("hand_back", arguments))
            self.news.notify()


_current: Holdings | None = None


def current() -> Holdings | None:
    """The holdings of this process, or None in one that executes no runs."""
    return _current


def hold(holdings: Holdings | None) -> None:
    """Make *holdings* this process's."""
    global _current  # noqa: PLW0603 - channels come and go; what the process holds must not go with them
    _current = holdings
