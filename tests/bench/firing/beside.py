"""Fills a server with jobs that are not due, as fast as it takes them: each by the very call that makes a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.errors import TaglaneError
from taglane.model.job import make_job
from taglane.store.job_plan import plan_put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.tenancy.stage import Stage

BATCH = 2_000
YEAR = 365 * 86_400_000
PAYLOAD_LIMIT = 65_536


def hold(stage: Stage, tenants: Sequence[str], jobs: int) -> None:
    """Give these tenants so many jobs in all, due in a year."""
    seconds, _ = stage.redis.time()
    now = seconds * 1000
    names = [(tenants[number % len(tenants)], f"idle{number}") for number in range(jobs)]
    said = {
        tenant: list(
            plan_put(
                make_job(tenant, "idle", task="bench.tasks.noop", every="1h", start=now + YEAR),
                None,
                now,
                PAYLOAD_LIMIT,
            )[2]
        )
        for tenant in tenants
    }
    for start in range(0, jobs, BATCH):
        some = names[start : start + BATCH]
        answers = stage.server.calls(("put", tenant, [name, *said[tenant][1:]]) for tenant, name in some)
        for answer in answers:
            if isinstance(answer, TaglaneError):
                raise answer
