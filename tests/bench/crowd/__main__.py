"""`make bench-crowd`: what very many tenants cost one server, and whether it stays as it is over many runs.

CROWD_ONLY (all) names what is measured, CROWD_TENANTS (10,000) how many there are.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.crowd.flat import flat, long_drain
from bench.crowd.herd import herd
from bench.crowd.size import FULL
from bench.crowd.waiting import waiting
from bench.measured import measured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.crowd.size import Size
    from bench.tenancy.figures import Sheet

MEASURES: dict[str, Callable[[Sheet, Size], None]] = {
    "waiting": waiting,
    "herd": herd,
    "flat": flat,
    "drain": long_drain,
}


def measure(names: Sequence[str], size: Size) -> Sheet:
    """Measure each on a server of its own, and print the report."""
    command = f"CROWD_ONLY={','.join(names)} make bench-crowd, of {size}"
    return measured([MEASURES[name] for name in names], (size,), rounds=1, command=command)


if __name__ == "__main__":
    asked = os.environ.get("CROWD_ONLY", "")
    many = int(os.environ.get("CROWD_TENANTS", str(FULL.tenants)))
    measure(asked.split(",") if asked else list(MEASURES), replace(FULL, tenants=many))
