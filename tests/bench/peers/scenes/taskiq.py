"""taskiq with taskiq-redis: a list without acknowledgement, or a stream with it; callers poll for results."""

from __future__ import annotations

import os
from typing import Any

from bench.peers.echo import tell
from taskiq_redis import (  # type: ignore[import-not-found]
    ListQueueBroker,
    RedisAsyncResultBackend,
    RedisStreamBroker,
)

url = os.environ["BENCH_URL"]
stream = os.environ.get("BENCH_STREAM") == "1"
broker = RedisStreamBroker(url, consumer_id="0") if stream else ListQueueBroker(url)
if os.environ.get("BENCH_RESULTS", "1") == "1":
    broker = broker.with_result_backend(RedisAsyncResultBackend(url, result_ex_time=3600))


@broker.task
async def noop() -> int:
    return 1


@broker.task
async def stamp() -> float:
    return tell()


TASKS = {"noop": noop, "stamp": stamp}


async def begin() -> None:
    await broker.startup()


async def send(task: str) -> Any:
    return await TASKS[task].kiq()


async def result(handle: Any) -> Any:
    return await handle.wait_result(check_interval=0.001, timeout=30)
