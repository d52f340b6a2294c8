"""What being fair and having limits costs a tenant that has all to itself: drains and sends, in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.drain import drain
from bench.rounds import produced
from bench.sides import TENANT
from bench.tenancy.sides import Limited, Own, Pooled
from bench.tenancy.stage import Stage

if TYPE_CHECKING:
    from bench.tenancy.figures import Sheet
    from bench.tenancy.size import Size

CONSUMERS = {"threads -c 10": ("threads", 10), "auto -c 2": ("auto", 2)}


def lone(sheet: Sheet, size: Size) -> None:
    """Serve one tenant's backlog by its own worker, and by a pool's: how much longer the pool's takes."""
    with Stage() as stage:
        stage.tenants(TENANT)
        own, pooled = (side(stage.url, stage.urls[TENANT]) for side in (Own, Pooled))
        for task, runs in (("noop", size.noops), ("nap", size.naps)):
            for name, (pool, count) in CONSUMERS.items():
                rates = [drain(stage.redis, side, pool, task, runs, concurrency=count).rate for side in (own, pooled)]
                what = f"a lone tenant's {task}, {name}"
                sheet.note(f"{what}: own worker", rates[0], "runs/s")
                sheet.note(f"{what}: pool's worker", rates[1], "runs/s")
                sheet.note(f"{what}: makespan in the pool / on its own", rates[0] / rates[1], "x", most=1.02)


def limited(sheet: Sheet, size: Size) -> None:
    """Drain and send without limits, and with limits that are never met."""
    with Stage() as stage:
        stage.tenants(TENANT)
        free, bound = (side(stage.url, stage.urls[TENANT]) for side in (Own, Limited))
        for name, (pool, count) in CONSUMERS.items():
            rates = [
                drain(stage.redis, side, pool, "noop", size.noops, concurrency=count).rate for side in (free, bound)
            ]
            _note(sheet, f"drain, {name}", *rates)
        for way, runs in (("send", size.sends), ("many", 5 * size.sends)):
            rates = []
            for side in (free, bound):
                side.clear()
                rates.append(runs / float(produced(side, way, "noop", runs)["seconds"]))
            _note(sheet, {"send": "enqueue", "many": "enqueue_many"}[way], *rates)


def _note(sheet: Sheet, what: str, free: float, bound: float) -> None:
    sheet.note(f"{what}: without limits", free, "runs/s")
    sheet.note(f"{what}: with limits", bound, "runs/s")
    sheet.note(f"{what}: with limits / without", bound / free, "x", least=0.9)
