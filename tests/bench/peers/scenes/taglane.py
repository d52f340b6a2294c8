"""Taglane: `enqueue` one by one and `enqueue_many`, with results, history and late acknowledgement, as it comes."""

from __future__ import annotations

import os
from typing import Any

from taglane import Taglane

lane = Taglane(os.environ["BENCH_URL"])
NAMES = {"noop": "bench.tasks.answer", "stamp": "bench.tasks.stamp"}


def send(task: str) -> Any:
    return lane.enqueue(NAMES[task])


def many(count: int) -> None:
    lane.enqueue_many(NAMES["noop"], params=({} for _ in range(count)))


def result(handle: Any) -> Any:
    return handle.wait(30)
