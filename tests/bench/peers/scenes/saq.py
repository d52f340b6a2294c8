"""saq: two lists and a key a job, which is its result too; callers are told by publish."""

from __future__ import annotations

import os
from typing import Any

from bench.peers.echo import tell
from saq import Queue  # type: ignore[import-not-found]

queue = Queue.from_url(os.environ["BENCH_URL"], name="bench")


async def noop(_context: Any) -> int:
    return 1


async def stamp(_context: Any) -> float:
    return tell()


settings = {"queue": queue, "functions": [noop, stamp], "concurrency": 10}


async def begin() -> None:
    await queue.connect()


async def send(task: str) -> Any:
    return await queue.enqueue(task)


async def result(handle: Any) -> Any:
    await handle.refresh(until_complete=30)
    return handle.result
