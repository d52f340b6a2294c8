"""Says what is wrong with a server for a while: that it is gone, or that its clock is not believed."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from taglane.errors import TaglaneError

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]

BACKOFF_S = (0.1, 1.0)  # between two attempts to reach a server that is gone: the first, the longest
ALARM_S = 30.0  # between two alarms of a clock that is not believed


class Gone:
    """How long the server has been gone: says so once, and waits longer from attempt to attempt."""

    def __init__(self, patience: float, log: Log) -> None:
        self._patience = patience
        self._log = log
        self._since: float | None = None
        self._backoff = BACKOFF_S[0]

    def still(self, error: TaglaneError, stopping: threading.Event) -> None:
        """Wait before the next attempt; raise *error* when our patience is over."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._log.warning("server_lost error=%s", error)
        if now - self._since > self._patience:
            self._log.error("server_gone_for_good after_s=%.1f", now - self._since)
            raise error
        until = now + self._backoff
        self._backoff = min(2 * self._backoff, BACKOFF_S[1])
        while not stopping.is_set() and time.monotonic() < until:
            time.sleep(BACKOFF_S[0])  # not stopping.wait: a signal handler sets it, in this very thread

    def ended(self) -> None:
        """Note that the server is there."""
        if self._since is not None:
            self._log.warning("server_back after_s=%.1f", time.monotonic() - self._since)
            self._since, self._backoff = None, BACKOFF_S[0]


class Alarm:
    """Says that the server's clock is not believed: at once, now and then, and when that is over."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._since: float | None = None
        self._again_at = 0.0

    def tell(self, apart_ms: float | None) -> None:
        """Say what is to be said of a clock that is off by so many ms; None when it is believed."""
        now = time.monotonic()
        if apart_ms is None:
            if self._since is not None:
                self._log.warning("clock_agrees after_s=%.1f", now - self._since)
            self._since = None
        elif self._since is None or now >= self._again_at:
            self._since = now if self._since is None else self._since
            self._again_at = now + ALARM_S
            self._log.error("clock_apart by_ms=%d", apart_ms)
