"""`make faults`: plays every fault scene, on Taglane and on stock Celery, and prints one table.

FAULTS_RUNS (2,000) and FAULTS_KILLS (20) are those of the killed workers, FAULTS_SEED (1) is that of all chance,
FAULTS_ONLY plays those scenes alone whose name holds it.
"""

from __future__ import annotations

import os
import sys
import time

from bench.report import machine
from faults import report
from faults.form import full
from faults.play import SCENES, play
from faults.sides import Ours, Stock
from redis import Redis
from taglane_scheduler.embedded import EmbeddedServer


def main() -> int:
    """Play, print, and answer 1 when a scene of ours could not be played to its end."""
    began, failed = time.monotonic(), False
    named = ("FAULTS_RUNS", "FAULTS_KILLS", "FAULTS_SEED", "FAULTS_ONLY")
    given = [f"{name}={os.environ[name]}" for name in named if name in os.environ]
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        _print(*machine(redis, " ".join([*given, "make faults"])))
    _print(*report.head())
    for scene in SCENES:
        if os.environ.get("FAULTS_ONLY", "") not in scene.name:
            continue
        for side, part in ((Ours.name, scene.ours), (Stock.name, scene.stock)):
            came_to = play(part, full())
            failed = failed or (side == Ours.name and isinstance(came_to, str))
            _print(*report.lines(scene.name, side, came_to))
    _print(f"{time.monotonic() - began:.0f} s in all")
    return int(failed)


def _print(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
