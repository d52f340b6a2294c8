"""What an idle pool worker costs the server, with many tenants registered: its processor time, with and without it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.tenancy.stage import Stage
from bench.tenancy.turns import register

if TYPE_CHECKING:
    from bench.tenancy.figures import Sheet
    from bench.tenancy.size import Size

ROUNDS = 2
SETTLE_S = 3.0


def idle(sheet: Sheet, size: Size) -> None:
    """Measure a scheduler alone, then with a worker beside it, in turn."""
    with Stage(quiet=True) as stage:
        register(stage, [f"t{number:06}" for number in range(size.registered)])
        name = f"idle server, {size.registered:,} tenants"
        sheet.note(f"{name}: nobody", _spent(stage, size.idle_s), "ms/s")
        with stage.worker():
            sheet.note(f"{name}: a pool worker", _spent(stage, size.idle_s), "ms/s", most=1)
        with stage.scheduler() as scheduler:
            scheduler.wait_ready()
            alone, beside = [], []
            for _ in range(ROUNDS):
                alone.append(_spent(stage, size.idle_s))
                with stage.worker():
                    beside.append(_spent(stage, size.idle_s))
                sheet.note(f"{name}: a scheduler", alone[-1], "ms/s")
                sheet.note(f"{name}: a scheduler and a pool worker", beside[-1], "ms/s")
            sheet.note(f"{name}: the worker's part", (sum(beside) - sum(alone)) / ROUNDS, "ms/s", most=1)


def _spent(stage: Stage, seconds: float) -> float:
    """How many ms of a second the server computes."""
    time.sleep(min(SETTLE_S, seconds))
    before, begin = _processor(stage), time.monotonic()
    time.sleep(seconds)
    return (_processor(stage) - before) / (time.monotonic() - begin) * 1000


def _processor(stage: Stage) -> float:
    used = stage.redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])
