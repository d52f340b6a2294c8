"""Shares of a pool: backlogs lie there, then workers start; counted is who was started while every tenant had more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.tenancy.figures import jain, share_error, while_all_wait
from bench.tenancy.stage import TAG, TASK, Stage, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.tenancy.figures import Sheet
    from bench.tenancy.size import Size

NAP_MS = 2
WEIGHTS = {"five": 5, "three": 3, "two": 2}
CONSUMERS = {"threads -c 10": ("threads", 10), "auto -c 2": ("auto", 2)}


def shares(sheet: Sheet, size: Size) -> None:
    """Equal and unequal backlogs, weights, and one tenant that splits its backlog."""
    equal = {f"t{number}": size.backlog for number in range(9)}
    unequal = {f"t{number}": size.small if number < 5 else size.large for number in range(9)}
    with Stage() as stage:
        stage.tenants(*equal)
        for tenant, weight in WEIGHTS.items():
            stage.tenants(tenant, weight=weight)
        for name, (pool, count) in CONSUMERS.items():
            for what, backlogs, aim in (
                ("9 equal tenants", equal, 0.995),
                (f"5 x {size.small} and 4 x {size.large} runs", unequal, 0.99),
            ):
                order = _served(stage, backlogs, pool, count)
                got = while_all_wait(order, backlogs)
                sheet.note(f"Jain index, {what}, {name}, of {got.total()} runs", jain([*got.values()]), "", least=aim)
            runs = 5 * size.backlog // 3
            order = _served(stage, dict.fromkeys(WEIGHTS, runs), pool, count)
            got = while_all_wait(order[:runs], dict.fromkeys(WEIGHTS, runs))
            error = share_error(got, WEIGHTS)
            sheet.note(f"weights 5:3:2, {name}, error over {runs} runs", error, "%", most=5)
            sheet.note(
                f"one split over priorities and 20 jobs, {name}, gains", _gain(stage, size, pool, count), "%", most=10
            )


def _gain(stage: Stage, size: Size, pool: str, count: int) -> float:
    """What a tenant has of spreading its backlog over four priorities and 20 jobs, beside two that don't, %."""
    backlogs = dict.fromkeys(("t0", "t1", "t2"), size.backlog // 20 * 20)
    for number in range(20):
        name = f"job{number}"
        params = {"ms": NAP_MS, "who": "t0"}
        stage.client.put_job(name, tenant="t0", task=TASK, tag=TAG, params=params, manual=True, priority=number % 4 * 3)
        for _ in range(backlogs["t0"] // 20):
            stage.client.jobs.trigger("t0", name)
    for tenant in ("t1", "t2"):
        stage.enqueue(tenant, backlogs[tenant], ms=NAP_MS)
    got = while_all_wait(_drained(stage, backlogs, pool, count), backlogs)
    return (got["t0"] / ((got["t1"] + got["t2"]) / 2) - 1) * 100


def _served(stage: Stage, backlogs: Mapping[str, int], pool: str, count: int) -> list[str]:
    for tenant, runs in backlogs.items():
        stage.enqueue(tenant, runs, ms=NAP_MS)
    return _drained(stage, backlogs, pool, count)


def _drained(stage: Stage, backlogs: Mapping[str, int], pool: str, count: int) -> list[str]:
    """Start a worker, let it serve all there is, and answer whose it was, in order of the starts."""
    stage.forget_starts()
    with stage.worker(pool, count):
        loads = stage.limits.load
        until(lambda: not any(sum(loads(tenant)) for tenant in backlogs), "the backlogs are not served")
    return [who for who, _, _ in stage.starts()]
