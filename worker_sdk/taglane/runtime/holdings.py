"""What this process holds: the runs it has leased, their renewal, and the ends it has not sent yet.

One object for the whole process, whatever becomes of Celery's channels and connections. Two threads do all waiting on
the server: the fetcher leases runs into `inbox`, the sender writes ends, retries and heartbeats. The worker's main loop
takes from the inbox, and settles; it never waits for the network.

A thread is enough under prefork, whose parent runs no user code. Where user code shares the process, a helper process
keeps the heartbeat too (`runtime.heart`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taglane.errors import LibraryMissing, Refused, TaglaneError
from taglane.model.envelope import Delivery
from taglane.runtime.carry import Outcome
from taglane.store import keys
from taglane.store.leases import Finish, Leases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taglane.store.server import Server

logger = logging.getLogger("taglane.worker")

HORIZON = 0.1
"""Seconds of work to hold beyond what is being executed."""

STALE = 2.0
"""Seconds after which a run that we hold and don't get to goes back to its queue, for another worker."""

MARK_AFTER = 0.25
"""Seconds after which a run that is still going is shown as running."""

SEND_AT_MOST = 256

WAIT = 5.0
"""Seconds to wait on a bell at most: whoever rang may have died before he did."""


@dataclass(slots=True)
class Held:
    """One lease of this process."""

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


