"""Several worker processes as one: forked from one that has loaded the application, started again when one dies.

One Python process is one core. Forking after the import is what makes the second one cheap.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from taglane.runtime.farewell import EX_OVERDUE

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("taglane.worker")

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

PR_SET_PDEATHSIG = 1

PAUSE = 1.0
"""Seconds between the death of a process and its successor's start, so that a broken one is no storm."""


SLICE = 0.05
"""Seconds after which a signal is heard at the latest."""


class Supervisor:
    """Keeps *count* processes at work until a signal stops them.

    Args:
        work: what each does; its answer is the process's exit code.
        count: how many.
        place: called before each start, with the place that the process takes, from 0: that of the one it follows, as
            soon as that one is gone.
    """

    def __init__(
        self, work: Callable[[], int], count: int, place: Callable[[int], object] = lambda _place: None
    ) -> None:
        self._work = work
        self._count = count
        self._place = place
        self._pids: dict[int, int] = {}
        self._took_leaves: set[int] = set()
        self._leaves = self._leave = -1
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        """Start the processes, keep them, and answer the worst exit code when all have ended."""
        for number in SIGNALS:
            signal.signal(number, self._forward)
        self._leaves, self._leave = os.pipe()
        os.set_blocking(self._leaves, False)
        for _ in range(self._count):
            self._start()
        while self._pids:
            pid, status = _await_end()
            if pid not in self._pids:
                continue
            del self._pids[pid]
            code = os.waitstatus_to_exitcode(status)
            if code == EX_OVERDUE and not self._stopping:  # it has said how its run ended, and left
                logger.warning("worker_process_replaced pid=%d code=%d", pid, code)
                self._start()
                continue
            if not self._took_leave(pid) and not self._stopping:  # killed, or a task has called os._exit
                logger.warning("worker_process_died pid=%d code=%d", pid, code)
                self._start(PAUSE)
                continue
            self._code = max(self._code, code)
            if not self._stopping:  # it was not told to end: it said itself that it can't go on
                self._stopping = True
                self._tell(signal.SIGTERM)
        return self._code

    def _start(self, pause: float = 0.0) -> None:
        parent = os.getpid()
        place = min(set(range(self._count)) - set(self._pids.values()))
        self._place(place)
        time.sleep(pause)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # one that came now would not be told to the new process
        pid = 0 if self._stopping else os.fork()
        if pid or self._stopping:
            if pid:
                self._pids[pid] = place
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            return
        code = 1
        try:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            _die_with_parent(signal.SIGTERM)
            if os.getppid() == parent:
                code = self._work()
        except SystemExit as error:
            code = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
        except BaseException:
            logger.exception("worker_process_failed")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(self._leave, os.getpid().to_bytes(8))
            os._exit(code)

    def _took_leave(self, pid: int) -> bool:
        """Whether a process has come to its own end: what it did returned, or raised."""
        with suppress(BlockingIOError):
            while said := os.read(self._leaves, 8):
                self._took_leaves.add(int.from_bytes(said))
        return pid in self._took_leaves

    def _forward(self, number: int, _frame: Any) -> None:
        self._stopping = True
        # A terminal sends Ctrl-C to all of its processes: they leave it to us, or one would count as two.
        self._tell(signal.SIGTERM if number == signal.SIGINT else signal.Signals(number))

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def _await_end() -> tuple[int, int]:
    """Wait for the end of a child, in slices: a signal that came right before a longer wait would be heard after it."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            return pid, status
        time.sleep(SLICE)


def _die_with_parent(number: signal.Signals) -> None:
    """Ask Linux for a signal when the parent dies. Celery's own function sends SIGKILL, whatever it is asked for."""
    with suppress(OSError, AttributeError):  # elsewhere nobody can be asked
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
