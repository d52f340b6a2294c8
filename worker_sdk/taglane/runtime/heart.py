"""Keeps a worker's heartbeat from a process of its own, where user code may silence the worker's threads.

One long regular expression holds the interpreter's lock for as long as it takes. This process is forked from the
worker and ends with it; it skips a beat while the worker is stopped, so that a stopped worker counts as dead. As long
as the worker's own heartbeats are heard it asks the server nothing, and has no connection.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import struct
import time
from contextlib import suppress
from pathlib import Path

from celery.platforms import set_pdeathsig

from taglane.errors import TaglaneError
from taglane.store.server import Server

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
"""What a terminal or an operator sends to all of a worker's processes: the helper ends with its parent, not before."""


LATE = 1.25
"""How many intervals after the last beat that was heard the next one is overdue."""


class Heart:
    """The helper process of one worker.

    Args:
        url: the server.
        heartbeat: what it calls: a prefix, a function, the worker.
        interval: seconds between two beats: its own, or the worker's.
    """

    def __init__(self, url: str, heartbeat: tuple[str, str, str], interval: float) -> None:
        self._url = url
        self._heartbeat = heartbeat
        self._interval = interval
        self._pid = 0
        self._lifeline = -1
        self._memory = mmap.mmap(-1, 8)  # shared with the helper
        self.beaten(float("-inf"))

    def beaten(self, at: float) -> None:
        """Note that the worker's own heartbeat was heard, which it sent *at* that time of the monotonic clock."""
        self._memory[:] = struct.pack("d", at)

    def start(self) -> None:
        """Fork it. The parent's end of a pipe is its lifeline: when the parent is gone, however, it reads the end."""
        parent = os.getpid()
        receiver, self._lifeline = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)  # one that came now would find it unprepared
        self._pid = os.fork()
        if self._pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(receiver)
            return
        try:
            os.close(self._lifeline)
            set_pdeathsig("SIGKILL")
            for number in IGNORED:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self._beat(parent, receiver)
        finally:
            os._exit(0)

    def _beat(self, parent: int, lifeline: int) -> None:
        server = Server(self._url)
        own = float("-inf")
        while not select.select([lifeline], [], [], self._interval / 4)[0]:
            if os.getppid() != parent:
                return
            (heard,) = struct.unpack("d", self._memory)
            now = time.monotonic()
            if now - heard < self._interval * LATE or now - own < self._interval or is_stopped(parent):
                continue
            own = now
            with suppress(TaglaneError):  # the next beat may get through; the worker itself reports what is wrong
                server.call_at(*self._heartbeat)

    def stop(self) -> None:
        """End it, by its id."""
        if self._pid:
            os.close(self._lifeline)
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
            self._pid = 0


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal. Without /proc nobody can tell, and it counts as going."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in "Tt"
