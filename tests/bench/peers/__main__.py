"""`make bench-peers`: measures Taglane beside every peer on one server, and prints ratios beside their aims.

BENCH_N (10,000) is how many runs are sent and drained, BENCH_ROUNDS (3) how often; the contenders take turns, medians
are printed. BENCH_ONLY (huey,dramatiq) chooses contenders, and BENCH_PART (enqueue,drain,latency,start) what is
measured. BENCH_KEEP names a file that keeps all figures: short takings one after the other make one table.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import report
from bench.peers import table
from bench.peers.catalogue import CATALOGUE
from bench.peers.environments import NotToBeHad
from bench.peers.figures import Figures
from bench.peers.measures import PARTS, bare_pipeline, help_time
from redis import Redis
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.peers.peer import Contender

CALLS = 80
"""At low load, a round."""


def measure(names: Sequence[str], parts: Sequence[str], runs: int, rounds: int, figures: Figures) -> None:
    """Measure on a server of its own, in rounds in which all take turns."""
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer())
        redis = stack.enter_context(Redis.from_url(server.url))
        chosen = f"BENCH_ONLY={','.join(names)} BENCH_PART={','.join(parts)} "
        command = f"{chosen}BENCH_N={runs} BENCH_ROUNDS={rounds} make bench-peers"
        for line in report.machine(redis, command):
            print(line)
        contenders = list(_found(names, server.url, stack))
        for side in contenders:
            print(f"{side.name} {side.version}" + (f": {side.note}" if side.note else ""))
        for _ in range(rounds):
            for part in parts:
                _round(redis, contenders, part, runs, figures)


def _found(names: Sequence[str], url: str, stack: ExitStack) -> Iterator[Contender]:
    """Those that can be had here; says which can't."""
    for name in names:
        try:
            yield CATALOGUE[name](url, stack)
        except NotToBeHad as error:
            print(f"SKIPPED {error}")


def _round(redis: Any, contenders: Sequence[Contender], part: str, runs: int, figures: Figures) -> None:
    for side in contenders:
        _progress(f"{part}: {side.name}")
        for setting, what, value in PARTS[part](redis, side, min(CALLS, runs) if part == "latency" else runs):
            figures.note(part, side.name, setting, what, value)
        figures.keep()
    if part == "enqueue" and (size := figures.get(part, "taglane", "", "many bytes")):
        figures.note(part, "redis-py", "", "many rate", bare_pipeline(redis, size, runs))
    if part == "start":
        for seconds in help_time():
            figures.note(part, "taglane", "--help", "seconds", seconds)
    figures.keep()


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        print(what, file=sys.stderr)


def _chosen(variable: str, known: Sequence[str]) -> list[str]:
    asked = [word.strip() for word in os.environ.get(variable, "").split(",") if word.strip()]
    if unknown := set(asked) - set(known):
        sys.exit(f"{variable}: {', '.join(sorted(unknown))} is none of {', '.join(known)}")
    return [name for name in known if name in asked or not asked]


def main(plots: str = "") -> None:
    """Measure what was asked for, and report all that is known; plots are written into a folder, of all contenders."""
    kept = os.environ.get("BENCH_KEEP")
    figures = Figures(Path(kept) if kept else None)
    names, parts = _chosen("BENCH_ONLY", list(CATALOGUE)), _chosen("BENCH_PART", list(PARTS))
    rounds = int(os.environ.get("BENCH_ROUNDS", "3"))
    measure(names, parts, int(os.environ.get("BENCH_N", "10000")), rounds, figures)
    for line in table.lines(figures):
        print(line)
    print(report.after())
    if plots and (kept or len(names) == len(CATALOGUE)):
        table.draw(figures, Path(plots))


if __name__ == "__main__":
    main(*sys.argv[1:])
