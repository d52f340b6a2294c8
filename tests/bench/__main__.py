"""`make bench`: measures Taglane beside stock Celery on one server, and prints ratios.

BENCH_N (20,000) is how many runs are drained and sent, BENCH_ROUNDS (3) how often; medians are printed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bench import report
from bench.rounds import Rounds
from bench.sides import Ours, Stock
from redis import Redis
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from bench.rounds import Comparison


def measure(runs: int, rounds: int, *, choose: bool = True) -> list[Comparison]:
    """Measure on a server of its own, and print the report."""
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        for line in report.machine(redis, f"BENCH_N={runs} BENCH_ROUNDS={rounds} make bench"):
            print(line)
        measured = Rounds(redis, server.url, Ours(server.url), Stock(server.url), runs=runs, say=_progress)
        if choose:
            print(f"stock prefetch, the faster of two: {dict(measured.choose_prefetch())}")
        for _ in range(rounds):
            measured.round()
        comparisons = list(measured.comparisons.values())
        for line in (*report.table(comparisons), *report.costs(comparisons)):
            print(line)
        return comparisons


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        print(what, file=sys.stderr)


if __name__ == "__main__":
    measure(int(os.environ.get("BENCH_N", "20000")), int(os.environ.get("BENCH_ROUNDS", "3")))
