"""rq: a hash a job, results in streams; SimpleWorker forks no process a job. Run as a module it is one worker."""

from __future__ import annotations

import os
from typing import Any

from bench.peers import echo
from redis import Redis
from rq import Queue, SimpleWorker  # type: ignore[import-not-found]

connection: Any = Redis.from_url(os.environ["BENCH_URL"])
queue = Queue("bench", connection=connection)


def noop() -> int:
    return 1


def stamp() -> float:
    return echo.tell()


def send(task: str) -> Any:
    return queue.enqueue(f"bench.peers.scenes.rq.{task}")


def many(count: int) -> None:
    for first in range(0, count, 1000):
        queue.enqueue_many([Queue.prepare_data(f"{__name__}.noop") for _ in range(min(1000, count - first))])


def result(handle: Any) -> Any:
    return handle.latest_result(timeout=30)


if __name__ == "__main__":
    SimpleWorker([queue], connection=connection).work(logging_level="WARNING")
