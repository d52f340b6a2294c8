"""A measured producer, in a process of its own: sends runs in one of several ways, and prints how long that took.

`python -m bench.produce taglane|celery WAY TASK RUNS`
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 100


def main(side: str, way: str, task: str, runs: str) -> None:
    """Send, and print the seconds that it took and the latencies that were asked for."""
    count = int(runs)
    if way == "wait":
        print(json.dumps(_waits(_sender(side, "send", task), side, count)))
        return
    if way == "many":
        print(json.dumps(_timed(_many(task, count))))
        return
    send = _sender(side, way, task)
    for _ in range(min(WARM_UP, count - 1)):
        send()
    print(json.dumps(_timed(lambda: [send() for _ in range(count)] and None)))


def _sender(side: str, way: str, task: str) -> Callable[[], Any]:
    name = f"bench.tasks.{task}"
    if side == "taglane" and way == "send":
        from taglane import Taglane  # noqa: PLC0415

        lane = Taglane(os.environ["BENCH_URL"])
        return lambda: lane.enqueue(name)
    if side == "taglane":
        from bench.app_ours import app  # noqa: PLC0415
    else:
        from bench.app_stock import app  # noqa: PLC0415
    app.loader.import_default_modules()
    send: Callable[[], Any] = app.tasks[name].apply_async
    return send


def _many(task: str, count: int) -> Callable[[], object]:
    from taglane import Taglane  # noqa: PLC0415

    lane = Taglane(os.environ["BENCH_URL"])
    lane.enqueue_many(f"bench.tasks.{task}", params=({} for _ in range(WARM_UP)))
    return lambda: lane.enqueue_many(f"bench.tasks.{task}", params=({} for _ in range(count)))


def _timed(work: Callable[[], object]) -> dict[str, float]:
    begin = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - begin}


def _waits(send: Callable[[], Any], side: str, count: int) -> dict[str, list[float]]:
    starts, results = [], []
    for number in range(count + 5):
        begin = time.monotonic()
        handle = send()
        started = handle.wait(30).result if side == "taglane" else handle.get(30)
        ended = time.monotonic()
        if number >= 5:
            starts.append(started - begin)
            results.append(ended - begin)
        time.sleep(0.015)
    return {"starts": starts, "results": results}


if __name__ == "__main__":
    main(*sys.argv[1:])
