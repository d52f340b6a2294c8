"""How long a worker bears a server that is gone."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from taglane.errors import LibraryMissing, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.errors import TaglaneError

logger = logging.getLogger("taglane.worker")


class Patience:
    """Shared by a worker's threads: one log line when the server goes, one when it is back, an end after *seconds*.

    The server is back for a thread that had no answer when that one has: a connection that was opened before goes on
    under a password that is refused by now, and one thread's answer says nothing of another's.

    Args:
        seconds: how long to bear it.
        give_up: called once, with the reason, when that has passed.
    """

    def __init__(self, seconds: float, give_up: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._give_up = give_up
        self._lock = threading.Lock()
        self._gone_since: dict[int, float] = {}
        self._spent = False
        self.reconnects = 0
        """How often the server was gone, and came back."""
        self.was_refused = False
        """Whether it is over because the server, which answers, lets us in no more."""

    def bear(self, error: TaglaneError) -> None:
        """Wait a little after a failure."""
        with self._lock:
            now = time.monotonic()
            if not self._gone_since:
                logger.warning("server_gone error=%s", error)
            since = self._gone_since.setdefault(threading.get_ident(), now)
            spent = not self._spent and now - since > self._seconds
            self._spent = self._spent or spent
            if spent:
                self.was_refused = isinstance(error, Refused)
        if spent:
            self._give_up(str(error))
        time.sleep(1.0 if isinstance(error, (Refused, LibraryMissing)) else 0.2)

    def despair(self, error: Exception) -> None:
        """Give up at once, for an error of our own: a worker that lives on without one of its threads serves nobody."""
        logger.error("thread_failed", exc_info=error)
        self._give_up(repr(error))

    def restore(self) -> bool:
        """Take note of an answer to this thread; answers whether none of them waits for one."""
        if not self._gone_since:
            return True
        with self._lock:
            since = self._gone_since.pop(threading.get_ident(), None)
            if since is not None and not self._gone_since:
                self.reconnects += 1
                logger.warning("server_back after=%.1f", time.monotonic() - since)
            return not self._gone_since
