"""arq: a sorted set that workers poll, late acknowledgement; callers poll for results. Run as a module: one worker."""

from __future__ import annotations

import os
from typing import Any

from arq import create_pool  # type: ignore[import-not-found]
from arq.connections import RedisSettings  # type: ignore[import-not-found]
from arq.worker import run_worker  # type: ignore[import-not-found]
from bench.peers.echo import tell

POLL = 0.01
"""Of a worker that is idle, s; half a second by default."""
KEPT = os.environ.get("BENCH_RESULTS", "1") == "1"
settings = RedisSettings.from_dsn(os.environ["BENCH_URL"])
pools: list[Any] = []


async def noop(_context: Any) -> int:
    return 1


async def stamp(_context: Any) -> float:
    return tell()


class Worker:
    """arq's settings of a worker."""

    functions = (noop, stamp)
    redis_settings = settings
    max_jobs = 100
    poll_delay = POLL
    log_results = False
    keep_result = 3600 if KEPT else 0


async def begin() -> None:
    pools.append(await create_pool(settings))


async def send(task: str) -> Any:
    return await pools[0].enqueue_job(task)


async def result(handle: Any) -> Any:
    return await handle.result(timeout=30, poll_delay=0.001)


if __name__ == "__main__":
    run_worker(Worker)
