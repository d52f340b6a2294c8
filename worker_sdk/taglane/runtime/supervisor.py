"""Several worker processes as one: forked from one that has loaded the application, started again when one dies.

One Python process is one core. Forking after the import is what makes the second one cheap.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from celery.platforms import set_pdeathsig

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("taglane.worker")

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

PAUSE = 1.0
"""Seconds between the death of a process and its successor's start, so that a broken one is no storm."""


class Supervisor:
    """Keeps *count* processes at work until a signal stops them.

    Args:
        work: what each does; its answer is the process's exit code.
        count: how many.
    """

    def __init__(self, work: Callable[[], int], count: int) -> None:
        self._work = work
        self._count = count
        self._pids: set[int] = set()
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        """Start the processes, keep them, and answer the worst exit code when all have ended."""
        for number in SIGNALS:
            signal.signal(number, self._forward)
        for _ in range(self._count):
            self._start()
        while self._pids:
            pid, status = os.wait()
            if pid not in self._pids:
                continue
            self._pids.discard(pid)
            code = os.waitstatus_to_exitcode(status)
            if code < 0 and not self._stopping:
                logger.warning("worker_process_died pid=%d signal=%d", pid, -code)
                time.sleep(PAUSE)
                self._start()
                continue
            self._code = max(self._code, code)
            if not self._stopping:  # it was not told to end: it said itself that it can't go on
                self._stopping = True
                self._tell(signal.SIGTERM)
        return self._code

    def _start(self) -> None:
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # one that came now would not be told to the new process
        pid = 0 if self._stopping else os.fork()
        if pid or self._stopping:
            if pid:
                self._pids.add(pid)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            return
        code = 1
        try:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            set_pdeathsig("SIGTERM")
            if os.getppid() == parent:
                code = self._work()
        except SystemExit as error:
            code = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
        except BaseException:
            logger.exception("worker_process_failed")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _forward(self, number: int, _frame: Any) -> None:
        self._stopping = True
        self._tell(signal.Signals(number))

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