@dataclass(slots=True)
class Outbox:
    """What the sender has to say at the next opportunity."""

    finishes: list[Finish] = field(default_factory=list)
    calls: list[tuple[str, list[Any]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.finishes or self.calls)


class Holdings:
    """The leases of one worker process. Thread-safe.

    Args:
        server: connected with the tenant's credential.
        tenant: whose runs these are.
        tags: the tags that this worker serves, all of that tenant.
        worker: this worker's id.
        lease: seconds after which a silent worker counts as dead.
        batch: runs to fetch at most.
        patience: seconds to wait for a server that is gone.
    """

    def __init__(  # noqa: PLR0913 - one process has one; each is a setting
        self, server: Server, tenant: str, tags: list[str], worker: str, *, lease: float, batch: int, patience: float
    ) -> None:
        self.tenant = tenant
        self.tags = tags
        self.worker = worker
        self.window = 1
        """Runs that the pool executes at once."""
        self.inbox: deque[Delivery] = deque()
        self.wake: Callable[[], None] = lambda: None
        """Called when there is something to take, from any thread."""
        self.on_cancel: Callable[[str], None] = lambda run: None
        """Called, from the sender, for a run that executes and is to be stopped."""
        self.on_gone: Callable[[str], None] = lambda why: None
        """Called, from a thread, when the server stayed away for too long, or refuses us."""
        self._leases = Leases(server, tenant, worker)
        self._lease = lease
        self._batch = batch
        self._patience = patience
        self._held: dict[str, Held] = {}
        self._by_message: dict[str, str] = {}
        self._executing = 0
        self._mean = 0.02
        self._outbox = Outbox()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._work = threading.Condition(self._lock)
        self._closing = False
        self._fetching = False
        self._alone = False
        self._renewed_at = time.monotonic()
        self._renew_at = 0.0
        self._threads: list[threading.Thread] = []

    # -- what the worker's main loop calls -------------------------------------------------------------------------

    def start(self, info: dict[str, Any], tasks: Iterable[str]) -> None:
        """Enter the tenant's workers, and begin to send heartbeats; fetching begins with `serve`.

        Raises:
            Refused: the credential is not this tenant's.
            LibraryMissing: nobody has set up the server.
            ServerUnavailable: no answer.
        """
        self._leases.hello(info, self.tags, sorted(tasks))
        self._renewed_at = time.monotonic()
        self._renew_at = self._renewed_at + self._interval
        self._spawn(self._send_loop, "taglane-sender")

    def serve(self, window: int) -> None:
        """Begin to fetch for a pool that executes *window* runs at once."""
        with self._lock:
            self.window = max(1, window)
            if self._fetching:
                self._room.notify()
                return
            self._fetching = True
        self._spawn(self._fetch_loop, "taglane-fetcher")

    def stop_fetching(self) -> None:
        """Take no more runs, and hand back those that nobody has started."""
        with self._lock:
            self._fetching = False
            self._room.notify()
            unstarted = [delivery.run for delivery in self.inbox]
            self.inbox.clear()
            self._hand_back(unstarted)
        self._leases.stop_waiting()

    def close(self, timeout: float = 10.0) -> None:
        """Send what is unsent, hand back the rest, and leave the tenant's workers."""
        self.stop_fetching()
        with self._lock:
            self._closing = True
            self._work.notify()
        for thread in self._threads:
            thread.join(timeout)
        try:
            self._leases.leave()
        except TaglaneError as error:
            logger.warning("leave_failed worker=%s error=%s", self.worker, error)

    def take(self) -> Delivery | None:
        """Return a run to start now; None when the pool is full, or there is none.

        A worker that could not renew for a lease starts nothing that it holds: it asks first whether it still does.
        """
        with self._lock:
            if self._executing >= self.window or not self.inbox:
                return None
            if time.monotonic() - self._renewed_at > self._lease * 0.8:
                self._renew_at = 0.0
                self._work.notify()
                return None
            delivery = self.inbox.popleft()
            self._executing += 1
            self._held[delivery.run].started_at = time.monotonic()
            if len(self.inbox) * 2 <= self._wanted():
                self._room.notify()
            return delivery

    def started(self, run: str) -> None:
        """Note that the pool has been given a run: its clock starts."""
        held = self._held.get(run)
        if held is not None:
            held.in_pool, held.started_at = True, time.monotonic()

    def is_in_pool(self, run: str) -> bool:
        """Whether the pool has been given a run."""
        held = self._held.get(run)
        return held is not None and held.in_pool

    def acknowledged_early(self, run: str) -> None:
        """Note that a run's task asked not to be run again after a death."""
        with self._lock:
            held = self._held.get(run)
            if held is not None and not held.last:
                held.last, held.marked = True, False
                self._renew_at = 0.0
                self._work.notify()

    def note(self, message_id: str, outcome: Outcome) -> bool:
        """Keep an outcome that the parent process decides; answers whether the run is held here."""
        with self._lock:
            held = self._held.get(self._by_message.get(message_id, ""))
            if held is None:
                return False
            before = held.noted
            held.noted = outcome._replace(part=outcome.part or before.part) if before else outcome
            return True

    def noted(self, run: str) -> Outcome | None:
        """What the parent has noted of a run."""
        held = self._held.get(run)
        return held.noted if held else None

    def token_of(self, message_id: str) -> tuple[str, int] | None:
        """The run and token under which a message is held here."""
        held = self._held.get(self._by_message.get(message_id, ""))
        return (held.delivery.run, held.delivery.token) if held else None

    def holds(self, run: str) -> bool:
        """Whether this process has a lease of *run* that it has not settled."""
        return run in self._held

    def settle(self, run: str, outcome: Outcome | None) -> None:
        """End what we do of a run: what the parent noted wins over what its child said. Asked again: nothing."""
        now = time.monotonic()
        with self._lock:
            held = self._held.pop(run, None)
            if held is None:
                return
            self._by_message.pop(held.delivery.of or run, None)
            self._executing -= 1
            ran = now - held.started_at if held.started_at is not None else None
            if ran is not None:
                self._mean += (ran - self._mean) * 0.1
            if not self._executing:
                self._alone = False
            if not held.lost:
                self._say(held, held.noted or outcome or Outcome("failed"), ran)
            self._work.notify()
            if len(self.inbox) * 2 <= self._wanted():
                self._room.notify()
        self.wake()

    def refuse(self, run: str, wait_ms: int) -> None:
        """Hand back a run that this worker can't execute, for another: it waits *wait_ms* first, uncounted."""
        with self._lock:
            held = self._held.pop(run, None)
            if held is None:
                return
            self._by_message.pop(held.delivery.of or run, None)
            self._executing -= 1
            if not self._executing:
                self._alone = False
            self._outbox.calls.append(("hand_back", [wait_ms, run, held.delivery.token]))
            self._work.notify()
            self._room.notify()

    def others_know(self, task: str) -> tuple[bool, list[str]]:
        """Ask whether another live worker of our tags knows *task*, and what all of them know."""
        return self._leases.who_knows(task, self.tags)

    @property
    def executing(self) -> int:
        """Runs that the pool has."""
        return self._executing

    # -- deciding ------------------------------------------------------------------------------------------------

    @property
    def _interval(self) -> float:
        return min(self._lease / 3, WAIT)

    def _wanted(self) -> int:
        """How many runs to hold beside those that execute: a tenth of a second of work."""
        if self._alone:
            return 0
        return max(1, min(self._batch, int(HORIZON * self.window / max(self._mean, 1e-4))))

    def _say(self, held: Held, outcome: Outcome, ran: float | None) -> None:
        run, token = held.delivery.run, held.delivery.token
        match outcome.kind:
            case "retry" if outcome.again is not None:
                at, envelope, task, tag, step = outcome.again
                self._outbox.calls.append(("retry", [run, token, at, envelope, outcome.result, task, tag, step]))
            case "requeue":
                self._outbox.calls.append(("hand_back", [1000, run, token]))
            case "died":
                self._outbox.calls.append(("died", [run, token]))
            case kind:
                milliseconds = "" if ran is None else max(0, round(ran * 1000))
                self._outbox.finishes.append(Finish(run, token, kind, milliseconds, outcome.result, outcome.part))

    def _hand_back(self, runs: list[str]) -> None:
        """Return runs that nobody has started to the head of their queue. The lock is held."""
        arguments: list[Any] = [""]
        for run in runs:
            held = self._held.pop(run, None)
            if held is not None:
                self._by_message.pop(held.delivery.of or run, None)
                if not held.lost:
                    arguments += [run, held.delivery.token]
        if len(arguments) > 1:
            self._outbox.calls.append(("hand_back", arguments))
            self._work.notify()

    # -- the fetcher ---------------------------------------------------------------------------------------------

    def _fetch_loop(self) -> None:
        gone_since: float | None = None
        while self._fetching:
            with self._lock:
                while self._fetching and len(self.inbox) * 2 > self._wanted():
                    self._room.wait(STALE / 2)
                    self._return_stale()
                most = max(1, self._wanted() - len(self.inbox))
                idle = not self._held
                if self._alone:
                    self._room.wait(WAIT)
                    continue
            if not self._fetching:
                return
            try:
                wait = self._fetch(most, idle=idle)
                if wait is not None:
                    self._leases.wait(self.tags, min(wait, WAIT))
                gone_since = None
            except TaglaneError as error:
                if self._fetching:
                    gone_since = self._bear(error, gone_since)

    def _fetch(self, most: int, *, idle: bool) -> float | None:
        """Fetch once; answers how long to wait for a bell, in seconds, or None when more may be there."""
        answer = self._leases.fetch(most, self.tags, idle=idle)
        if answer is None:
            self._renew_at = 0.0  # the server does not know us any more: the sender introduces us again
            with self._lock:
                self._work.notify()
            return 0.5
        wait_ms, deliveries = answer
        now = time.monotonic()
        with self._lock:
            for delivery in deliveries:
                self._held[delivery.run] = Held(delivery, now)
                self._by_message[delivery.of or delivery.run] = delivery.run
                self.inbox.append(delivery)
                self._alone = self._alone or delivery.rescues >= keys.ALONE_AFTER
            if not self._fetching:
                self._hand_back([delivery.run for delivery in deliveries])
                self.inbox.clear()
                return None
        if deliveries:
            self.wake()
        if len(deliveries) >= most:
            return None
        return WAIT if wait_ms < 0 else wait_ms / 1000

    def _return_stale(self) -> None:
        """Hand back what has lain here for too long behind long runs. The lock is held."""
        oldest = time.monotonic() - STALE
        if self.inbox and self._held[self.inbox[0].run].fetched_at < oldest and self._executing >= self.window:
            self._mean = max(self._mean, STALE)
            stale = [delivery.run for delivery in self.inbox]
            self.inbox.clear()
            self._hand_back(stale)

    # -- the sender ----------------------------------------------------------------------------------------------

    def _send_loop(self) -> None:
        gone_since: float | None = None
        unsent: list[tuple[str, list[Any]]] = []
        while True:
            with self._lock:
                while not unsent and not self._outbox and not self._closing and self._until_renewal() > 0:
                    self._work.wait(self._until_renewal())
                if not unsent:
                    unsent = self._pack()
                if not unsent and self._closing:
                    return
            try:
                self._leases.say(unsent, self._hear)
                unsent, gone_since = [], None
            except TaglaneError as error:
                gone_since = self._bear(error, gone_since)
                unsent = [call for call in unsent if call[0] != "renew"]
                if self._closing and gone_since and time.monotonic() - gone_since > 5:
                    logger.warning("unsent worker=%s calls=%d error=%s", self.worker, len(unsent), error)
                    return

    def _until_renewal(self) -> float:
        now = time.monotonic()
        at = self._renew_at
        for held in self._held.values():
            if held.started_at is not None and not held.marked:
                at = min(at, held.started_at + MARK_AFTER)
        return at - now

    def _pack(self) -> list[tuple[str, list[Any]]]:
        """Take what is to be said out of the outbox, a heartbeat with it when that is due. The lock is held."""
        finishes, calls = self._outbox.finishes[:SEND_AT_MOST], self._outbox.calls
        self._outbox = Outbox(self._outbox.finishes[SEND_AT_MOST:])
        packed: list[tuple[str, list[Any]]] = []
        if finishes:
            packed.append(("finish", [value for finish in finishes for value in finish]))
        packed += calls
        if self._until_renewal() <= 0 and not self._closing:
            packed.append(("renew", self._renewal()))
            self._renew_at = time.monotonic() + self._interval
        return packed

    def _renewal(self) -> list[Any]:
        now = time.monotonic()
        started: list[Any] = []
        held_arguments: list[Any] = []
        for run, held in self._held.items():
            if held.started_at is not None and not held.marked:
                held.marked = True
                started += [run, held.delivery.token, round((now - held.started_at) * 1000), "1" if held.last else ""]
            held_arguments += [run, held.delivery.token]
        return [self.worker, self._executing, len(started) // 4, *started, *held_arguments]

    def _hear(self, move: str, answer: Any) -> None:
        """Take the answer to a heartbeat: what we have lost, what we are to stop."""
        if move != "renew":
            return
        if answer == 0:
            logger.warning("given_up_for_dead worker=%s held=%d", self.worker, len(self._held))
            lost, cancels = list(self._held), []
            self._leases.hello_again()
        else:
            lost, cancels = ([run.decode() for run in each] for each in answer)
        self._renewed_at = time.monotonic()
        self._lose(lost)
        for run in cancels:
            self._cancel(run)
        self.wake()

    def _lose(self, lost: list[str]) -> None:
        with self._lock:
            for run in lost:
                held = self._held.get(run)
                if held is None:
                    continue
                held.lost = True
                if held.delivery in self.inbox:
                    self.inbox.remove(held.delivery)
                    del self._held[run]
                    self._by_message.pop(held.delivery.of or run, None)
                logger.warning("lease_lost worker=%s run=%s", self.worker, run)

    def _cancel(self, run: str) -> None:
        with self._lock:
            held = self._held.get(run)
            if held is None:
                return
            if held.delivery in self.inbox:
                self.inbox.remove(held.delivery)
                del self._held[run]
                self._outbox.finishes.append(Finish(run, held.delivery.token, "cancelled", "", "", ""))
                return
        self.on_cancel(held.delivery.of or run)

    # -- bearing ---------------------------------------------------------------------------------------------------

    def _bear(self, error: TaglaneError, gone_since: float | None) -> float:
        """Wait a little for a server that is gone; give up when that takes too long. Answers since when it is gone."""
        now = time.monotonic()
        if gone_since is None:
            logger.warning("server_gone worker=%s error=%s", self.worker, error)
            gone_since = now
        elif now - gone_since > self._patience and not self._closing:
            self._fetching = False
            self.on_gone(str(error))
        time.sleep(1.0 if isinstance(error, (Refused, LibraryMissing)) else 0.2)
        return gone_since

    def _spawn(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()


_current: Holdings | None = None


def current() -> Holdings | None:
    """The holdings of this process, or None in one that executes no runs."""
    return _current


def hold(holdings: Holdings | None) -> None:
    """Make *holdings* this process's."""
    global _current  # noqa: PLW0603 - channels come and go; what the process holds must not go with them
    _current = holdings
