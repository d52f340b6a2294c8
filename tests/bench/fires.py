"""Times how fast one scheduler turns due jobs into runs: `Firing.step`, in this process, until nothing is due."""

from __future__ import annotations

import time
from typing import Any

from taglane.model.job import make_job
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane_scheduler.firing.firing import Firing

PAYLOAD_LIMIT = 65_536
HOUR = 3_600_000


def fires(redis: Any, url: str, *, tenants: int, jobs: int) -> float:
    """Fires a second, of that many jobs in all, every one due at once."""
    redis.flushdb()
    server = Server(url)
    names = [f"bench{number}" for number in range(tenants)]
    each = max(1, jobs // tenants)
    definitions = [
        make_job(tenant, f"job{number}", task="bench.tasks.noop", every=HOUR)
        for tenant in names
        for number in range(each)
    ]
    Jobs(server, PAYLOAD_LIMIT).put_many(definitions)
    _make_due(redis, names, each)
    firing, fired = Firing(server), 0
    begin = time.perf_counter()
    while fired < tenants * each:
        report = firing.step(names)
        if not report.fired:
            raise RuntimeError(f"{tenants * each - fired} jobs are due, and a step fired none: {report}")
        fired += report.fired
    return fired / (time.perf_counter() - begin)


def _make_due(redis: Any, tenants: list[str], each: int) -> None:
    seconds, _ = redis.time()
    pipeline = redis.pipeline(transaction=False)
    for tenant in tenants:
        pipeline.zadd(keys.due(tenant), {f"job{number}": seconds * 1000 - 1 for number in range(each)}, xx=True)
    pipeline.execute()
