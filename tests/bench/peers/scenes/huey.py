"""huey: a list, results in a hash; a caller that waits is told where results are notified."""

from __future__ import annotations

import os
from typing import Any

from bench.peers.echo import tell
from huey import RedisHuey  # type: ignore[import-not-found]

app = RedisHuey(
    "bench",
    url=os.environ["BENCH_URL"],
    results=os.environ.get("BENCH_RESULTS", "1") == "1",
    notify_result=os.environ.get("BENCH_NOTIFY") == "1",
)


@app.task()
def noop() -> int:
    return 1


@app.task()
def stamp() -> float:
    return tell()


TASKS = {"noop": noop, "stamp": stamp}


def send(task: str) -> Any:
    return TASKS[task]()


def result(handle: Any) -> Any:
    return handle.get(blocking=True, timeout=30)
