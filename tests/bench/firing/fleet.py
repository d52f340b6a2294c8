"""The jobs of a measurement, all due at instants that are known beforehand, and what became of every one of them.

What is read of it afterwards is the server's own record: a run is named after its due instant, and its tenant's history
has it at the instant at which it was made. Both are the server's time, so no clock of ours is in a lateness.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.tenancy.turns import register
from taglane.model.job import make_job
from taglane.model.names import fired_run_id
from taglane.store import keys
from taglane.store.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.tenancy.stage import Stage
    from taglane.model.job import Job

TASK = "bench.tasks.noop"
PAYLOAD_LIMIT = 65_536
SECOND = 1_000
BATCH = 500
CRONS = ("{s} {m} {h} * * *", "{s} {m} {h} {d} * *", "{s} {m} * * * *", "{s} {m} {h} * * {w}")
"""Four ways to name one second, as several teams would."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many *tenants* with *each* so many jobs; every job is due *times*, once a second.

    The jobs of a tenant are due at the same instant. The tenants' instants are spread over the second; or, *at_once*,
    all are the same one, by cron.
    """

    tenants: int
    each: int
    times: int = 1
    at_once: bool = False

    @property
    def names(self) -> list[str]:
        """The tenants."""
        return [f"t{number:05}" for number in range(self.tenants)]

    @property
    def fires(self) -> int:
        """How many there are to be."""
        return self.tenants * self.each * self.times

    @property
    def lasts(self) -> int:
        """Ms from the first due instant on in which all of them lie."""
        return self.times * SECOND

    def begin(self, number: int, first: int) -> int:
        """When the jobs of a tenant are due first, where the fleet's first instant is *first*, ms."""
        return first if self.at_once else first + number * SECOND // self.tenants

    def jobs(self, first: int) -> Iterator[Job]:
        """All of them. Runs go beside one another, since no worker ends any."""
        for number, tenant in enumerate(self.names):
            begin = self.begin(number, first)
            for job in range(self.each):
                when: dict[str, Any] = {"every": SECOND}
                if self.at_once:
                    when = {"cron": _cron(CRONS[(number + job) % len(CRONS)], first)}
                end = begin + self.lasts
                yield make_job(tenant, f"job{job}", task=TASK, overlap="allow", start=begin, end=end, **when)


def _cron(text: str, instant: int) -> str:
    at = datetime.fromtimestamp(instant // SECOND, UTC)
    return text.format(s=at.second, m=at.minute, h=at.hour, d=at.day, w=at.isoweekday() % 7)


@dataclass(slots=True)
class Outcome:
    """What became of a fleet's fires."""

    lateness: list[tuple[int, int]] = field(default_factory=list)
    """Of each fire when it was due, ms from the first, and by how much later, ms, its run was made."""
    missed: int = 0
    doubled: int = 0
    """Runs that no due instant asked for, and runs that are in their queue twice."""

    @property
    def late(self) -> list[int]:
        """By how much, ms."""
        return [late for _, late in self.lateness]

    @property
    def took(self) -> float:
        """Seconds from the first due instant until the last run was made."""
        return max((due + late for due, late in self.lateness), default=0) / 1000


def put(stage: Stage, fleet: Fleet, first: int) -> None:
    """Register the tenants, and put all jobs."""
    register(stage, fleet.names)
    Jobs(stage.server, PAYLOAD_LIMIT).put_many(fleet.jobs(first))


def published(stage: Stage, fleet: Fleet) -> Iterator[int]:
    """How many tenants are done, whenever that is asked; it looks at as few as it can."""
    left = fleet.names
    while True:
        while left and stage.redis.zcard(keys.runs(left[-1])) >= fleet.each * fleet.times:
            left.pop()
        yield fleet.tenants - len(left)


def read(stage: Stage, fleet: Fleet, first: int) -> Outcome:
    """Compare every fire that there should be with every run that there is."""
    outcome = Outcome()
    names = fleet.names
    for start in range(0, len(names), BATCH):
        some = names[start : start + BATCH]
        for number, (tenant, rows) in enumerate(zip(some, _rows(stage, fleet, some), strict=True), start):
            begin = fleet.begin(number, first)
            expected = {
                fired_run_id(tenant, f"job{job}", created.decode(), due): due
                for job, created in enumerate(rows[: fleet.each])
                for due in range(begin, begin + fleet.lasts, SECOND)
            }
            made, queue = rows[-2:]
            compare(outcome, expected, {run.decode(): int(at) for run, at in made}, queue, first)
    return outcome


def _rows(stage: Stage, fleet: Fleet, tenants: Sequence[str]) -> Iterator[list[Any]]:
    pipeline = stage.redis.pipeline(transaction=False)
    for tenant in tenants:
        for job in range(fleet.each):
            pipeline.hget(keys.job(tenant, f"job{job}"), "created")
        pipeline.zrange(keys.runs(tenant), 0, -1, withscores=True)
        pipeline.lrange(keys.queue(tenant, tenant, 0), 0, -1)
    answers = pipeline.execute()
    width = fleet.each + 2
    for number in range(len(tenants)):
        yield answers[number * width : (number + 1) * width]


def compare(outcome: Outcome, expected: dict[str, int], made: dict[str, int], queue: list[bytes], first: int) -> None:
    """Add what became of the *expected* runs to the outcome, by the history and the queue."""
    outcome.lateness += [(due - first, made[run] - due) for run, due in expected.items() if run in made]
    queued = {run.decode() for run in queue}
    outcome.missed += len(expected.keys() - (made.keys() & queued))
    outcome.doubled += len(made.keys() - expected.keys()) + len(queue) - len(queued)
