"""What this process holds: the runs it has leased, and what is to be said of them. Bookkeeping, without any waiting.

One object for the whole process, whatever becomes of Celery's channels and connections. Two threads do all talking to
the server: the `Fetcher` leases runs into the inbox, the `Sender` says how they ended and keeps the leases. The
worker's main loop takes from the inbox, and settles; it reads what has come, and never waits for the network.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from taglane.runtime.carry import Outcome
from taglane.runtime.held import Held, Roster
from taglane.runtime.outbox import HAND_BACK_MS, Call, Outbox
from taglane.runtime.pace import FRESH, STALE, Pace
from taglane.runtime.tally import Tally
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.model.envelope import Delivery
    from taglane.runtime.ear import Ear

logger = logging.getLogger("taglane.worker")


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
        self.ear: Ear | None = None  # by which the main loop hears for itself what an idle worker's fetcher waits for
        self.on_cancel: Callable[[str], None] = lambda _message: None
        """Called, from the sender, with the message id of a run that executes and is to be stopped."""
        self.on_stuck: Callable[[list[str]], None] = lambda _messages: None
        """Called, from the fetcher, with the message ids of runs that the pool was given and does not get to."""
        self.looks_ahead = False
        """Whether the pool has a queue of its own, from which `on_stuck` can recall a run."""
        self.keeps_to_slots = False  # whether to fetch only what can be started at once: a limit is near
        self.lock = threading.Lock()
        self.room = threading.Condition(self.lock)
        """Notified when the inbox wants more."""
        self.is_waiting = False  # whether the fetcher waits for that
        self.news = threading.Condition(self.lock)
        """Notified when there is something to say."""
        self.serving = False  # whether runs are to be fetched
        self.renewed_at = time.monotonic()
        self.must_renew, self._window = False, 1
        self._inbox: deque[Held] = deque()
        self.roster = Roster()
        self._executing, self._alone = 0, False
        self.pace = Pace(batch)
        self.tally = Tally()
        self._outbox = Outbox(self.tally)

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
        if not self._inbox or not self.has_room():
            return None
        with self.lock:
            if not self._inbox or not self._is_fresh():
                return None
            held = self._inbox.popleft()
            held.taken = True
            self._executing += 1
            self._ask_for_more()
            return held.delivery

    def applied(self, run: str) -> None:
        """Note that the pool has been given a run."""
        held = self.roster.of_run(run)
        if held is not None:
            held.in_pool = True

    def began(self, run: str) -> None:
        """Note that the pool executes a run: its clock starts."""
        held = self.roster.of_run(run)
        if held is not None:
            held.started_at = time.monotonic()

    def is_sure_of(self, run: str) -> bool | None:
        """Whether a run that waited in the pool is still ours: None while that is being asked."""
        with self.lock:
            held = self.roster.of_run(run)
            if held is None or held.lost:
                return False
            if self._is_fresh():
                return True
            return None if self.serving else False  # a worker that stops asks nobody any more

    def acknowledged_early(self, run: str) -> None:
        """Note that a run's task asked not to be run again after a death."""
        with self.lock:
            held = self.roster.of_run(run)
            if held is not None and not held.last:
                held.last, held.marked = True, False
                self._renew_now()

    def note(self, message_id: str, outcome: Outcome) -> bool:
        """Keep an outcome that the parent process decides; answers whether the run is held here."""
        with self.lock:
            held = self.roster.of_message(message_id)
            if held is not None:
                held.note(outcome)
            return held is not None

    def noted(self, run: str) -> Outcome | None:
        """What the parent has noted of a run."""
        return held.noted if (held := self.roster.of_run(run)) else None

    def lease_of(self, message_id: str) -> tuple[str, int] | None:
        """The run and token under which a message is held here."""
        held = self.roster.of_message(message_id)
        return (held.delivery.run, held.delivery.token) if held else None

    def run_of_lease(self, delivery_tag: str) -> str | None:
        """The run of a delivery tag, when this process still has that very lease of it."""
        held = self.roster.of_tag(delivery_tag)
        return held.delivery.run if held else None

    def is_in_pool(self, run: str) -> bool:
        """Whether the pool has been given a run."""
        return (held := self.roster.of_run(run)) is not None and held.in_pool

    def has_room(self) -> bool:
        """Whether the pool can execute one more."""
        return self._executing < self._window + self._ahead()

    def settle(self, run: str, outcome: Outcome | None, took: float | None = None) -> None:
        """End what we do of a run: what the parent noted wins over what its child said. Asked again: nothing.

        *took* is how long the task itself took, seconds, where that is known.
        """
        with self.lock:
            held = self._drop(run)
            if held is None:
                return
            ran = time.monotonic() - held.started_at if held.started_at is not None else None
            if ran is not None:
                self.pace.learn(ran if took is None else took)
            if not held.lost:
                self._say(held, held.last_word(outcome), ran)
            self._ask_for_more()
        self.wake()

    def refuse(self, run: str) -> None:
        """Hand back, uncounted, a run that this worker can't execute, for another."""
        self._return(run, lambda delivery: self._outbox.hand_back(delivery, HAND_BACK_MS))

    def recalled(self, run: str) -> None:
        """Hand back a run that the pool did not get to, to the head of its queue."""
        self._return(run, lambda delivery: self._outbox.hand_back_at_once([delivery]))

    def abandon(self) -> int:
        """Say no more of what is held, for a process that ends: its leaving gives it back. Answers how many runs."""
        with self.lock:
            self.serving = False
            for held in self.roster:
                held.lost = True
            return len(self.roster)

    def appetite(self) -> int:
        """How many runs to fetch now; 0 when the inbox has enough. The lock is held."""
        if self._alone or (self.keeps_to_slots and not self.free_slots()):
            return 0
        wanted = self.pace.wanted(self._window)
        return wanted - len(self._inbox) if len(self._inbox) * 2 <= wanted else 0

    def free_slots(self) -> int:
        """How many runs more could be started at once."""
        return max(0, self._window - self._executing - len(self._inbox))

    def is_idle(self) -> bool:
        """Whether nothing at all is held."""
        return not self.roster

    def is_backed_up(self) -> bool:
        """Whether more is held than the pool executes at once: `return_stale` is to be asked of it."""
        return len(self.roster) > self._window

    def receive(self, deliveries: list[Delivery]) -> None:
        """Put what was fetched into the inbox; back to its queue when nobody serves any more.

        A run that was lost, and still executes here, is for another worker, or for later: two executions of it in one
        process could not be told apart.
        """
        now = time.monotonic()
        with self.lock:
            for delivery in deliveries:
                if self.roster.of_message(delivery.of or delivery.run) is not None:
                    self._outbox.hand_back(delivery, HAND_BACK_MS)
                    self.news.notify()
                    continue
                held = Held(delivery, now)
                self.roster.add(held)
                self._inbox.append(held)
                self._alone = self._alone or delivery.rescues >= keys.ALONE_AFTER
            if not self.serving:
                self._empty_inbox()
        self.wake()

    def return_stale(self) -> None:
        """Hand back what waits here for too long, behind long runs. The lock is held."""
        if self._executing < self._window:
            return
        oldest = time.monotonic() - STALE
        if self._inbox and self._inbox[0].fetched_at < oldest:
            self.pace.slow_down(STALE)
            self._empty_inbox()
        stuck = self.roster.stuck_since(oldest)
        if stuck and self.looks_ahead:
            self.pace.slow_down(STALE)
            self.on_stuck(stuck)

    def is_busy(self) -> bool:
        """Whether more ends are to be expected soon."""
        return bool(self._inbox or self._executing)

    def is_executing(self) -> bool:
        """Whether the pool has something to do."""
        return self._executing > 0

    def has_news(self) -> bool:
        """Whether there is something to say."""
        return bool(self._outbox)

    def pack(self, most: int) -> list[Call]:
        """Take what is to be said, *most* ends at once. The lock is held."""
        return self._outbox.pack(most)

    def first_unmarked(self) -> float | None:
        """When the run started that has executed longest without the server's knowing. The lock is held."""
        return self.roster.first_unmarked()

    def renewal(self) -> list[Any]:
        """The arguments of the renew script behind the worker: how many execute, what has started, what is held."""
        return [self._executing, *self.roster.renewal(time.monotonic())]

    def all_runs(self) -> list[str]:
        """Every run that is held."""
        with self.lock:
            return [held.delivery.run for held in self.roster]

    def lose(self, runs: list[str]) -> None:
        """Take note that the server gave runs to others: what waits is dropped, what executes ends unheard."""
        with self.lock:
            for run in runs:
                held = self.roster.of_run(run)
                if held is None or held.lost:
                    continue
                held.lost = True
                if not held.taken:
                    self._inbox.remove(held)
                    self._forget(held)
                logger.warning("lease_lost run=%s", run)
            self._ask_for_more()

    def cancel(self, run: str) -> None:
        """End a run that waits here, or pass the wish on to the pool."""
        with self.lock:
            held = self.roster.of_run(run)
            if held is None:
                return
            if not held.taken:
                self._inbox.remove(held)
                self._forget(held)
                self._say(held, Outcome("cancelled"), None)
                self._ask_for_more()
                return
        self.on_cancel(held.message_id)

    def _is_fresh(self) -> bool:
        """Whether the leases were renewed of late; asks for it when they were not. The lock is held."""
        if time.monotonic() - self.renewed_at <= self.lease * FRESH:
            return True
        self._renew_now()
        return False

    def _ahead(self) -> int:
        return self.pace.ahead(self._window) if self.looks_ahead and not self._alone else 0

    def _ask_for_more(self) -> None:
        if self.is_waiting and self.serving and self.appetite():
            self.is_waiting = False
            self.room.notify_all()

    def _renew_now(self) -> None:
        self.must_renew = True
        self.news.notify()

    def _say(self, held: Held, outcome: Outcome, ran: float | None) -> None:
        self._outbox.end(held, outcome, ran)
        self.news.notify()

    def _return(self, run: str, hand_back: Callable[[Delivery], None]) -> None:
        with self.lock:
            held = self._drop(run)
            if held is not None and not held.lost:
                hand_back(held.delivery)
                self.news.notify()
            self._ask_for_more()
        self.wake()

    def _drop(self, run: str) -> Held | None:
        """Forget a run that was taken."""
        held = self.roster.of_run(run)
        if held is not None:
            self._forget(held)
            self._executing -= 1
        return held

    def _forget(self, held: Held) -> None:
        self.roster.remove(held)
        self._alone = self._alone and bool(self.roster)

    def _empty_inbox(self) -> None:
        waiting, self._inbox = self._inbox, deque()
        for held in waiting:
            self._forget(held)
        self._outbox.hand_back_at_once([held.delivery for held in waiting])
        self.news.notify()
