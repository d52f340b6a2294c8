"""The thread that leases runs into the inbox, and waits on the tags' bells when there are none."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from taglane.errors import TaglaneError
from taglane.runtime.pace import STALE

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.runtime.holdings import Holdings
    from taglane.runtime.patience import Patience
    from taglane.store.leases import Fetched, Leases
    from taglane.store.pool_leases import PoolLeases

NO_SLOT = "slots"
"""What a fetch says to a worker that can start nothing now, near a limit of its tenant."""

DRAIN = "drain"
"""What it says to one that is to take no more, and to end when it has done what it holds."""

WAIT = 5.0
"""Seconds to wait on a bell at most: who was to ring it may have died."""


class Fetcher:
    """Keeps the inbox of one worker filled, as long as it serves."""

    def __init__(self, holdings: Holdings, leases: Leases | PoolLeases, tags: list[str], patience: Patience) -> None:
        self._holdings = holdings
        self._leases = leases
        self._tags = tags
        self._patience = patience
        self._stopping = False
        self.on_drain: Callable[[], object] = lambda: None
        """Called once, when somebody wants this worker to end."""
        self._thread = threading.Thread(target=self._loop, name="taglane-fetcher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End, at once: a wait on the server is broken off."""
        with self._holdings.lock:
            self._stopping = True
            self._holdings.room.notify_all()
        self._leases.stop_waiting()
        self._thread.join(timeout)

    def _loop(self) -> None:
        until = 0.0  # when there may be more, where no bell rings before
        while (most := self._await_appetite()) is not None:
            try:
                until = time.monotonic() + self.step(most, max(0.0, until - time.monotonic()))
                self._patience.restore()
            except TaglaneError as error:
                until = 0.0
                if not self._stopping and self._holdings.serving:
                    self._patience.bear(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread ends, and with it the worker
                self._patience.despair(error)
                return

    def step(self, most: int, wait: float = 0.0) -> float:
        """Fetch once, after *wait* seconds or when a bell rings; answers for how long to wait next.

        Where nothing is held the main loop is idle, and hears the answer itself.
        """
        holdings = self._holdings
        idle = holdings.is_idle()
        heard: list[Callable[[], float]] = []
        answer = self._leases.fetch(
            most,
            self._tags,
            idle=idle,
            slots=holdings.free_slots(),
            wait=wait,
            listener=holdings.ear if idle else None,
            heard=lambda answer: heard.append(self._attempt(answer, most)),
        )
        return heard[0]() if heard else self._take(answer, most)

    def _attempt(self, answer: Fetched | None, most: int) -> Callable[[], float]:
        """Take an answer now; what comes of it is for this thread."""
        try:
            wait = self._take(answer, most)
        except Exception as error:  # noqa: BLE001 - whatever it is: see `_loop`
            return partial(_fail, error)
        return lambda: wait

    def _take(self, answer: Fetched | None, most: int) -> float:
        if answer is None:  # the server does not know us any more: the sender introduces us again
            with self._holdings.lock:
                self._holdings.must_renew = True
                self._holdings.news.notify()
            return 0.2
        wait_ms, deliveries, why = answer
        tally = self._holdings.tally
        tally.fetches += 1
        for delivery in deliveries:
            tally.received(delivery.task, delivery.tag)
        if deliveries:
            self._holdings.receive(deliveries)
        if why == DRAIN:
            self._stopping = True
            self.on_drain()
            return 0.0
        self._holdings.keeps_to_slots = why == NO_SLOT
        if len(deliveries) >= most or why == NO_SLOT or (deliveries and wait_ms == 0):
            return 0.0
        longest = STALE / 2 if self._holdings.is_backed_up() else WAIT
        return longest if wait_ms < 0 else min(longest, max(wait_ms, 2) / 1000)

    def _await_appetite(self) -> int | None:
        """Wait until the inbox wants more; answers how many, None when it is time to stop."""
        holdings = self._holdings
        with holdings.lock:
            while not self._stopping:
                holdings.return_stale()
                if holdings.serving and (most := holdings.appetite()):
                    return most
                holdings.is_waiting = True
                holdings.room.wait(STALE / 2)
                holdings.is_waiting = False
        return None


def _fail(error: Exception) -> float:
    raise error
