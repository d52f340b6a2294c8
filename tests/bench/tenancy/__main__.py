"""`make bench-tenants`: measures what tenants on one server have of one another, each figure beside its aim.

BENCH_ONLY (all) names what is measured, BENCH_ROUNDS (1) how often; medians are printed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.measured import measured
from bench.tenancy.alone import limited, lone
from bench.tenancy.idle import idle
from bench.tenancy.neighbour import neighbour
from bench.tenancy.shares import shares
from bench.tenancy.size import FULL
from bench.tenancy.stops import recovery, stops
from bench.tenancy.turns import turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.tenancy.figures import Sheet
    from bench.tenancy.size import Size

MEASURES: dict[str, Callable[[Sheet, Size], None]] = {
    "neighbour": neighbour,
    "shares": shares,
    "lone": lone,
    "limited": limited,
    "turns": turns,
    "idle": idle,
    "recovery": recovery,
    "stops": stops,
}


def measure(names: Sequence[str], rounds: int, size: Size) -> Sheet:
    """Measure each on servers of its own, and print the report."""
    command = f"BENCH_ONLY={','.join(names)} BENCH_ROUNDS={rounds} make bench-tenants"
    return measured([MEASURES[name] for name in names], (size,), rounds=rounds, command=command)


if __name__ == "__main__":
    asked = os.environ.get("BENCH_ONLY", "")
    measure(asked.split(",") if asked else list(MEASURES), int(os.environ.get("BENCH_ROUNDS", "1")), FULL)
