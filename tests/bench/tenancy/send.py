"""A measured sender, in a process of its own: probes one by one until it is told to end, or a flood.

`python -m bench.tenancy.send taglane|celery probe WHO WHERE EVERY`, `… flood WHO WHERE COUNT MS`; WHERE is a tag or a
queue. Prints what it did.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TASK = "bench.tasks.work"


def main(side: str, what: str, who: str, where: str, *given: str) -> None:
    """Send."""
    if what == "probe":
        print(probe(_sender(side, where), who, float(given[0])))
    elif side == "taglane":
        print(*flood(who, where, int(given[0]), float(given[1])))
    else:
        print(*flood_one_by_one(_sender(side, where), int(given[0]), float(given[1])))


def probe(send: Callable[[dict[str, Any]], object], who: str, every: float) -> int:
    """Send one every so many seconds until SIGTERM; answers how many."""
    stopping, count, at = threading.Event(), 0, time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    while not stopping.is_set():
        send({"who": who, "sent": time.monotonic()})
        count += 1
        at += every
        stopping.wait(max(0.0, at - time.monotonic()))
    return count


def flood(tenant: str, tag: str, count: int, ms: float) -> tuple[float, float]:
    """Send many at once; answers when that began and ended."""
    from taglane import Taglane  # noqa: PLC0415

    lane = Taglane(os.environ["BENCH_URL"])
    begin = time.monotonic()
    for start in range(0, count, 10_000):
        lane.enqueue_many(TASK, tenant=tenant, tag=tag, params=[{"ms": ms}] * min(10_000, count - start))
    return begin, time.monotonic()


def flood_one_by_one(send: Callable[[dict[str, Any]], object], count: int, ms: float) -> tuple[float, float]:
    """Send many as stock Celery can; answers when that began and ended."""
    begin = time.monotonic()
    for _ in range(count):
        send({"ms": ms})
    return begin, time.monotonic()


def _sender(side: str, where: str) -> Callable[[dict[str, Any]], object]:
    if side == "taglane":
        from taglane import Taglane  # noqa: PLC0415

        lane = Taglane(os.environ["BENCH_URL"])
        return lambda params: lane.enqueue(TASK, tag=where, params=params)
    from bench.app_stock import app  # noqa: PLC0415

    app.loader.import_default_modules()
    task = app.tasks[TASK]
    return lambda params: task.apply_async(kwargs=params, queue=where)


if __name__ == "__main__":
    main(*sys.argv[1:])
