"""dramatiq: a list and a hash, late acknowledgement; results lie in a list each, so that callers can wait for them."""

from __future__ import annotations

import os
from typing import Any

import dramatiq  # type: ignore[import-not-found]
from bench.peers.echo import tell
from dramatiq.brokers.redis import RedisBroker  # type: ignore[import-not-found]
from dramatiq.results import Results  # type: ignore[import-not-found]
from dramatiq.results.backends import RedisBackend  # type: ignore[import-not-found]

KEPT = os.environ.get("BENCH_RESULTS", "1") == "1"
broker = RedisBroker(url=os.environ["BENCH_URL"])
if KEPT:
    broker.add_middleware(Results(backend=RedisBackend(url=os.environ["BENCH_URL"])))
dramatiq.set_broker(broker)
OPTIONS = {"store_results": True} if KEPT else {}


@dramatiq.actor(**OPTIONS)
def noop() -> int | None:
    return 1 if KEPT else None


@dramatiq.actor(**OPTIONS)
def stamp() -> float:
    return tell()


TASKS = {"noop": noop, "stamp": stamp}


def send(task: str) -> Any:
    return TASKS[task].send()


def result(handle: Any) -> Any:
    return handle.get_result(block=True, timeout=30_000)
