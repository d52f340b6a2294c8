"""Raises an exception in a task from outside: in the main thread by a signal, in another one as the interpreter may.

A signal ends a sleep or a wait for the network; a thread hears of it at its next step of Python. Neither reaches code
that neither returns to the interpreter nor waits. An exception that comes too late, after the task, is never raised.
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from contextvars import ContextVar
from typing import Any, ClassVar, Protocol

from taglane.context import Binding

SIGNAL = signal.SIGURG
"""One that does nothing to a process that does not expect it."""


KICKS = 5
"""How often a signal is sent that is not heeded: one that comes right before a sleep begins does not end it."""


class Stopped(BaseException):
    """Raised in a task that is to be stopped: no `except Exception` takes it for an error."""


class Execution(Protocol):
    """The stretch in which one run's own code is executed by one thread."""

    def enter(self) -> None:
        """Begin, in the thread that executes; raises what came before."""

    def leave(self) -> None:
        """End, in the same thread: from here on nothing is raised."""

    def interrupt(self, error: type[BaseException]) -> None:
        """Raise *error* in it, from another thread; nothing happens once it has ended."""


class InMainThread:
    """An execution by the main thread, which alone takes signals."""

    innermost: ClassVar[InMainThread | None] = None

    def __init__(self) -> None:
        self._inside = False
        self._wanted: type[BaseException] | None = None

    def enter(self) -> None:
        """See `Execution`."""
        InMainThread.innermost = self
        self._inside = True
        self.heed()

    def leave(self) -> None:
        """See `Execution`."""
        self._inside = False
        InMainThread.innermost = None

    def interrupt(self, error: type[BaseException]) -> None:
        """See `Execution`."""
        self._wanted = error
        main = threading.main_thread().ident
        for _ in range(KICKS):
            if main is not None:
                signal.pthread_kill(main, SIGNAL)
            time.sleep(0.01)
            if self._wanted is None or not self._inside:
                return

    def heed(self) -> None:
        """Raise what is wanted, once."""
        error, self._wanted = self._wanted, None
        if self._inside and error is not None:
            raise error


class InThread:
    """An execution by any thread."""

    def __init__(self) -> None:
        self._thread = 0
        self._wanted: type[BaseException] | None = None
        self._was_interrupted = False
        # Holds one thing while the code is executed. Who takes it out may interrupt, or end: a lock that an exception
        # could come in the midst of would stay locked.
        self._gate: list[None] = []

    def enter(self) -> None:
        """See `Execution`."""
        self._thread = threading.get_ident()
        self._gate.append(None)
        if self._wanted is not None:
            raise self._wanted

    def leave(self) -> None:
        """See `Execution`."""
        while True:
            try:
                self._gate.pop()
                break
            except IndexError:
                time.sleep(0.001)
        if self._was_interrupted:
            _raise_in(self._thread, None)

    def interrupt(self, error: type[BaseException]) -> None:
        """See `Execution`."""
        self._wanted = error
        try:
            self._gate.pop()
        except IndexError:
            return
        self._was_interrupted = True
        _raise_in(self._thread, error)
        self._gate.append(None)


_execution: ContextVar[Execution | None] = ContextVar("taglane_execution", default=None)


def current_execution() -> Execution | None:
    """The execution that this code is part of, where one can be interrupted."""
    return _execution.get()


def interruptible(execution: Execution) -> Binding:
    """Execute the block as *execution*."""
    return Binding((_execution, execution))


def make_execution() -> Execution:
    """Return an execution for the thread that calls."""
    return InMainThread() if threading.current_thread() is threading.main_thread() else InThread()


def listen() -> None:
    """Let the main thread take the signal; does nothing elsewhere."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(SIGNAL, _on_signal)


def _on_signal(_number: int, _frame: Any) -> None:
    if InMainThread.innermost is not None:
        InMainThread.innermost.heed()


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    wanted = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted)
