"""Times how fast workers drain a full queue, from outside, in the same way for both sides.

The queue is filled, then the workers start. What is left, waiting or held, is read each 20 ms by two O(1) commands;
the rate is that between the first reading at which the workers are well on their way and the one at which all is done.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import sides, tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from subprocess import Popen

    from bench.sides import Side

POLL = 0.02
PATIENCE = 60.0
"""Seconds without progress after which a worker counts as stuck."""

TOP_LEVEL = {"taglane": {"fcall", "blpop"}}
"""What our worker sends: commandstats counts the commands inside of functions too. Stock Celery uses no function."""

WATCHING = {"llen", "zcard", "info", "config|resetstat", "lpush", "auth", "select", "client|setinfo", "hello"}


@dataclass(frozen=True, slots=True)
class Drain:
    """One drain."""

    rate: float
    """Runs a second."""
    server_share: float
    """Of one core, during the drain."""
    commands: dict[str, float] = field(default_factory=dict)
    """The commands that the workers sent, a run."""
    trips: float = 0
    """How often the server read from the workers' connections, a run: a pipeline that comes at once is one."""
    worker_us: float = 0
    """Processor time of the workers and their children, a run."""


class Stuck(Exception):
    """A worker makes no progress."""


def drain(
    redis: Any,
    side: Side,
    pool: str,
    task: str,
    runs: int,
    *,
    workers: int = 1,
    concurrency: int = 2,
    longest: float = float("inf"),
    environment: Mapping[str, str] | None = None,
) -> Drain:
    """Fill the queue, start the workers, time them, end them; after *longest* seconds what is done by then counts."""
    side.clear()
    side.fill(task, runs)
    redis.config_resetstat()
    processes = [sides.start(side, side.worker(pool, concurrency), **(environment or {})) for _ in range(workers)]
    try:
        watched = _watch(redis, side, runs, processes, longest)
        stats = redis.info("commandstats")
    finally:
        for process in processes:
            sides.end(process)
    begin, end = watched
    done, seconds = max(begin.left - end.left, 1), max(POLL, end.at - begin.at)
    return Drain(
        done / seconds,
        (end.server - begin.server) / seconds,
        _commands(stats, side.name, runs - end.left),
        max(0, end.reads - begin.reads) / done,
        (end.workers - begin.workers) / done * 1e6,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen at one time: what is left, and what was used by then, in seconds and reads."""

    at: float
    left: int
    server: float
    reads: int
    workers: float


def _watch(
    redis: Any, side: Side, runs: int, processes: list[Popen[str]], longest: float = float("inf")
) -> tuple[_Look, _Look]:
    """The looks at which the workers were well on their way, and at which all was done."""
    enough = min(500, runs // 5)
    begin: _Look | None = None
    left, moved_at, looks, started = runs, time.monotonic(), 0, time.monotonic()

    def look() -> _Look:
        used, reads = redis.info("cpu"), redis.info("stats")["total_reads_processed"]
        server = float(used["used_cpu_user"] + used["used_cpu_sys"])
        return _Look(now, left, server, reads - looks, sum(tree.cpu(process.pid) for process in processes))

    while True:
        time.sleep(POLL)
        before, left, now = left, side.backlog(), time.monotonic()
        looks += 1
        if left < before:
            moved_at = now
        if begin is None and runs - left >= enough:
            begin = look()
            looks += 2
        elif begin is not None and (not left or now - started > longest):
            return begin, look()
        if now - moved_at > PATIENCE or any(process.poll() is not None for process in processes):
            raise Stuck(
                f"{side.name}: {left} of {runs} left, and nothing moved for {PATIENCE:g} s: {sides.complaint()}"
            )


def _commands(stats: dict[str, Any], side: str, runs: int) -> dict[str, float]:
    sent = {name.removeprefix("cmdstat_"): entry["calls"] / runs for name, entry in stats.items()}
    return {
        name: round(calls, 2)
        for name, calls in sorted(sent.items(), key=lambda item: -item[1])
        if name not in WATCHING and name in TOP_LEVEL.get(side, sent) and calls >= 0.005
    }
