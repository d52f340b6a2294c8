"""What is measured of each contender, in four parts: enqueue, drain, latency, start."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import sides, tree
from bench.drain import drain
from bench.peers.echo import Ear
from bench.peers.peer import speak
from bench.peers.speak import WARM_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.peers.peer import Contender, Setting

    Figure = tuple[str, str, float]
    """Which setting, which measure, the value."""

SETTLED = 1.0
"""After its first task a worker is given so long before its memory is read, s."""


def enqueue(redis: Any, side: Contender, runs: int) -> Iterator[Figure]:
    """Send one by one from one process, and in bulk where there is a way."""
    for way in ("send", *(("many",) if side.bulk else ())):
        side.clear()
        redis.config_resetstat()
        before = _server_cpu(redis)
        said = speak(side, way, runs)
        stats, used = redis.info("stats"), _server_cpu(redis) - before
        yield "", f"{way} rate", runs / said["seconds"]
        yield "", f"{way} us", said["cpu"] / runs * 1e6
        sent = runs + min(WARM_UP, runs - 1)
        yield "", f"{way} trips", stats["total_reads_processed"] / sent
        yield "", f"{way} server us", used / sent * 1e6
        yield "", f"{way} bytes", stats["total_net_input_bytes"] / sent
    side.clear()


def _server_cpu(redis: Any) -> float:
    used = redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def drains(redis: Any, side: Contender, runs: int, *, longest: float = 15.0) -> Iterator[Figure]:
    """Drain what was filled before, in every setting."""
    for setting in side.settings:
        measured = drain(
            redis,
            side,
            setting.pool,
            "answer",
            runs,
            workers=setting.processes,
            longest=longest,
            environment=setting.environment,
        )
        yield setting.label, "rate", measured.rate
        yield setting.label, "trips", measured.trips
        yield setting.label, "commands", sum(measured.commands.values())
        yield setting.label, "worker us", measured.worker_us
        yield setting.label, "server us", measured.server_share / measured.rate * 1e6
    side.clear()


def latency(_redis: Any, side: Contender, calls: int) -> Iterator[Figure]:
    """Call an idle worker again and again: until the task starts, and until its result is in the caller's hand."""
    for setting in _patient(side):
        side.clear()
        with tempfile.TemporaryDirectory(prefix="taglane-bench-") as folder:
            known = {"BENCH_ECHO": f"{folder}/echo", "BENCH_NOTIFY": "1"}
            processes = _workers(side, setting, known)
            try:
                said = speak(side, "wait", calls, **known)
            finally:
                for process in processes:
                    sides.end(process)
        for which, values in said.items():
            for percent in (50, 99) if values else ():
                ordered = sorted(values)
                value = ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]
                yield setting.label, f"{which} p{percent}", value * 1000


def start(_redis: Any, side: Contender, _runs: int) -> Iterator[Figure]:
    """Start workers beside a task that waits: when it starts, and what they hold when they are idle again."""
    for setting in _patient(side):
        side.clear()
        with tempfile.TemporaryDirectory(prefix="taglane-bench-") as folder, Ear(f"{folder}/echo") as ear:
            speak(side, "stamp", 1)
            began = time.monotonic()
            processes = _workers(side, setting, {"BENCH_ECHO": ear.path})
            try:
                yield setting.label, "first", ear.hear() - began
                time.sleep(SETTLED)
                held = [tree.memory(process.pid) for process in processes]
            finally:
                for process in processes:
                    sides.end(process)
        for name, values in zip(("rss", "pss", "processes"), zip(*held, strict=True), strict=True):
            yield setting.label, name, sum(values)


def _patient(side: Contender) -> list[Setting]:
    return [setting for setting in side.settings if setting.patient]


def _workers(side: Contender, setting: Setting, known: dict[str, str]) -> list[Any]:
    command = side.worker(setting.pool, 2)
    return [sides.start(side, command, **setting.environment, **known) for _ in range(setting.processes)]


def bare_pipeline(redis: Any, size: float, runs: int) -> float:
    """How many values of so many bytes on the wire redis-py alone pushes in a second, a thousand in a pipeline."""
    key = "bench-bare"
    value = b"x" * max(1, round(size) - len(b"*3\r\n$5\r\nRPUSH\r\n$10\r\n\r\n$300\r\n\r\n") - len(key))
    begin = time.perf_counter()
    for first in range(0, runs, 1000):
        pipeline = redis.pipeline(transaction=False)
        for _ in range(min(1000, runs - first)):
            pipeline.rpush(key, value)
        pipeline.execute()
    seconds = time.perf_counter() - begin
    redis.delete(key)
    return runs / seconds


def help_time() -> Iterator[float]:
    """How long `taglane --help` takes, s."""
    command = [str(Path(sys.executable).with_name("taglane")), "--help"]
    for _ in range(5):
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        yield time.monotonic() - began


PARTS: dict[str, Callable[[Any, Contender, int], Iterator[Figure]]] = {
    "enqueue": enqueue,
    "drain": drains,
    "latency": latency,
    "start": start,
}
