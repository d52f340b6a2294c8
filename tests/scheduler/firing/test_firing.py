from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import TENANT, HandWorker, enqueue, make_job, make_server, run_field, run_ids, server_time, set_due
from taglane.errors import LibraryMissing
from taglane.model.schedule import Every
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane_scheduler.firing.firing import Firing, StepReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis import Redis
    from taglane.model.job import Job


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def jobs(store: Server) -> Jobs:
    return Jobs(store, 1_000_000)


@pytest.fixture
def firing(store: Server) -> Firing:
    return Firing(store)


def put_due(jobs: Jobs, redis: Redis, job: Job, late: int = 0) -> int:
    """Put a job and let it be due `late` ms ago, or a little more to be on its grid; return that instant."""
    put = jobs.put(job)
    due = server_time(redis) - late
    schedule = job.schedule
    if isinstance(schedule, Every) and put.next_due is not None:
        due = put.next_due - schedule.interval * (1 + late // schedule.interval)
    set_due(redis, job, due)
    return due


def test_fire(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A due job becomes one queued run, and is due again on its grid."""
    due = put_due(jobs, redis, make_job(every="1h", priority=4, tag="acme.gpu"))

    report = firing.step([TENANT])

    (run_id,) = run_ids(redis)
    stored = jobs.get(TENANT, "report")
    assert (1, 0) == (report.fired, report.lost)
    assert [run_id.encode()] == redis.lrange(keys.queue(TENANT, "acme.gpu", 3), 0, -1)
    assert str(due) == run_field(redis, run_id, "due")
    assert (run_id, due) == (stored.last_run, stored.last_due)
    assert stored.next_due == report.next[TENANT]
    assert StepReport().fired == firing.step([TENANT]).fired


def test_nothing_due(jobs: Jobs, firing: Firing) -> None:
    """A job that is not due yet is not fired: the report says when it will be."""
    put = jobs.put(make_job(every="1h"))

    report = firing.step([TENANT])

    assert 0 == report.fired
    assert {TENANT: put.next_due} == report.next


def test_no_tenant_at_all(firing: Firing) -> None:
    """A tenant that has nothing is no error, and nothing is known of its next instant."""
    report = firing.step(["nobody"])

    assert {"nobody": None} == report.next
    assert {} == report.failed


class Gated(Server):
    """A connection that claims nothing before all the others have looked too."""

    def __init__(self, url: str, gate: Barrier) -> None:
        super().__init__(url)
        self.gate = gate

    def calls(self, moves: Iterable[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        asked = list(moves)
        if any(move == "fire" for move, _, _ in asked):
            self.gate.wait(timeout=30)
        return super().calls(asked)


def test_racing_schedulers_fire_each_due_once(jobs: Jobs, redis: Redis, url: str) -> None:
    """However many schedulers see the same thousand due instants, a thousand runs are made."""
    tenants = [f"t{number}" for number in range(10)]
    jobs.put_many(make_job(f"j{job}", tenant=tenant, every="1h") for tenant in tenants for job in range(100))
    for tenant in tenants:
        redis.zadd(keys.due(tenant), {f"j{job}": server_time(redis) - job for job in range(100)})
    gate = Barrier(8)
    servers = [Gated(url, gate) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda server: Firing(server).step(tenants), servers))
    for server in servers:
        server.close()

    runs = {run_id for tenant in tenants for run_id in run_ids(redis, tenant)}
    queued = [entry for tenant in tenants for entry in redis.lrange(keys.queue(tenant, tenant, 0), 0, -1)]
    assert (1_000, 7_000) == (sum(report.fired for report in reports), sum(report.lost for report in reports))
    assert 1_000 == len(runs)
    assert 1_000 == len(queued) == len(set(queued))


def test_missed_for_ten_minutes_fires_once(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A job that slept through many fires makes one run, for the instant that it missed first."""
    due = put_due(jobs, redis, make_job(every="1s", overlap="allow"), late=600_000)

    fired = [firing.step([TENANT]).fired for _ in range(2)]

    assert 1 == len(run_ids(redis)) == fired[0]
    assert str(due) == run_field(redis, run_ids(redis)[0], "due")


def test_late_within_the_grace_fires_each(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """After a short outage no due instant is left out."""
    due = put_due(jobs, redis, make_job(every="1s", overlap="allow", start=server_time(redis) - 5_500), late=5_500)

    while firing.step([TENANT]).fired:
        pass

    dues = sorted(int(run_field(redis, run_id, "due") or 0) for run_id in run_ids(redis))
    assert list(range(due, due + 1_000 * len(dues), 1_000)) == dues
    assert len(dues) >= 6


def test_overlap_is_skipped_on_record(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A job whose last run still goes is not started again; the skipped fire is a run that says why."""
    due = put_due(jobs, redis, make_job(every="1s"))
    firing.step([TENANT])
    (first,) = run_ids(redis)
    set_due(redis, make_job(), due - 1_000)

    report = firing.step([TENANT])

    (skipped,) = set(run_ids(redis)) - {first}
    assert (0, 1) == (report.fired, report.skipped)
    assert "skipped" == run_field(redis, skipped, "state")
    assert f"run {first} still goes" == run_field(redis, skipped, "error")
    assert 1 == redis.llen(keys.queue(TENANT, TENANT, 0))


def test_overlap_may_be_allowed(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A job that allows it runs beside itself."""
    due = put_due(jobs, redis, make_job(every="1s", overlap="allow"))
    firing.step([TENANT])
    set_due(redis, make_job(), due - 1_000)

    assert 1 == firing.step([TENANT]).fired
    assert 2 == redis.llen(keys.queue(TENANT, TENANT, 0))


def test_after_comes_round_at_the_end_of_its_run(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """A fixed delay is not due while its run goes, and is due its delay after the run has ended, however it ends."""
    worker = HandWorker(store).hello()
    put_due(jobs, redis, make_job(after="5s"))
    for state in ("succeeded", "failed"):
        assert 1 == firing.step([TENANT]).fired
        assert jobs.get(TENANT, "report").next_due is None

        assert [1] == worker.finish(worker.fetch(), state)

        due = jobs.get(TENANT, "report").next_due
        assert due is not None
        assert 0 == due % 1_000
        assert 3_000 < due - server_time(redis) <= 5_000
        set_due(redis, make_job(), server_time(redis) - 1_000)


def test_after_stops_at_its_end(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A fixed delay that comes round when its window is over is dropped without a run."""
    end = server_time(redis) + 30_000
    jobs.put(make_job(after="5s", end=end))
    redis.hset(keys.job(TENANT, "report"), "schedule", f'{{"kind":"after","delay":5000,"end":{end - 60_000}}}')
    set_due(redis, make_job(), server_time(redis) - 1)

    report = firing.step([TENANT])

    assert (0, 1) == (report.fired, report.moved)
    assert [] == run_ids(redis)
    assert jobs.get(TENANT, "report").next_due is None


def test_at_fires_once_and_is_gone(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A one-time job fires at its instant, not before, and is never due again."""
    instant = server_time(redis) + 500
    jobs.put(make_job(at=instant))
    assert 0 == firing.step([TENANT]).fired

    eventually(lambda: firing.step([TENANT]).fired)

    queued_at = run_field(redis, run_ids(redis)[0], "queued_at")
    assert instant <= int(queued_at or 0)
    assert jobs.get(TENANT, "report").next_due is None
    assert {TENANT: None} == firing.step([TENANT]).next


def test_window_holds(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A job with start and end fires at the instants between them, and is over after the last."""
    start = server_time(redis) + 500
    jobs.put(make_job(every="1s", start=start, end=start + 1_500, overlap="allow"))
    assert start == jobs.get(TENANT, "report").next_due

    eventually(lambda: firing.step([TENANT]).next == {TENANT: None})

    assert {str(start), str(start + 1_000)} == {run_field(redis, run_id, "due") for run_id in run_ids(redis)}


def test_paused_job_does_not_fire(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A pause holds even against a due that a scheduler has seen before it."""
    put_due(jobs, redis, make_job(every="1s"))
    jobs.pause(TENANT, "report")
    set_due(redis, make_job(), server_time(redis) - 1)

    report = firing.step([TENANT])

    assert (0, 1) == (report.fired, report.lost)
    assert [] == run_ids(redis)


@pytest.mark.parametrize("spoil", ["due", "jobs", "tags", "expiring", "job:report"])
def test_corrupted_tenant_stops_no_other(
    jobs: Jobs, firing: Firing, redis: Redis, caplog: pytest.LogCaptureFixture, spoil: str
) -> None:
    """A tenant whose key is of another type is reported and logged once; the others fire, whatever the order."""
    for tenant in ("aaa", "mmm", "zzz"):
        put_due(jobs, redis, make_job(tenant=tenant, every="1h"))
    redis.delete(keys.prefix("mmm") + spoil)
    redis.set(keys.prefix("mmm") + spoil, "spoiled")

    reports = [firing.step(["aaa", "mmm", "zzz"]) for _ in range(2)]

    assert 1 == len(run_ids(redis, "aaa")) == len(run_ids(redis, "zzz"))
    if spoil != "jobs":  # which a scheduler does not read
        assert {"mmm"} == set(reports[0].failed) == set(reports[1].failed)
        assert 1 == caplog.text.count("tenant_failed tenant=mmm")
        instant = reports[1].next["mmm"]
        assert instant is not None
        assert instant > server_time(redis)


def test_tenant_whose_runs_are_spoiled_stops_no_other(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A tenant that fails in the very claim is reported like one that can't be read."""
    for tenant in ("aaa", "mmm", "zzz"):
        put_due(jobs, redis, make_job(tenant=tenant, every="1h"))
    redis.set(keys.queue("mmm", "mmm", 0), "spoiled")

    report = firing.step(["aaa", "mmm", "zzz"])

    assert 2 == report.fired
    assert {"mmm"} == set(report.failed)


def test_spoiled_job_stops_no_other(jobs: Jobs, firing: Firing, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """A job whose schedule can't be read is logged once and not looked at again at once; its neighbours fire."""
    put_due(jobs, redis, make_job("bad", every="1h"))
    put_due(jobs, redis, make_job("good", every="1h"))
    redis.hset(keys.job(TENANT, "bad"), "schedule", "{}")
    redis.zadd(keys.due(TENANT), {b"worse": 1.5, b"\xff": 1})
    redis.hset(keys.job(TENANT, "worse"), "revision", "1")
    redis.hset(keys.prefix(TENANT).encode() + b"job:\xff", "revision", "1")

    reports = [firing.step([TENANT]) for _ in range(2)]

    assert [1, 0] == [report.fired for report in reports]
    assert 1 == caplog.text.count("job_unreadable tenant=acme job=bad")
    instant = reports[1].next[TENANT]
    assert instant is not None
    assert instant > server_time(redis)


def test_quantum_is_shared(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A tenant with more due jobs than one step takes goes on at once in the next, and no other waits for it."""
    jobs.put_many(make_job(f"j{number}", tenant="big", every="1h") for number in range(1_200))
    redis.zadd(keys.due("big"), {f"j{number}": 1_000 + number for number in range(1_200)})
    put_due(jobs, redis, make_job(tenant="small", every="1h"))

    first = firing.step(["big", "small"])
    instant = first.next["big"]
    rest = [firing.step(["big", "small"]).fired for _ in range(2)]

    assert 501 == first.fired
    assert instant is not None
    assert instant <= server_time(redis)
    assert [500, 200] == rest


def test_expired_runs_are_ended(firing: Firing, store: Server, redis: Redis) -> None:
    """A run that nobody fetched in time is ended by the scheduler, without any worker."""
    run_id = enqueue(store, expires="+50")

    eventually(lambda: firing.step([TENANT]).expired)

    assert "expired" == run_field(redis, run_id, "state")


def test_expiring_run_wakes_the_schedulers(store: Server, redis: Redis) -> None:
    """Who makes the run that expires first says when on the tenant's wake channel: no sweep need find it."""
    with redis.pubsub(ignore_subscribe_messages=True) as listener:  # type: ignore[no-untyped-call]
        listener.subscribe(keys.wake(TENANT))
        listener.get_message(timeout=5)

        run_id = enqueue(store, expires="+60000")

        message = listener.get_message(timeout=5)
    assert message is not None
    assert run_field(redis, run_id, "expires") == message["data"].decode()


def test_staffed(firing: Firing, store: Server) -> None:
    """The report names the tenants that have workers: only those are watched."""
    HandWorker(store).hello()

    assert {TENANT} == firing.step([TENANT, "nobody"]).staffed


def test_missing_library_is_no_tenants_fault(redis: Redis, url: str) -> None:
    """On a server that has no functions of ours the whole step fails, so that they are loaded."""
    server = make_server(url, load=False)
    redis.function_flush()

    with pytest.raises(LibraryMissing):
        Firing(server).step([TENANT])
    server.close()
