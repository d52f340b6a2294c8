"""Ends a worker that is told to stop: it finishes what it can within a grace, and gives the rest back.

A signal only writes a byte, at whatever the main thread is: Python calls its handlers there, which may be inside a task
that waits. All else is done by a thread of its own.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery.worker import state as worker_state

from taglane.runtime.holdings import logger
from taglane.runtime.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

EX_OVERDUE = 75
"""The exit code of a worker process that ended itself, since a task of its own went over its hard time limit."""

BY_ITSELF = 0
"""What stands for the number of a signal, when a worker stops without one."""


class Farewell:
    """The end of one worker process.

    Args:
        grace: seconds for what runs to end.
        stop_taking: called when it is told to stop, with the signal's number; 0 when it stops by itself.
        give_back: called with why, when the grace is over or it is told again: gives back all that is left.
    """

    def __init__(self, grace: float, stop_taking: Callable[[int], None], give_back: Callable[[str], None]) -> None:
        self._grace = grace
        self._stop_taking = stop_taking
        self._give_back = give_back
        self._pid = os.getpid()
        self._told_by = {BY_ITSELF, signal.SIGTERM, signal.SIGQUIT, signal.SIGINT}
        self._turn = Turn()
        self._receiver, self._sender = os.pipe()
        os.set_blocking(self._sender, False)
        self._thread = threading.Thread(target=self._loop, name="taglane-farewell", daemon=True)

    def start(self, *, supervised: bool) -> None:
        """Take the signals from now on; of a *supervised* process Ctrl-C is its supervisor's to hear."""
        if supervised:
            self._told_by.discard(signal.SIGINT)
        self._thread.start()
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._sender, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))  # what a child is told is not for us

    def ask(self) -> None:
        """Let the worker stop; asked twice, at once. From any thread."""
        self._tell(BY_ITSELF)

    def take_turn(self) -> bool:
        """Whether the caller is the one to end this process; every other one has come too late."""
        return self._turn.take()

    def over(self) -> None:
        """The worker has left by itself."""
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(-1)
        sender, self._sender = self._sender, -1
        os.close(sender)

    def exit(self, code: int) -> None:
        """End this process now, whatever its threads do."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)

    def _on_signal(self, number: int, _frame: Any) -> None:
        """Tell what was not told: somebody, as an event loop of a task may do, has taken the bytes of signals away."""
        if os.getpid() != self._pid or self._sender < 0:
            return
        if signal.set_wakeup_fd(self._sender, warn_on_full_buffer=False) != self._sender:
            self._tell(number)

    def _tell(self, number: int) -> None:
        with suppress(OSError):  # it has left already
            os.write(self._sender, bytes([number]))

    def _loop(self) -> None:
        number = self._hear(None)
        if number is None:
            return
        if not worker_state.should_stop:  # an exit code, if it stops by itself
            worker_state.should_stop = os.EX_OK
        logger.info("worker_stopping grace=%g", 0.0 if number == signal.SIGQUIT else self._grace)
        self._stop_taking(number)
        if number == signal.SIGQUIT:
            self._give_back("told to stop at once")
            return
        try:
            again = self._hear(time.monotonic() + self._grace)
        except TimeoutError:
            self._give_back("the grace is over")
            return
        if again is not None:
            self._give_back("told again")

    def _hear(self, until: float | None) -> int | None:
        """Wait for a word to stop: the number of a signal; None when the worker has left.

        Raises:
            TimeoutError: none came.
        """
        while True:
            wait = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._receiver], [], [], wait)[0]:
                raise TimeoutError
            byte = os.read(self._receiver, 1)
            if not byte:
                return None
            if byte[0] in self._told_by:
                return byte[0]
