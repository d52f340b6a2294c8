"""The tasks of the fault scenes: each execution leaves a line at its start, and one at its end, in FAULTS_DIARY.

The same for both sides, and all that is said of executions is read from these lines.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from celery import shared_task


def write_down(what: str, run: str) -> None:
    """Append a line in one write: what, which run, in which process, when on the machine's monotonic clock."""
    line = f"{what} {run} {os.getpid()} {time.monotonic():.6f}\n".encode()
    descriptor = os.open(os.environ["FAULTS_DIARY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)


@shared_task(bind=True)
def work(self: Any, seconds: float = 0.015) -> int:
    """Take a while; answer which process did it."""
    write_down("start", self.request.id)
    time.sleep(seconds)
    write_down("end", self.request.id)
    return os.getpid()


@shared_task(bind=True)
def poison(self: Any) -> None:
    """Kill the process that executes it."""
    write_down("start", self.request.id)
    os.kill(os.getpid(), signal.SIGKILL)
