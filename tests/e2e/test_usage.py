"""The ledger against the runs: all that it says of a tenant is counted again from the records of its runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import make_job, server_time, set_due
from processes import WorkerProcess
from taglane import Taglane
from taglane.model.usage import bucket_of, total
from taglane.store import keys
from taglane.store.dead_letters import DeadLetters
from taglane.store.queues import Queues
from taglane.store.server import Server
from taglane.store.usage import Usage
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.firing.firing import Firing
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis
    from taglane.model.run import RunInfo
    from taglane.model.usage import DayUsage
    from taglane_scheduler.embedded import ServerBinary

TENANT = "acme"
SOON = 60.0
FIRED = {"late-skip", "late-once", "slow"}
ASKED = ("triggered", "replayed", "missed")


@pytest.fixture
def operator(binary: ServerBinary) -> Iterator[Server]:
    with EmbeddedServer(binary=binary) as running:
        server = Server(running.url)
        yield server
        server.close()


@pytest.fixture
def lane(operator: Server) -> Iterator[Taglane]:
    """A client with the tenant's own credential."""
    with_library = Tenants(operator)
    lane = Taglane(with_library.create(TENANT).url)
    yield lane
    lane.close()


def test_the_ledger_is_the_sum_of_the_runs(operator: Server, lane: Taglane, tmp_path: Path) -> None:
    """Several hundred runs of all kinds, each end among them; what the ledger says the tenant reads for itself."""
    made = history(operator, lane)
    with WorkerProcess(
        lane.settings.url, [TENANT], "faulty.celery", "prefork", 2, {"FAULTY_LOG": str(tmp_path / "log")}
    ):
        everything_has_ended(lane)
        made += again(lane)
        everything_has_ended(lane)

    usage = Usage(lane.server)
    days = usage.last_days(2)
    used = total(usage.days(TENANT, *days))
    runs = [lane.runs.get(run.id) for run in lane.runs.list(TENANT, limit=10_000)]
    assert used is not None
    assert len(runs) > 300
    assert {"succeeded", "failed", "cancelled", "expired", "dead", "skipped"} == {run.state for run in runs}
    check(used, runs, made)
    check_times(used, runs, operator.redis)
    for name in {run.job for run in runs if run.job}:
        of_job = total(usage.jobs_of([TENANT], *days, job=name))
        assert of_job is not None
        check(of_job, [run for run in runs if run.job == name], [how for how in made if how[0] == name])


def history(operator: Server, lane: Taglane) -> list[tuple[str, str, int]]:
    """Make runs, fire jobs, change minds; answers which job had how many runs made, by what."""
    lane.enqueue_many("faulty.celery.work", params=[{"seconds": 0.0, "n": n} for n in range(300)])
    lane.enqueue_many("faulty.celery.work", params=[{"seconds": 0.02}] * 20, delay="200ms")
    lane.enqueue_many("faulty.celery.fail", params=[{}] * 20)
    lane.enqueue_many("faulty.celery.fail_by_its_own_policy", params=[{"times": n % 4} for n in range(12)])
    lane.enqueue("faulty.celery.poison")
    lane.enqueue("faulty.celery.leave")
    for run in lane.enqueue_many("faulty.celery.work", params=[{}] * 15, delay="1h"):
        lane.runs.cancel(run.id)
    lane.enqueue_many("faulty.celery.work", params=[{}] * 15, tag="acme.idle")
    assert 15 == Queues(lane.server, 15_000).purge(TENANT, "acme.idle")
    late = lane.enqueue_many("faulty.celery.work", params=[{}] * 10, expires="1ms", delay="1h")
    firing = Firing(operator)
    eventually(lambda: firing.step([TENANT]).expired or all(lane.runs.get(run.id).is_ended for run in late))
    return fires(operator, lane, firing)


