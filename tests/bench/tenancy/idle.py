"""What an idle pool worker costs the server, with many tenants registered: its processor time, with and without it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.tenancy.stage import Stage
from bench.tenancy.turns import register
from taglane.store.pools import Pools
from taglane.store.server import Server
from taglane_scheduler.pools.keeper import PoolKeeper
from taglane_scheduler.pools.rescue import PoolRescue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.tenancy.figures import Sheet
    from bench.tenancy.size import Size

SETTLE_S = 3.0
LEASE_MS = 15_000


def idle(sheet: Sheet, size: Size) -> None:
    """Measure nobody, a worker alone, and with it what a scheduler does for pools; at last a whole scheduler as well.

    A scheduler looks at all tenants every 30 s, whether there are pools or not: that is most of what it costs, and is
    not the pool's.
    """
    with Stage(quiet=True) as stage:
        register(stage, [f"t{number:06}" for number in range(size.registered)])
        name = f"idle server, {size.registered:,} tenants"
        nobody = _spent(stage, size.idle_s)
        sheet.note(f"{name}: nobody", nobody, "ms/s")
        with stage.worker():
            worker = _spent(stage, size.idle_s)
            sheet.note(f"{name}: a pool worker", worker, "ms/s")
            with _keeper(stage):
                both = _spent(stage, size.idle_s)
            sheet.note(f"{name}: a pool worker and its keeper", both, "ms/s")
            sheet.note(f"{name}: the worker's part", worker - nobody, "ms/s", most=1)
            sheet.note(f"{name}: the worker's and the keeper's part", both - nobody, "ms/s", most=1)
            with stage.scheduler() as scheduler:
                scheduler.wait_ready()
                sheet.note(f"{name}: a pool worker and a scheduler", _spent(stage, size.idle_s), "ms/s")


@contextmanager
def _keeper(stage: Stage) -> Iterator[None]:
    """The thread of a scheduler that keeps the pools, in this process."""
    pools = Pools(stage.server)
    rescue = PoolRescue(stage.server, pools, LEASE_MS)
    keeper = PoolKeeper(Server(stage.url), pools, stage.limits, rescue)
    keeper.start()
    try:
        yield
    finally:
        keeper.stop()


def _spent(stage: Stage, seconds: float) -> float:
    """How many ms of a second the server computes."""
    time.sleep(min(SETTLE_S, seconds))
    before, begin = _processor(stage), time.monotonic()
    time.sleep(seconds)
    return (_processor(stage) - before) / (time.monotonic() - begin) * 1000


def _processor(stage: Stage) -> float:
    used = stage.redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])
