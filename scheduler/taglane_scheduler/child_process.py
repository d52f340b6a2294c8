"""A child process that can't outlive the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

STOP_SECONDS = 5.0

# The launcher becomes the command, so its process id is the command's. The kernel then kills it when its parent dies,
# even while it is frozen. (`preexec_fn` could ask for the same, but may deadlock in a process that has threads.)
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ChildProcess:
    """A running command: killed by the kernel when this process dies (on Linux; elsewhere `end` must be called).

    command      a program's absolute path and its arguments
    log          a file, written anew, that takes what the command prints
    environment  what to change in ours

    OSError when it can't be started. It has a session of its own: Ctrl-C is for the parent, which may have others
    to stop first.
    """

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
        self._command, self._log, self._environment = command, log, {**os.environ, **(environment or {})}
        self._reaped = threading.Event()
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Its process id; no other process gets it before `end` has reaped this one."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it lives; a stopped one (SIGSTOP) does."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """What it ended with, below 0 by a signal; None while it lives."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Signal exactly this process; nothing happens when it has ended."""
        self._process.send_signal(number)

    def end(self, by: signal.Signals = signal.SIGTERM, *, patience: float = STOP_SECONDS) -> None:
        """Signal it, wait for its end, and send SIGKILL after `patience` seconds."""
        self.send(by)
        self.send(signal.SIGCONT)  # a frozen process would not see SIGTERM
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reaped.set()

    def _start(self) -> subprocess.Popen[bytes]:
        """Fork from a thread that stays: to the kernel, the parent that must not die is the *thread* that forked."""
        outcome: SimpleQueue[subprocess.Popen[bytes] | OSError] = SimpleQueue()
        threading.Thread(target=self._fork_and_stay, args=(outcome,), name="child-process", daemon=True).start()
        started = outcome.get()
        if isinstance(started, OSError):
            raise started
        return started

    def _fork_and_stay(self, outcome: SimpleQueue[subprocess.Popen[bytes] | OSError]) -> None:
        try:
            with self._log.open("wb") as output:
                process = subprocess.Popen(  # noqa: S603 - no shell, and the command is ours
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                )
        except OSError as error:
            outcome.put(error)
        else:
            outcome.put(process)
            self._reaped.wait()
