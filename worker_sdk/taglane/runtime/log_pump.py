"""The thread that brings the server what runs log while they go on. What is left at the end of a run goes with that."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from taglane.errors import TaglaneError
from taglane.runtime.run_log import Bounds, RunLog, Said
from taglane.store.leases import LOG, say_lost

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.context import CurrentRun
    from taglane.store.server import Server

logger = logging.getLogger("taglane.worker")

EVERY = 0.2
"""Seconds between two calls."""

AFTER_FAILURE = 1.0
"""Seconds until a server that is gone is asked again."""

MOST_BYTES = 1_048_576
"""What is said in one round trip, about."""

CROWDED = 16_777_216
"""Bytes that wait in this process at most: what comes then is dropped."""


class LogPump:
    """Sends what the runs of one process log. A process that was forked begins anew: see `forget`.

    Args:
        server_of: the server, in whichever process asks.
        bounds: of each run's log.
    """

    def __init__(self, server_of: Callable[[], Server], bounds: Bounds) -> None:
        self._server_of = server_of
        self._bounds = bounds
        self.forget()

    def forget(self) -> None:
        """Begin anew, in a process that was forked: the thread is its parent's, and so are the runs."""
        self._open: dict[int, RunLog] = {}
        self._bell: SimpleQueue[None] = SimpleQueue()  # may be rung from a signal's handler
        self._idle = True
        self._unstarted: list[None] = [None]
        self.is_crowded = False

    def open(self, run: CurrentRun) -> RunLog:
        """Return a log for an attempt of a run."""
        log = RunLog(run, self._bounds, self._ring)
        self._open[id(log)] = log
        return log

    def flush(self, timeout: float) -> None:
        """Send what there is, for a process that ends; *timeout* seconds at most."""
        if self._open:
            last = threading.Thread(target=self.step, name="taglane-logs-last", daemon=True)
            last.start()
            last.join(timeout)

    def step(self) -> bool:
        """Send some lines of each run; answers whether the server heard them."""
        said = self._take()
        if not said:
            return True
        now = time.monotonic()
        calls = [(LOG, log.run.tenant, lines.arguments(log.run.id, log.run.token, now)) for log, lines in said]
        try:
            answers = self._server_of().calls(calls)
        except TaglaneError as error:
            say_lost(error)
            return False
        for (log, _), answer in zip(said, answers, strict=True):
            self._hear(log, answer)
        return True

    def _take(self) -> list[tuple[RunLog, Said]]:
        """Take lines of each run, of those first that were not served for longest."""
        said: list[tuple[RunLog, Said]] = []
        size = total = 0
        for key, log in list(self._open.items()):
            if log.is_over:
                self._open.pop(key, None)
                continue
            total += log.size
            if size >= MOST_BYTES or not log.has_news():
                continue
            lines = log.take()
            if lines is not None:
                said.append((log, lines))
                size += lines.size
                self._open.pop(key, None)  # it is served last next time
                self._open[key] = log
        self.is_crowded = total > CROWDED
        return said

    def _hear(self, log: RunLog, answer: Any) -> None:
        if answer == 0:
            log.lose()
        elif isinstance(answer, TaglaneError):
            say_lost(answer)
            log.refused()
        else:
            log.sent()

    def _ring(self) -> None:
        """Wake the thread, or start it; never waits, and may be called at any point of anything."""
        if not self._idle:
            return
        self._idle = False
        self._bell.put(None)
        if self._unstarted:
            try:
                self._unstarted.pop()
            except IndexError:
                return
            thread = threading.Thread(target=self._loop, name="taglane-logs", daemon=True)
            contextvars.Context().run(thread.start)  # it is part of no run

    def _loop(self) -> None:
        while True:
            self._idle = True
            if not any(log.has_news() for log in list(self._open.values())):
                self._bell.get()
            self._idle = False
            time.sleep(EVERY)
            try:
                heard = self.step()
            except Exception:  # whatever it is, logs are no reason for a worker to end
                logger.exception("run_logs_failed")
                heard = False
            if not heard:
                time.sleep(AFTER_FAILURE)
