"""The tasks that are measured: they do nothing, so that what is left is the machinery."""

from __future__ import annotations

import time

from celery import shared_task


@shared_task(ignore_result=True)
def noop() -> None:
    """Do nothing, and keep nothing."""


@shared_task
def answer() -> int:
    """Do nothing, and keep a result."""
    return 1


@shared_task
def started() -> float:
    """When it started, on the machine's monotonic clock, s."""
    return time.monotonic()
