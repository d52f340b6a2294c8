"""Very many tenants with a hundred jobs each: written as a jobs file, or put on a server as fast as that goes.

A job is due once a year, so that nothing is while something else is measured; its params are its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from taglane.model.job import make_job
from taglane.store import functions, keys
from taglane.store.jobs import Jobs
from taglane.store.limits import LimitStore
from taglane_scheduler.jobs_apply import JobsApply
from taglane_scheduler.jobs_file import TenantPart, WantedJob
from taglane_scheduler.tenancy.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from taglane.store.server import Server

    Form = Literal["templates", "lists"]

EACH = 100
"""Jobs of a tenant."""

TASK = "bench.tasks.noop"
PAYLOAD_LIMIT = 1_048_576
_BATCH = 1_000


def names(jobs: int) -> list[str]:
    """The tenants that have so many jobs."""
    return [f"tenant{number:05}" for number in range(max(1, jobs // EACH))]


def register(redis: Any, tenants: Sequence[str]) -> None:
    """Write tenants into the record of a server, each with a password that nobody knows."""
    functions.load(redis)
    record = Record(created=1, password_hashes=("0" * 64,)).to_json()
    for start in range(0, len(tenants), _BATCH):
        redis.hset(keys.TENANTS, mapping=dict.fromkeys(tenants[start : start + _BATCH], record))


def write_file(path: Path, tenants: Sequence[str], form: Form, hour: int = 3) -> None:
    """Write a jobs file: a hundred templates that each tenant has, or each tenant's own jobs in a list.

    With another *hour* a template in ten is another.
    """
    with path.open("w", encoding="utf-8") as file:
        if form == "templates":
            file.write("templates:\n")
            for number in range(EACH):
                at = f"H {3 if number % 10 else hour} {number % 28 + 1} 1 *"
                file.write(
                    f'  job-{number:03}: {{task: {TASK}, cron: "{at}", params: {{region: eu, job: {number}}}}}\n'
                )
            own = ", ".join(f"job-{number:03}" for number in range(EACH))
            file.write(f"defaults: {{templates: [{own}]}}\ntenants:\n")
            file.writelines(f"  {tenant}:\n" for tenant in tenants)
            return
        file.write("tenants:\n")
        for place, tenant in enumerate(tenants):
            file.write(f"  {tenant}:\n    jobs:\n")
            for number in range(EACH):
                params = f"{{region: eu, job: {place * EACH + number}}}"
                at = f"H 3 {number % 28 + 1} 1 *"
                file.write(f'      job-{number:03}: {{task: {TASK}, cron: "{at}", params: {params}}}\n')


def fill(server: Server, tenants: Sequence[str]) -> None:
    """Put the jobs of these tenants, which `register` has written, on a server: ten thousand a second and more."""
    with JobsApply(Jobs(server, PAYLOAD_LIMIT), LimitStore(server), prune=False) as work:
        work.read(_parts(tenants))
        work.compare()
        work.write()


def _parts(tenants: Sequence[str]) -> Iterator[TenantPart]:
    for place, tenant in enumerate(tenants):
        part = TenantPart(tenant)
        for number in range(EACH):
            params = {"region": "eu", "job": place * EACH + number}
            job = make_job(tenant, f"job-{number:03}", task=TASK, cron=f"H 3 {number % 28 + 1} 1 *", params=params)
            part.jobs.append(WantedJob(None, tenant, job))
        yield part
