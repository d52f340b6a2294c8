"""The scene in which schedulers fall: some are killed, some stopped and let go on, one at least always lives."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from random import Random
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from processes import READY_SECONDS, SchedulerProcess
from taglane.model.job import make_job
from taglane.store import functions, keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from taglane_scheduler.embedded import ServerBinary

TENANTS = 50
LEAD = 3_000
"""ms from the last preparation to the first due instant."""

SETTLE_SECONDS = 30.0
"""How long the last instants may take to be fired."""


@dataclass(frozen=True)
class SchedulersResult:
    """What it came to. An instant is one due time of one job; lateness, ms, is from there to its run's queueing."""

    seconds: float
    kills: int
    stops: int
    instants: int
    fired: int
    """Instants that have a run."""
    missed: int
    doubled: int
    """Runs beyond one an instant."""
    strange: int
    """Runs of no instant of the grid."""
    lateness_p50: int
    lateness_p99: int
    lateness_max: int


@dataclass
class _Crew:
    """Schedulers that fall and come back, by their places."""

    members: list[SchedulerProcess]
    random: Random
    kills: int = 0
    stops: int = 0

    def up(self) -> list[SchedulerProcess]:
        """Who lives, goes, and has made its first step."""
        return [one for one in self.members if one.alive and "scheduler_ready" in one.log_text()]

    def fall(self, every: float) -> None:
        """Let one of those that are up fall, if another stays; wait; let it come back."""
        up = self.up()
        if len(up) < 2:
            Event().wait(0.1)
            return
        victim = self.random.choice(up)
        if self.random.random() < 0.5:
            victim.kill()
            self.kills += 1
            Event().wait(every * self.random.uniform(0.2, 0.8))
            victim.start()
        else:
            victim.freeze()
            self.stops += 1
            Event().wait(every * self.random.uniform(0.2, 0.8))
            victim.thaw()


def schedulers_scene(
    *,
    seconds: float = 60.0,
    jobs: int = 500,
    schedulers: int = 3,
    seed: str = "1",
    every: float = 4.0,
    binary: ServerBinary | None = None,
) -> SchedulersResult:
    """Let *jobs* be due each second for *seconds*, while about each *every* seconds one of the schedulers falls."""
    with EmbeddedServer(binary=binary) as embedded, ExitStack() as stack:
        server = Server(embedded.url)
        stack.callback(server.close)
        functions.load(server.redis)
        tenants = [f"t{number:02d}" for number in range(min(TENANTS, jobs))]
        for tenant in tenants:
            Tenants(server).create(tenant)
        crew = _Crew([stack.enter_context(SchedulerProcess(embedded.url)) for _ in range(schedulers)], Random(seed))
        eventually(lambda: len(crew.up()) == schedulers, READY_SECONDS, "not all schedulers made a step")
        start = _now(server) + LEAD
        end = start + round(seconds * 1000)
        Jobs(server, 1_000_000).put_many(
            make_job(
                tenants[number % len(tenants)],
                f"j{number}",
                task="a.b",
                every="1s",
                start=start,
                end=end,
                overlap="allow",
            )
            for number in range(jobs)
        )
        while (now := _now(server)) < end:
            if now < start:
                Event().wait((start - now) / 1000)
            crew.fall(every)
            Event().wait(every * crew.random.uniform(0.1, 0.3))
        grid = range(start, end, 1_000)
        with suppress(pytest.fail.Exception):  # what is missing then is counted
            eventually(lambda: _count(server, tenants) >= jobs * len(grid), SETTLE_SECONDS)
        return _judge(server, tenants, jobs, grid, crew, seconds)


def _now(server: Server) -> int:
    seconds, micros = server.redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


def _count(server: Server, tenants: list[str]) -> int:
    pipeline: Any = server.redis.pipeline(transaction=False)
    for tenant in tenants:
        pipeline.zcard(keys.runs(tenant))
    return sum(pipeline.execute())


def _judge(server: Server, tenants: list[str], jobs: int, grid: range, crew: _Crew, seconds: float) -> SchedulersResult:
    """Hold what the server has against the grid of what was due."""
    found: Counter[tuple[str, int]] = Counter()
    late: list[int] = []
    for tenant in tenants:
        pipeline: Any = server.redis.pipeline(transaction=False)
        for run in server.redis.zrange(keys.runs(tenant), 0, -1):
            pipeline.hmget(keys.run(tenant, run.decode()), "job", "due", "queued_at")
        for job, due, queued_at in pipeline.execute():
            found[job.decode(), int(due)] += 1
            late.append(int(queued_at) - int(due))
    wanted = {(f"j{number}", due) for number in range(jobs) for due in grid}
    late.sort()
    return SchedulersResult(
        seconds=seconds,
        kills=crew.kills,
        stops=crew.stops,
        instants=len(wanted),
        fired=len(wanted & found.keys()),
        missed=len(wanted - found.keys()),
        doubled=sum(times - 1 for times in found.values()),
        strange=len(found.keys() - wanted),
        lateness_p50=late[len(late) // 2],
        lateness_p99=late[len(late) * 99 // 100],
        lateness_max=late[-1],
    )