def fires(operator: Server, lane: Taglane, firing: Firing) -> list[tuple[str, str, int]]:
    """Two jobs that were missed for a while, one whose last run still goes, one that is given up."""
    slow = make_job("slow", every="1h", start=0, task="faulty.celery.work")
    hopeless = make_job("hopeless", task="faulty.celery.fail", retry={"attempts": 2, "delay": "1s"})
    late = [
        make_job(f"late-{misfire}", every="1s", start=0, task="faulty.celery.work", misfire=misfire)
        for misfire in ("skip", "once")
    ]
    for job in (slow, hopeless, *late):
        lane.jobs.put(job)
    now = server_time(operator.redis) // 1_000 * 1_000
    for job in late:
        set_due(operator.redis, job, now - 300_000)
    for seconds in (2, 1):
        set_due(operator.redis, slow, now - seconds * 1_000)
        firing.step([TENANT])
    made = [("hopeless", "triggered", 3)]
    for _ in range(3):
        lane.jobs.trigger(TENANT, "hopeless")
    for job in late:
        runs = lane.runs.list(TENANT, job=job.name)
        until = lane.jobs.get(TENANT, job.name).next_due
        assert until is not None
        made.append((job.name, "missed", (until - now + 300_000) // 1_000 - len(runs)))
    return made


def again(lane: Taglane) -> list[tuple[str, str, int]]:
    """Replay what was given up of a job, and two runs of none that failed."""
    letters = DeadLetters(lane.server).replay_all(TENANT, job="hopeless")
    for run in lane.runs.list(TENANT, state="failed", limit=2):
        lane.runs.replay(run.id)
    return [("hopeless", "replayed", letters), ("", "replayed", 2)]


def everything_has_ended(lane: Taglane) -> None:
    eventually(lambda: all(run.is_ended for run in lane.runs.list(TENANT, limit=10_000)), SOON)


def check(used: DayUsage, runs: list[RunInfo], made: list[tuple[str, str, int]]) -> None:
    """Each count is that of the runs, or of their attempts."""
    states = Counter(run.state for run in runs)
    asked = Counter({by: sum(count for _, each, count in made if each == by) for by in ASKED})
    fired = sum(1 for run in runs if run.due and run.state != "skipped") - asked["triggered"]
    assert len(runs) - states["skipped"] == used.made == used.ended
    for state in ("succeeded", "failed", "cancelled", "expired", "dead", "skipped"):
        assert states[state] == getattr(used, state), state
    assert fired == used.fired
    assert dict(asked) == {by: getattr(used, by) for by in ASKED}
    assert sum(run.deaths for run in runs) == used.died
    assert sum(1 for run in runs for each in run.tries if each.how == "retry") == used.retried
    assert sum(ran(run) for run in runs) == used.ms


def ran(run: RunInfo) -> int:
    """For how long its attempts ran of which it is known when they began."""
    spans = [(each.started_at, each.ended_at) for each in run.attempts]
    return sum(ended - began for began, ended in spans if began is not None and ended is not None)


def check_times(used: DayUsage, runs: list[RunInfo], redis: Redis) -> None:
    """A wait for each attempt, and the very one of each attempt that was the only one; lateness for each fire."""
    attempts = [each for run in runs for each in run.attempts if each.started_at is not None]
    first = [run for run in runs if run.started_at and not run.tries]
    waits = Counter(bucket_of(run.started_at - run.queued_at) for run in first if run.started_at and run.queued_at)
    rest = Counter(used.wait.counts)
    rest.subtract(waits)
    assert len(attempts) == used.attempts
    assert min(rest.values()) >= 0
    assert len(attempts) - len(first) == rest.total()
    scores: Any = redis.zrange(keys.runs(TENANT), 0, -1, withscores=True)
    at = {run.decode(): int(score) for run, score in scores}
    late = Counter(
        bucket_of(at[run.id] - run.due) for run in runs if run.due and run.state != "skipped" and run.job in FIRED
    )
    assert late == used.late.counts
