"""Keeps a worker's heartbeat from a process of its own, where user code may silence the worker's threads.

One long regular expression holds the interpreter's lock for as long as it takes. This process is started by the worker
and ends with it; it skips a beat while the worker is stopped, so that a stopped worker counts as dead. As long as the
worker's own heartbeats are heard it asks the server nothing, has no connection, and is hardly more than an interpreter.
"""

from __future__ import annotations

import marshal
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from taglane.runtime import heart_process
from taglane.store.connect import plain

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
"""What a terminal or an operator sends to all of a worker's processes: the helper ends with its parent, not before."""


class Heart:
    """The helper process of one worker.

    Args:
        url: the server.
        heartbeat: what it calls: a prefix, a function, the worker.
        interval: seconds between two beats: its own, or the worker's.
    """

    def __init__(self, url: str, heartbeat: tuple[str, str, str], interval: float) -> None:
        self._told = {"url": url, "heartbeat": heartbeat, "interval": interval, "path": sys.path, "plain": plain(url)}
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._shared = _shared_memory()
        os.ftruncate(self._shared, 8)
        self._memory = mmap.mmap(self._shared, 8)
        self.beaten(float("-inf"))

    def beaten(self, at: float) -> None:
        """Note that the worker's own heartbeat was heard, which it sent *at* that time of the monotonic clock."""
        self._memory[:] = struct.pack("d", at)

    def start(self) -> None:
        """Start it. Our end of its standard input is its lifeline: when we are gone, however, it reads the end."""
        program = str(Path(heart_process.__file__))
        command = [sys.executable, "-I", "-S", program, str(self._shared)]
        receiver, self._lifeline = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)  # it goes on with these blocked
        try:
            self._process = subprocess.Popen(command, stdin=receiver, pass_fds=[self._shared])  # noqa: S603 - our own
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(receiver)
        told = marshal.dumps({**self._told, "parent": os.getpid()})
        os.write(self._lifeline, told)  # it has a password: no argument

    def stop(self) -> None:
        """End it, by its id."""
        process, self._process = self._process, None
        if process is not None:
            os.close(self._lifeline)
            process.kill()
            process.wait()
            self._memory.close()
            os.close(self._shared)


def _shared_memory() -> int:
    """A descriptor of what two processes may map; where there is no such memory, of a file without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("taglane-heart")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
