"""Times how soon a worker takes its first run, and reads what it holds of memory when it is idle after that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from bench import sides, tree

if TYPE_CHECKING:
    from bench.sides import Side

POLL = 0.002
PATIENCE = 30.0
SETTLED = 1.0
"""Seconds until what a worker does at its start is done."""


class Start(NamedTuple):
    """One start of one worker."""

    first_ms: float
    """From its start to the end of a run that does nothing and waited for it."""
    rss: float
    """MB of all its processes; shared pages count for each of them."""
    pss: float
    """Likewise; shared pages count once."""


def start(side: Side, pool: str, concurrency: int = 2) -> Start:
    """Start a worker beside a run that waits, and end it.

    Raises:
        RuntimeError: the run does not end.
    """
    side.clear()
    side.fill("noop", 1)
    began = time.monotonic()
    process = sides.start(side, side.worker(pool, concurrency))
    try:
        while side.backlog():
            if time.monotonic() - began > PATIENCE or process.poll() is not None:
                raise RuntimeError(f"the worker of {side.name} takes no run: {sides.complaint()}")
            time.sleep(POLL)
        first = time.monotonic() - began
        time.sleep(SETTLED)
        rss, pss, _ = tree.memory(process.pid)
    finally:
        sides.end(process)
    return Start(first * 1000, rss, pss)
