"""Prints the figures: the machine first, then a table with the ratio before the absolutes."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.drain import Drain
    from bench.rounds import Comparison

PACKAGES = ("celery", "kombu", "redis", "hiredis")
LOWER_IS_BETTER = ("ms", "MB")


def machine(redis: Any, command: str) -> Iterator[str]:
    """Say where this was measured, and how to repeat it."""
    server = redis.info("server")
    name = "Valkey " + server["valkey_version"] if "valkey_version" in server else "Redis " + server["redis_version"]
    yield f"machine: {_processor()}, {os.cpu_count()} cores, {platform.platform(terse=True)}"
    yield (
        f"python {platform.python_version()}, "
        + ", ".join(f"{each} {version(each)}" for each in PACKAGES)
        + f", {name}"
    )
    yield f"load before: {os.getloadavg()[0]:.2f}, {pace()}; command: {command}"


def after() -> str:
    """Say how busy the machine is when all is measured, and how fast."""
    return f"load after: {os.getloadavg()[0]:.2f}, {pace()}"


def pace() -> str:
    """Say how fast this machine is just now: the same machine may take twice as long some minutes later."""
    began = time.perf_counter()
    for number in range(2_000_000):
        _ = number * number
    return f"two million multiplications in {1000 * (time.perf_counter() - began):.0f} ms"


def table(comparisons: Iterable[Comparison]) -> Iterator[str]:
    """Medians of the rounds; a ratio above 1 is in our favour."""
    yield f"{'ratio':>7} {'aim':>5}   {'taglane':>9} {'celery':>9} unit     what"
    for line in comparisons:
        ours = median(line.ours)
        theirs = median(line.theirs) if line.theirs else None
        ratio = f"x{_ratio(ours, theirs, line.unit):.2f}" if theirs else ""
        aim = f">={line.aim:g}" if line.aim else ""
        yield f"{ratio:>7} {aim:>5}   {_figure(ours):>9} {_figure(theirs):>9} {line.unit:8} {line.what}"


def costs(comparisons: Iterable[Comparison]) -> Iterator[str]:
    """What the drains asked of the server: commands a run, as the workers sent them, and its share of one core."""
    for line in comparisons:
        for side, drained in line.notes.items():
            yield f"{line.what:34} {side:8} server {drained.server_share:.0%}; {_commands(drained)}"


def _commands(drained: Drain) -> str:
    sent = " ".join(f"{name} {calls:g}" for name, calls in drained.commands.items())
    return f"{sum(drained.commands.values()):.2f} commands a run: {sent}"


def _ratio(ours: float, theirs: float, unit: str) -> float:
    return theirs / ours if unit in LOWER_IS_BETTER else ours / theirs


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("ascii", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
