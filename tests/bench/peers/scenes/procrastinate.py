"""procrastinate: a table of PostgreSQL; it keeps each job, and no results. Run as a module it is one worker."""

from __future__ import annotations

import os
from typing import Any

from bench.peers.echo import tell
from procrastinate import App, PsycopgConnector  # type: ignore[import-not-found]

CONCURRENCY = 10
app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_URL"]))


@app.task(name="noop")
async def noop() -> int:
    return 1


@app.task(name="stamp")
async def stamp() -> float:
    return tell()


TASKS = {"noop": noop, "stamp": stamp}


def begin() -> None:
    app.open()


def send(task: str) -> Any:
    return TASKS[task].defer()


def many(count: int) -> None:
    for first in range(0, count, 1000):
        noop.batch_defer(*({} for _ in range(min(1000, count - first))))


if __name__ == "__main__":
    app.run_worker(concurrency=CONCURRENCY)
