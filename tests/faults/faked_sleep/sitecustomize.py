"""Lets Python sleep under libfaketime, whose clock_nanosleep refuses the monotonic instants of `time.sleep`."""

from __future__ import annotations

import select
import time


def sleep(seconds: float) -> None:
    """Wait as long as `time.sleep` does, by another system call."""
    select.select([], [], [], seconds)


time.sleep = sleep  # type: ignore[assignment]
