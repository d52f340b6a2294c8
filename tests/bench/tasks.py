"""The tasks that are measured: they do nothing, so that what is left is the machinery."""

from __future__ import annotations

import logging
import os
import time
from functools import cache
from hashlib import sha256

from bench.peers import echo
from celery import shared_task

log = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def noop() -> None:
    """Do nothing, and keep nothing."""


@shared_task
def answer() -> int:
    """Do nothing, and keep a result."""
    return 1


@shared_task(ignore_result=True)
def chat() -> None:
    """Log ten lines, and keep nothing else."""
    for number in range(10):
        log.warning("line %d of ten, as long as lines are", number)


@shared_task
def started() -> float:
    """When it started, on the machine's monotonic clock, s."""
    return time.monotonic()


@shared_task
def stamp() -> float:
    """When it started, told to whoever listens, s."""
    return echo.tell()


@shared_task(ignore_result=True)
def nap() -> None:
    """Wait for 5 ms, and keep nothing."""
    time.sleep(0.005)


@shared_task(ignore_result=True)
def crunch(steps: int = 9_000) -> None:
    """Compute for about 5 ms, in steps that never let go of the interpreter's lock; and keep nothing."""
    digest = b""
    for _ in range(steps):
        digest = sha256(digest).digest()


@shared_task(ignore_result=True)
def ask() -> None:
    """Wait for 20 ms, as for somebody else's answer, and keep nothing."""
    time.sleep(0.02)


@shared_task(ignore_result=True)
def both() -> None:
    """Compute for about 2 ms and wait for 10 ms, and keep nothing."""
    crunch(3_600)
    time.sleep(0.01)


@shared_task(ignore_result=True)
def work(ms: float = 0, who: str = "", sent: float = 0) -> None:
    """Note down whose it is, when it was sent and when it started, on the machine's monotonic clock; wait for *ms*."""
    if who:
        os.write(_diary(), f"{who} {sent:.6f} {time.monotonic():.6f}\n".encode())
    if ms:
        time.sleep(ms / 1000)


@cache
def _diary() -> int:
    """A file that every process of a measurement appends to."""
    return os.open(os.environ["BENCH_DIARY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
