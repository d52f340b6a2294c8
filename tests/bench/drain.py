"""Times how fast workers drain a full queue, from outside, in the same way for both sides.

The queue is filled, then the workers start. What is left, waiting or held, is read each 20 ms by two O(1) commands;
the rate is that between the first reading at which the workers are well on their way and the one at which all is done.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import sides

if TYPE_CHECKING:
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
    **environment: str,
) -> Drain:
    """Fill the queue, start the workers, time them, end them."""
    side.clear()
    side.fill(task, runs)
    redis.config_resetstat()
    processes = [sides.start(side, side.worker(pool, concurrency), **environment) for _ in range(workers)]
    try:
        rate, share = _watch(redis, side, runs, processes)
        stats = redis.info("commandstats")
    finally:
        for process in processes:
            sides.end(process)
    return Drain(rate, share, _commands(stats, side.name, runs))


def _watch(redis: Any, side: Side, runs: int, processes: list[Popen[str]]) -> tuple[float, float]:
    enough = min(500, runs // 5)
    begin: tuple[float, int, float] | None = None
    left, moved_at = runs, time.monotonic()
    while True:
        time.sleep(POLL)
        before, left, now = left, side.backlog(), time.monotonic()
        if left < before:
            moved_at = now
        if begin is None and runs - left >= enough:
            begin = now, left, _cpu(redis)
        if not left and begin is not None:
            seconds = max(POLL, now - begin[0])
            return max(begin[1], 1) / seconds, (_cpu(redis) - begin[2]) / seconds
        if now - moved_at > PATIENCE or any(process.poll() is not None for process in processes):
            raise Stuck(
                f"{side.name}: {left} of {runs} left, and nothing moved for {PATIENCE:g} s: {sides.complaint()}"
            )


def _cpu(redis: Any) -> float:
    used = redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _commands(stats: dict[str, Any], side: str, runs: int) -> dict[str, float]:
    sent = {name.removeprefix("cmdstat_"): entry["calls"] / runs for name, entry in stats.items()}
    return {
        name: round(calls, 2)
        for name, calls in sorted(sent.items(), key=lambda item: -item[1])
        if name not in WATCHING and name in TOP_LEVEL.get(side, sent) and calls >= 0.005
    }
