"""Tasks that leave a line a start in the file FAULTY_LOG: who ran, in which process."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import taglane
from celery import Celery

app = Celery("faulty")
taglane.install(app)


def mark(what: str = "start") -> None:
    """Append a line, in one write."""
    run = taglane.current_run()
    line = f"{what} {run.id if run else '-'} {os.getpid()}\n".encode()
    descriptor = os.open(os.environ["FAULTY_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)


@app.task
def work(seconds: float = 0.01, n: int = 0) -> int:
    """Take a while."""
    mark()
    time.sleep(seconds)
    return n


@app.task(acks_late=False)
def once(seconds: float = 60.0) -> None:
    """Ask not to be run again after a death."""
    mark()
    time.sleep(seconds)


@app.task
def wait_for_file(path: str) -> str:
    """Go on until there is a file."""
    mark()
    while not Path(path).exists():
        time.sleep(0.02)
    mark("end")
    return "done"


@app.task(bind=True, max_retries=5)
def retry_after_file(self: Any, path: str) -> str:
    """Wait for a file, then ask for another try; the second try succeeds."""
    mark()
    if self.request.retries:
        return "second"
    while not Path(path).exists():
        time.sleep(0.02)
    raise self.retry(countdown=0.1)


@app.task
def poison() -> None:
    """Kill the process that executes it."""
    mark()
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def hold_the_lock(seconds: float) -> str:
    """Keep the interpreter's lock for about that long, inside one call that never lets go of it."""
    mark()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        re.match(r"(a+)+$", "a" * 24 + "b")
    return "done"
