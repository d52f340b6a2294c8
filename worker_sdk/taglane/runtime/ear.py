"""Lets the worker's main loop read an answer that another thread waits for, as soon as it comes.

A thread that is woken only to wake another costs an idle worker about 0.1 ms before each run. Where the loop is idle,
too, it may as well read for itself. It does so from a poller of its own within the loop's: to arm that is one system
call of the waiting thread, and nothing of the loop's.
"""

from __future__ import annotations

import select
import threading
from typing import TYPE_CHECKING, Any

from taglane.runtime.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

SLICE = 0.5
"""Seconds between two looks of the waiting thread at whether to wait no longer."""


class Ear:
    """One answer at a time, of one thread that waits. Linux's poller is needed: see `make`."""

    def __init__(self) -> None:
        self._poller = select.epoll()
        self._wait: _Wait | None = None
        self._closed = False

    def fileno(self) -> int:
        """What the loop watches: readable when there is something to `hear`."""
        return self._poller.fileno()

    def listen(
        self, descriptor: int, read: Callable[[], Any], until: Callable[[], bool], heard: Callable[[Any], object]
    ) -> Any:
        """Wait until the loop has read an answer with *read*, and called *heard* with it; return it.

        None: nobody has read it, nor will, for the time is over by *until*, or there is no loop any more; or *read* has
        answered None, for not all of it had come: the loop does not wait for the rest.

        Raises:
            Exception: what *read* raised; *heard* is to raise nothing.
        """
        self._wait = wait = _Wait(descriptor, read, heard)
        self._arm(descriptor)
        while True:
            wait.news.wait(SLICE)
            wait.news.clear()
            if wait.is_over:
                return wait.outcome()
            if (self._closed or until()) and wait.turn.take():
                return None

    def hear(self) -> None:
        """Read what has come. For the loop."""
        for descriptor, _ in self._poller.poll(0):
            wait = self._wait
            if wait is not None and wait.descriptor == descriptor and wait.turn.take():
                wait.hear()

    def look_up(self) -> None:
        """Let the waiting thread look now whether to wait no longer. For any thread."""
        if self._wait is not None:
            self._wait.news.set()

    def close(self) -> None:
        """Hear no more: who waits reads for itself. For the loop."""
        self._closed = True
        self._poller.close()
        self.look_up()

    def _arm(self, descriptor: int) -> None:
        once = select.EPOLLIN | select.EPOLLONESHOT
        try:
            try:
                self._poller.modify(descriptor, once)
            except FileNotFoundError:
                self._poller.register(descriptor, once)
        except (OSError, ValueError):  # the loop has closed us, or somebody the connection: it is found out otherwise
            self._closed = self._closed or self._poller.closed


class _Wait:
    """One answer, and who reads it: the first who takes the turn."""

    def __init__(self, descriptor: int, read: Callable[[], Any], heard: Callable[[Any], object]) -> None:
        self.descriptor = descriptor
        self.turn = Turn()
        self.news = threading.Event()
        self.is_over = False
        self._read = read
        self._heard = heard
        self._answer: Any = None
        self._error: Exception | None = None

    def hear(self) -> None:
        """Read, and hand on."""
        try:
            self._answer = self._read()
            if self._answer is not None:  # None: there was no whole answer yet, and who waits reads on
                self._heard(self._answer)
        except Exception as error:  # noqa: BLE001 - it is for who waits
            self._error = error
        except BaseException:
            self._error = ConnectionError("broken off while it was read")
            raise
        finally:
            self.is_over = True
            self.news.set()

    def outcome(self) -> Any:
        """What was read, or what kept the loop from reading it."""
        if self._error is not None:
            raise self._error
        return self._answer


def make() -> Ear | None:
    """Return an ear; None where the system has no such poller: there the waiting thread reads, as it can anywhere."""
    return Ear() if hasattr(select, "epoll") else None
