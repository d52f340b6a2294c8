from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import TENANT, HandWorker, enqueue, make_job, make_server, run_field, run_ids, server_time, set_due
from spans import memory, seen
from taglane.errors import LibraryMissing
from taglane.model.schedule import Every
from taglane.runtime import tracing
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.runs import Runs
from taglane.store.server import Server
from taglane.store.usage import Usage
from taglane_scheduler.firing import firing as firing_module
from taglane_scheduler.firing.firing import Firing, StepReport, _due_jobs
from taglane_scheduler.firing.planner import Claim, Unserved

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


def test_a_time_that_is_not_believed_fires_nothing(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """What the server's clock shows is judged before anything is fired; what is due stays due."""
    due = put_due(jobs, redis, make_job(every="1h"))
    told: list[int] = []

    report = firing.step([TENANT], lambda reading: told.append(reading.server) or False)  # type: ignore[func-returns-value]

    assert (True, 0, {}) == (report.held, report.fired, report.next)
    assert due <= told[0] <= server_time(redis)
    assert [] == run_ids(redis)
    assert 1 == firing.step([TENANT], lambda _: True).fired


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


def test_at_fires_once_and_is_gone(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """A one-time job fires at its instant, not before, and is never due again."""
    HandWorker(store).hello()
    instant = server_time(redis) + 500
    jobs.put(make_job(at=instant))
    assert 0 == firing.step([TENANT]).fired

    eventually(lambda: firing.step([TENANT]).fired)

    queued_at = run_field(redis, run_ids(redis)[0], "queued_at")
    assert instant <= int(queued_at or 0)
    assert jobs.get(TENANT, "report").next_due is None
    assert {TENANT: None} == firing.step([TENANT]).next


def test_window_holds(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """A job with start and end fires at the instants between them, and is over after the last."""
    HandWorker(store).hello()
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


@pytest.mark.parametrize("spoil", ["due", "jobs", "tags", "expiring"])
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


def test_a_job_of_another_type_stops_no_other(
    jobs: Jobs, firing: Firing, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged and laid aside, is due no more, and its tenant's other jobs fire; `job list` still tells of it."""
    for name in ("bad", "good", "better"):
        put_due(jobs, redis, make_job(name, every="1h"))
    redis.delete(keys.job(TENANT, "bad"))
    redis.set(keys.job(TENANT, "bad"), "spoiled")

    report = firing.step([TENANT])

    assert (2, {}) == (report.fired, report.failed)
    assert "job_unreadable tenant=acme job=bad" in caplog.text
    assert [b"job bad"] == redis.lrange(keys.aside(TENANT), 0, -1)
    assert {b"good", b"better"} == set(redis.zrange(keys.due(TENANT), 0, -1))
    assert ["bad"] == [job.name for job in jobs.list_all(TENANT)[1]]


def test_what_a_newer_library_says_of_a_job_is_passed_over() -> None:
    """During a deploy it may stand behind what this version knows; what lacks a field is nothing of ours."""
    schedule = b'{"every":3600000}'
    known = [b"report", b"1000", b"7", b"900", schedule, b""]

    (same,), nothing = _due_jobs([known])
    (newer,), nothing_more = _due_jobs([[*known, b"", b"", b"", b"new", None]])
    (unserved,), _ = _due_jobs([[*known, b"acme.gpu", b"skip", b"1"]])
    _, laid_aside = _due_jobs([known[:2]])

    assert same == newer
    assert ("report", 1_000, "7", "900", schedule.decode(), "", None) == newer
    assert Unserved("acme.gpu", "skip", expires=True) == unserved.unserved
    assert [] == nothing == nothing_more
    assert ["report"] == laid_aside


def test_tenant_whose_runs_are_spoiled_stops_no_other(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A tenant that fails in the very claim is reported like one that can't be read."""
    for tenant in ("aaa", "mmm", "zzz"):
        put_due(jobs, redis, make_job(tenant=tenant, every="1h"))
    redis.set(keys.queue("mmm", "mmm", 0), "spoiled")

    report = firing.step(["aaa", "mmm", "zzz"])

    assert 2 == report.fired
    assert {"mmm"} == set(report.failed)


def test_a_spoiled_queue_keeps_no_run_from_another(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """What many claims write together is written for all whose keys are ours; each has moved its job's due."""
    put_due(jobs, redis, make_job("gpu", every="1h", tag="acme.gpu"))
    put_due(jobs, redis, make_job("own", every="1h"))
    redis.set(keys.queue(TENANT, "acme.gpu", 0), "spoiled")

    report = firing.step([TENANT])

    assert {TENANT} == set(report.failed)
    assert 1 == redis.llen(keys.queue(TENANT, TENANT, 0))
    assert 2 == redis.zcard(keys.runs(TENANT))
    assert [] == redis.zrangebyscore(keys.due(TENANT), 0, server_time(redis))


def test_what_many_claims_write_together(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """Each run is in its tag's queue, in order of the dues, and the first that expires wakes the schedulers."""
    client: Any = redis  # redis-py leaves these untyped
    wakes = client.pubsub(ignore_subscribe_messages=True)
    wakes.subscribe(keys.wake(TENANT))
    wakes.get_message(timeout=5)
    dues = [put_due(jobs, redis, make_job(f"j{late}", every="1h", expires="1h"), late=late) for late in (9, 5, 7)]
    for number, due in enumerate(dues):
        redis.zadd(keys.due(TENANT), {f"j{(9, 5, 7)[number]}": due + number})
    while wakes.get_message(timeout=0.01):
        pass  # those of the puts

    report = firing.step([TENANT])

    queue = redis.lrange(keys.queue(TENANT, TENANT, 0), 0, -1)
    assert 3 == report.fired == len(queue) == redis.zcard(keys.expiring(TENANT))
    assert sorted(queue) == queue
    first = redis.zrange(keys.expiring(TENANT), 0, 0, withscores=True)[0][1]
    assert str(int(first)).encode() == eventually(lambda: wakes.get_message(timeout=1))["data"]
    assert 3 == redis.llen(keys.bell(TENANT, TENANT))


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


# -- overlap -----------------------------------------------------------------------------------------------------------


def fire_again(jobs: Jobs, firing: Firing, redis: Redis, job: Job, times: int = 1) -> list[str]:
    """Let a job be due as often as that, a second apart; return the ids of its runs, the oldest first."""
    if job.name not in {stored.job.name for stored in jobs.list(TENANT)}:
        jobs.put(job)
    for _ in range(times):
        number = len(run_ids(redis))
        set_due(redis, job, server_time(redis) - 30_000 + 1_000 * number)
        firing.step([TENANT])
        redis.zrem(keys.due(TENANT), job.name)
    runs = {run_id: int(run_field(redis, run_id, "due") or 0) for run_id in run_ids(redis)}
    return sorted(runs, key=lambda run_id: runs[run_id])


def states(redis: Redis, runs: Iterable[str]) -> list[str | None]:
    return [run_field(redis, run_id, "state") for run_id in runs]


def parked(redis: Redis, job: str = "report") -> list[str]:
    entries: Any = redis.lrange(keys.parked(TENANT, job), 0, -1)
    return [entry.decode() for entry in entries]


def test_overlap_queues_up(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """Fires while the last run goes are parked, served by nobody, and go one after another as the last one ends."""
    worker = HandWorker(store).hello()
    runs = fire_again(jobs, firing, redis, make_job(every="1s", overlap="queue"), 3)

    assert ["queued", "scheduled", "scheduled"] == states(redis, runs)
    assert runs[1:] == parked(redis)
    assert ["1", "1"] == [run_field(redis, run_id, "parked") for run_id in runs[1:]]
    served = []
    while leases := worker.fetch():
        assert 1 == len(leases)
        served += [run_id for run_id, _ in leases]
        assert served[-1] == jobs.get(TENANT, "report").last_run
        worker.finish(leases, "failed" if len(served) == 1 else "succeeded")

    assert runs == served
    assert [None] * 3 == [run_field(redis, run_id, "parked") for run_id in runs]
    assert 0 == jobs.get(TENANT, "report").parked


@pytest.mark.parametrize("way", ["succeeded", "failed", "dead", "cancelled", "expired", "asked", "died"])
def test_parked_runs_go_on_however_the_last_one_ends(
    jobs: Jobs, firing: Firing, store: Server, redis: Redis, way: str
) -> None:
    """Whether a worker, a caller, a death or time ends a run: the next is queued in the same step."""
    worker = HandWorker(store).hello()
    first, second, third = fire_again(jobs, firing, redis, make_job(every="1s", overlap="queue", expires="1h"), 3)
    match way:
        case "cancelled":
            store.call("cancel", TENANT, first, "why")
        case "expired":
            redis.hset(keys.run(TENANT, first), "expires", 1)
            redis.zadd(keys.expiring(TENANT), {first: 1})
            assert 1 == firing.step([TENANT]).expired
        case "asked":
            leases = worker.fetch()
            store.call("cancel", TENANT, first, "why")
            assert ["scheduled", "scheduled"] == states(redis, [second, third])
            worker.finish(leases, "cancelled")
        case "died":
            for _ in range(3):
                worker = HandWorker(store, fetches=worker.fetches).hello()
                ((run_id, token),) = worker.fetch()
                assert ["scheduled", "scheduled"] == states(redis, [second, third])
                store.call("died", TENANT, run_id, token, "")
            assert ["dead"] == states(redis, [first])
        case _:
            worker.finish(worker.fetch(), way)

    assert ["queued", "scheduled"] == states(redis, [second, third])
    assert second == jobs.get(TENANT, "report").last_run
    assert [third] == parked(redis)


def test_a_rescued_run_still_blocks(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """A run that lost its worker waits again, and what is parked behind it goes on waiting."""
    HandWorker(store).hello().fetch()
    job = make_job(every="1s", overlap="queue")
    fire_again(jobs, firing, redis, job)
    worker = HandWorker(store, id="worker-2").hello()
    worker.fetch()

    assert [1, 0] == store.call("rescue", TENANT, worker.id, worker.beat())

    runs = fire_again(jobs, firing, redis, job)
    assert ["queued", "scheduled"] == states(redis, runs)


def test_a_parked_run_can_be_cancelled_and_expires(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """It ends where it is, leaves the list, and is passed over."""
    worker = HandWorker(store).hello()
    runs = fire_again(jobs, firing, redis, make_job(every="1s", overlap="queue", expires="1h"), 4)
    assert b"cancelled" == store.call("cancel", TENANT, runs[1], "why")
    redis.hset(keys.run(TENANT, runs[2]), "expires", 1)
    redis.zadd(keys.expiring(TENANT), {runs[2]: 1})
    firing.step([TENANT])
    assert [runs[3]] == parked(redis)

    worker.finish(worker.fetch())

    assert ["succeeded", "cancelled", "expired", "queued"] == states(redis, runs)


def test_what_is_parked_and_gone_is_passed_over(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """A run whose hash is missing, ended or spoiled strands none behind it."""
    worker = HandWorker(store).hello()
    runs = fire_again(jobs, firing, redis, make_job(every="1s", overlap="queue"), 5)
    redis.delete(keys.run(TENANT, runs[1]), keys.run(TENANT, runs[2]))
    redis.set(keys.run(TENANT, runs[2]), "spoiled")
    redis.hset(keys.run(TENANT, runs[3]), "state", "cancelled")

    worker.finish(worker.fetch())

    assert "queued" == run_field(redis, runs[4], "state")


def test_parked_runs_are_bounded(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """Of a job whose last run never ends, a thousand runs wait; the next fire is skipped, on record."""
    job = make_job(every="1s", overlap="queue")
    (first,) = fire_again(jobs, firing, redis, job)
    redis.rpush(keys.parked(TENANT, "report"), *(f"acme.p{number}" for number in range(1_000)))

    runs = fire_again(jobs, firing, redis, job)

    assert [first] == [run_id for run_id in runs if run_field(redis, run_id, "state") == "queued"]
    assert "1000 runs of it wait already" == run_field(redis, runs[1], "error")
    assert 1_000 == redis.llen(keys.parked(TENANT, "report"))
    del store


def test_cancel_running_asks_the_worker_and_waits_for_it(
    jobs: Jobs, firing: Firing, store: Server, redis: Redis
) -> None:
    """The newest run goes as soon as the worker has stopped the old one; those between are cancelled."""
    worker = HandWorker(store).hello()
    job = make_job(every="1s", overlap="cancel_running")
    fire_again(jobs, firing, redis, job)
    leases = worker.fetch()
    first, second, third = fire_again(jobs, firing, redis, job, 2)

    assert ["queued", "cancelled", "scheduled"] == states(redis, [first, second, third])
    assert [b"worker-1"] == [redis.hget(keys.run(TENANT, first), "holder")]
    assert {first.encode()} == redis.smembers(keys.cancels(TENANT, "worker-1"))
    assert f"a newer run replaced it: {third}" in (run_field(redis, second, "error") or "")
    assert [] == worker.fetch()
    worker.finish(leases, "cancelled")

    assert [third] == [run_id for run_id, _ in worker.fetch()]
    assert third == jobs.get(TENANT, "report").last_run


def test_cancel_running_outlives_the_worker(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """A worker that dies while it is asked to stop ends the old run all the same, and the new one goes."""
    worker = HandWorker(store).hello()
    job = make_job(every="1s", overlap="cancel_running")
    fire_again(jobs, firing, redis, job)
    worker.fetch()
    first, second = fire_again(jobs, firing, redis, job)

    store.call("rescue", TENANT, worker.id, worker.beat())

    assert ["cancelled", "queued"] == states(redis, [first, second])
    assert second in (run_field(redis, first, "error") or "")


@pytest.mark.parametrize("schedule", [{"every": "1s"}, {"after": "1h"}])
def test_cancel_running_ends_what_only_waits(
    jobs: Jobs, firing: Firing, redis: Redis, schedule: dict[str, Any]
) -> None:
    """A run that no worker has is cancelled at once, and the new one is queued; a fixed delay waits for that one."""
    first, second, third = fire_again(jobs, firing, redis, make_job(**schedule, overlap="cancel_running"), 3)

    assert ["cancelled", "cancelled", "queued"] == states(redis, [first, second, third])
    assert [third.encode()] == redis.lrange(keys.queue(TENANT, TENANT, 0), 0, -1)
    assert f"a newer run replaced it: {second}" in (run_field(redis, first, "error") or "")
    assert (third, None) == (jobs.get(TENANT, "report").last_run, jobs.get(TENANT, "report").next_due)


@pytest.mark.parametrize(
    ("overlap", "then"),
    [
        ("skip", ["succeeded", "queued", "scheduled"]),
        ("cancel_running", ["succeeded", "queued", "scheduled"]),
        ("allow", ["succeeded", "queued", "queued"]),
    ],
)
def test_another_overlap_strands_nobody(
    jobs: Jobs, firing: Firing, store: Server, redis: Redis, overlap: str, then: list[str]
) -> None:
    """What is parked goes on as before, one by one; or all at once when the runs may overlap."""
    worker = HandWorker(store).hello()
    fire_again(jobs, firing, redis, make_job(every="1s", overlap="queue"))
    leases = worker.fetch()
    runs = fire_again(jobs, firing, redis, make_job(every="1s", overlap="queue"), 2)
    jobs.put(make_job(every="1s", overlap=overlap))

    worker.finish(leases)

    assert then == states(redis, runs)
    while leases := worker.fetch():
        worker.finish(leases)
    assert ["succeeded"] * 3 == states(redis, runs)


def test_a_paused_job_runs_what_is_parked_and_a_deleted_one_does_not(
    jobs: Jobs, firing: Firing, store: Server, redis: Redis
) -> None:
    """A pause stops fires alone; when the job is deleted, what waits for its last run ends as cancelled."""
    worker = HandWorker(store).hello()
    runs = fire_again(jobs, firing, redis, make_job(every="1s", overlap="queue"), 4)
    jobs.pause(TENANT, "report")
    worker.finish(worker.fetch())
    assert ["succeeded", "queued", "scheduled", "scheduled"] == states(redis, runs)

    jobs.delete(TENANT, "report")

    assert ["queued", "cancelled", "cancelled"] == states(redis, runs[1:])
    assert "its job was deleted" in (run_field(redis, runs[2], "error") or "")
    assert 0 == redis.exists(keys.parked(TENANT, "report"), keys.waiting(TENANT))


def test_a_trigger_goes_beside_what_is_parked(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """Whoever triggers a job does not wait for its queue, nor does the queue wait for him."""
    worker = HandWorker(store).hello()
    first, second = fire_again(jobs, firing, redis, make_job(every="1s", overlap="queue"), 2)

    triggered = jobs.trigger(TENANT, "report")

    assert ["queued", "scheduled", "queued"] == states(redis, [first, second, triggered])
    store.call("cancel", TENANT, triggered, "enough")
    assert ["scheduled"] == states(redis, [second])
    worker.finish(worker.fetch(1))
    assert ["queued"] == states(redis, [second])


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel_running"])
def test_racing_schedulers_never_overlap(jobs: Jobs, redis: Redis, url: str, overlap: str) -> None:
    """Eight schedulers fire a job while workers execute, and die: never two of its runs at once, and none is lost."""
    jobs.put(make_job(every="1s", start=0, overlap=overlap))
    servers = [make_server(url) for _ in range(8)]
    worker = HandWorker(make_server(url)).hello()

    until = server_time(redis)
    set_due(redis, make_job(), until - 50_000)

    def fire(server: Server) -> None:
        firing = Firing(server)
        while jobs_due(redis) <= until:
            firing.step([TENANT])

    served: list[str] = []
    with ThreadPoolExecutor(8) as pool:
        fires = [pool.submit(fire, server) for server in servers]
        while not all(each.done() for each in fires):
            leases = worker.fetch()
            assert len(leases) <= 1
            served += [run_id for run_id, _ in leases]
            if len(served) % 3:
                worker.finish(leases)
            else:
                worker.server.call("rescue", TENANT, worker.id, worker.beat())
                worker.hello()
    while leases := worker.fetch():
        assert 1 == len(leases)
        served += [run_id for run_id, _ in leases]
        worker.finish(leases)
    for server in [*servers, worker.server]:
        server.close()

    ran = [run_id for run_id in run_ids(redis) if run_field(redis, run_id, "state") == "succeeded"]
    assert set(served) >= set(ran)
    assert {"succeeded", "skipped", "cancelled"} >= set(states(redis, run_ids(redis)))
    assert "cancelled" not in states(redis, served) or overlap == "cancel_running"
    assert [] == parked(redis)
    assert overlap != "queue" or len(ran) == len(run_ids(redis))
    assert 50 <= len(run_ids(redis)) <= 60


# -- misfire -----------------------------------------------------------------------------------------------------------


def missed(jobs: Jobs, redis: Redis, job: Job, late: int) -> int:
    """Put a job that was due `late` ms ago and since; return that instant."""
    jobs.put(job)
    assert isinstance(job.schedule, Every)
    assert job.schedule.start is not None
    due = job.schedule.start + (server_time(redis) - late - job.schedule.start) // 1_000 * 1_000
    set_due(redis, job, due)
    return due


def test_misfire_skip_makes_a_record_alone(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """What was missed is not executed; one skipped run says so, and the job is due next in the future."""
    due = missed(jobs, redis, make_job(every="1s", start=0, misfire="skip", overlap="allow"), 600_000)

    report = firing.step([TENANT])

    (run_id,) = run_ids(redis)
    assert (0, 1) == (report.fired, report.skipped)
    assert ("skipped", str(due)) == (run_field(redis, run_id, "state"), run_field(redis, run_id, "due"))
    assert "missed by 10m: misfire is skip" == run_field(redis, run_id, "error")
    assert (report.next[TENANT] or 0) > server_time(redis) - 1_000


@pytest.mark.parametrize(("misfire", "counts"), [("once", (1, 0)), ("skip", (0, 1)), ("all", (100, 1))])
def test_every_instant_is_in_the_ledger(jobs: Jobs, store: Server, redis: Redis, misfire: str, counts: Any) -> None:
    """What was due is fired, skipped or missed, whatever becomes of it; of two schedulers one is heard."""
    due = missed(jobs, redis, make_job(every="1s", start=0, misfire=misfire, overlap="allow"), 600_000)

    Firing(store).step([TENANT])
    next_due = jobs.get(TENANT, "report").next_due or 0

    (used,) = Usage(store).days(TENANT, *Usage(store).last_days(1))
    (of_job,) = Usage(store).jobs_of([TENANT], *Usage(store).last_days(1))
    assert counts == (used.fired, used.skipped)
    assert (next_due - due) // 1_000 == used.due
    assert (used.due, used.missed) == (of_job.due, of_job.missed)


def test_misfire_skip_of_a_fixed_delay_goes_on(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """No run ends that it could wait for: it is due a delay from now."""
    jobs.put(make_job(after="5s", misfire="skip"))
    set_due(redis, make_job(), server_time(redis) - 120_000)

    assert 1 == firing.step([TENANT]).skipped

    assert 0 < (jobs.get(TENANT, "report").next_due or 0) - server_time(redis) <= 5_000


@pytest.mark.parametrize("overlap", ["queue", "allow"])
def test_misfire_all_makes_up_for_a_hundred(jobs: Jobs, redis: Redis, url: str, overlap: str) -> None:
    """However many schedulers see it: a run for each of the first hundred, one record for the rest, ten a second."""
    due = missed(jobs, redis, make_job(every="1s", start=0, misfire="all", overlap=overlap), 600_000)
    gate = Barrier(8)
    servers = [Gated(url, gate) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda server: Firing(server).step([TENANT]), servers))
    now = server_time(redis)
    for server in servers:
        server.close()

    runs = {int(run_field(redis, run_id, "due") or 0): run_id for run_id in run_ids(redis)}
    record = runs.pop(max(runs))
    assert [due + 1_000 * number for number in range(100)] == sorted(runs)
    assert (100, 1) == (sum(report.fired for report in reports), sum(report.skipped for report in reports))
    assert "skipped" == run_field(redis, record, "state")
    told = run_field(redis, record, "error") or ""
    assert re.fullmatch(r"missed 44\d instants from .* misfire all makes up for 100", told), told
    if overlap == "queue":
        assert [runs[each] for each in sorted(runs)[1:]] == parked(redis)
    else:
        delayed: Any = redis.zrange(keys.delayed(TENANT, TENANT), 0, -1, withscores=True)
        waits = [int(at) for _, at in delayed]
        assert {100} == {later - sooner for sooner, later in pairwise(waits)}
        assert 50 < len(waits) <= 99  # the first waits for nothing, and the next ones not for long
        assert now - 5_000 < waits[-1] - 9_900 <= now
    assert 58_000 <= now - jobs_due(redis) <= 62_000


class Told(Server):
    """A connection that keeps what `fire` was told."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.fires: list[Sequence[Any]] = []

    def calls(self, moves: Iterable[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        asked = list(moves)
        self.fires.extend(arguments for move, _, arguments in asked if move == "fire")
        return super().calls(asked)


def test_what_makes_up_for_a_job_is_claimed_in_one_call(jobs: Jobs, redis: Redis, url: str) -> None:
    """Between two calls another scheduler might look, and make up for a hundred more."""
    for number in range(40):
        missed(jobs, redis, make_job(f"a{number}", every="1s", start=0, overlap="allow"), 900_000)
    for name in ("b", "c"):
        missed(jobs, redis, make_job(name, every="1s", start=0, misfire="all", overlap="allow"), 600_000)
    server = Told(url)

    assert 240 == Firing(server).step([TENANT]).fired
    server.close()

    told = [set(arguments[::5]) for arguments in server.fires]
    assert 2 == len(told)
    assert set() == told[0] & told[1]
    assert [141, 101] == [len(arguments) // 5 for arguments in server.fires]


def jobs_due(redis: Redis) -> float:
    """When the job is due next."""
    return redis.zscore(keys.due(TENANT), "report") or 0.0


def test_many_missed_jobs_are_made_up_for_in_turn(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """A step makes up for a bounded number of instants; the jobs that are left come in the next, at once."""
    jobs.put_many(
        make_job(f"j{number}", tenant=tenant, cron="* * * * * *", misfire="all", overlap="allow")
        for tenant in ("aaa", "bbb")
        for number in range(10)
    )
    at = server_time(redis) // 1_000 * 1_000 - 3_600_000
    for tenant in ("aaa", "bbb"):
        redis.zadd(keys.due(tenant), {f"j{number}": at for number in range(10)})
    reports = [firing.step(["aaa", "bbb"])]
    assert at == reports[0].next["bbb"]

    while sum(report.skipped for report in reports) < 20:
        reports.append(firing.step(["aaa", "bbb"]))

    assert all(report.fired <= 1_200 for report in reports)
    made = [run_id for tenant in ("aaa", "bbb") for run_id in run_ids(redis, tenant)]
    assert len(made) >= 20 * 101


def test_skipped_runs_are_bounded_by_themselves(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """A thousand are kept a tenant, the newest: so they never push what was executed out of the history."""
    job = make_job(every="1s")
    (first,) = fire_again(jobs, firing, redis, job)
    oldest = fire_again(jobs, firing, redis, job)[1]
    redis.rpush(keys.skipped(TENANT), *(f"acme.s{number}" for number in range(999)))

    runs = fire_again(jobs, firing, redis, job)

    assert [first, runs[1]] == runs
    assert 0 == redis.exists(keys.run(TENANT, oldest))
    assert [runs[1].encode()] == redis.zrange(keys.ended(TENANT), 0, -1)
    assert 1_000 == redis.llen(keys.skipped(TENANT))
    del store


# -- what waits for a run that is gone ---------------------------------------------------------------------------------


def test_a_fixed_delay_whose_run_is_gone_goes_on(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """A run that a restored backup or a trimmed history lacks never ends: the next look begins the delay anew."""
    HandWorker(store).hello()
    (run_id,) = fire_again(jobs, firing, redis, make_job(after="5s"))
    assert {TENANT: None} == firing.step([TENANT]).next
    redis.delete(keys.run(TENANT, run_id))

    report = firing.step([TENANT])

    due = jobs.get(TENANT, "report").next_due
    assert due is not None
    assert {TENANT: due} == report.next
    assert 0 < due - server_time(redis) <= 5_000
    assert 0 == redis.exists(keys.waiting(TENANT))


def test_parked_runs_whose_last_one_is_gone_go_on(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """The next look lets the first of them go, and the others after it."""
    runs = fire_again(jobs, firing, redis, make_job(every="1s", overlap="queue"), 3)
    redis.delete(keys.run(TENANT, runs[0]))

    firing.step([TENANT])
    firing.step([TENANT])

    assert ["queued", "scheduled"] == states(redis, runs[1:])
    assert runs[1] == jobs.get(TENANT, "report").last_run


def test_a_fire_does_not_overtake_what_is_parked(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """When the last run is gone, those that waited for it go first, though the fire comes before the next look."""
    runs = fire_again(jobs, firing, redis, make_job(every="1s", overlap="queue"), 2)
    redis.delete(keys.run(TENANT, runs[0]))
    set_due(redis, make_job(), 1_000)

    assert [1] == store.call("fire", TENANT, "report", 1_000, 1, "", "acme.late")

    assert ["queued", "scheduled"] == states(redis, [runs[1], "acme.late"])
    assert ["acme.late"] == parked(redis)


def test_many_that_wait_are_all_looked_at(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """Few in one look, which then says that it wants to come again before long."""
    jobs.put_many(make_job(f"j{number}", after="1h") for number in range(100))
    set_all = {f"j{number}": server_time(redis) - 1_000 for number in range(100)}
    redis.zadd(keys.due(TENANT), set_all)
    assert 100 == firing.step([TENANT]).fired
    redis.delete(*(keys.run(TENANT, run_id) for run_id in run_ids(redis)))

    report = firing.step([TENANT])
    instant = report.next[TENANT]

    assert instant is not None
    assert 1_000 < instant - server_time(redis) <= 5_000
    assert 16 == redis.zcard(keys.due(TENANT))
    eventually(lambda: firing.step([TENANT]) and redis.zcard(keys.due(TENANT)) == 100)


def test_what_waits_and_is_paused_deleted_or_spoiled_is_forgotten(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """It is looked at once more and not again."""
    jobs.put(make_job("paused", after="1h"))
    jobs.pause(TENANT, "paused")
    redis.set(keys.job(TENANT, "spoiled"), "spoiled")
    redis.sadd(keys.waiting(TENANT), "paused", "deleted", "spoiled")

    report = firing.step([TENANT])

    assert ({}, {TENANT: None}) == (report.failed, report.next)
    assert 0 == redis.exists(keys.waiting(TENANT))


# -- no worker -------------------------------------------------------------------------------------------------------


def fire_unserved(jobs: Jobs, redis: Redis, firing: Firing, **fields: Any) -> str:
    """Fire a job once, for an instant of its own; return its run."""
    before = set(run_ids(redis))
    put_due(jobs, redis, make_job(**{"every": "1h", "tag": "acme.gpu", **fields}), late=len(before) * 3_600_000)
    firing.step([TENANT])
    (run_id,) = set(run_ids(redis)) - before
    return run_id


def expires_in(redis: Redis, run_id: str) -> int:
    """Minutes until a waiting run expires; 0 for never."""
    at = int(run_field(redis, run_id, "expires") or 0)
    assert (at > 0) == (redis.zscore(keys.expiring(TENANT), run_id) is not None)
    return round((at - server_time(redis)) / 60_000) if at else 0


@pytest.mark.parametrize(
    ("fields", "minutes"),
    [
        ({}, 24 * 60),
        ({"expires": "2d"}, 48 * 60),
        ({"no_worker": "wait:1h"}, 60),
        ({"no_worker": "wait:1h", "expires": "5m"}, 5),
        ({"no_worker": "wait:1h", "expires": "2h"}, 60),
    ],
)
def test_a_run_that_nobody_serves_waits_so_long(
    jobs: Jobs, firing: Firing, redis: Redis, fields: dict[str, Any], minutes: int
) -> None:
    """A day, or as its job says: then it ends as expired, on record, and the job goes on."""
    run_id = fire_unserved(jobs, redis, firing, **fields)

    assert "queued" == run_field(redis, run_id, "state")
    assert minutes == expires_in(redis, run_id)
    redis.zadd(keys.expiring(TENANT), {run_id: 1})
    firing.step([TENANT])
    assert "expired" == run_field(redis, run_id, "state")


@pytest.mark.parametrize("policy", ["wait", "wait:1h", "skip", "fail", "overflow:acme.spare"])
def test_a_tag_that_is_served_is_asked_as_ever(
    jobs: Jobs, firing: Firing, store: Server, redis: Redis, policy: str
) -> None:
    """Whatever the job says of the other case: its run waits without an end, for the job's own tag."""
    store.call("hello", TENANT, "other", "tags", "acme.io")
    store.call("hello", TENANT, "worker", "tags", "acme acme.gpu")

    run_id = fire_unserved(jobs, redis, firing, no_worker=policy)

    assert ("queued", "acme.gpu") == (run_field(redis, run_id, "state"), run_field(redis, run_id, "tag"))
    assert 0 == expires_in(redis, run_id)


def test_skip_leaves_a_record(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """With its reason; the job is due again, one with a fixed delay in that time from now."""
    run_id = fire_unserved(jobs, redis, firing, no_worker="skip")
    assert "skipped" == run_field(redis, run_id, "state")
    assert "no worker serves tag 'acme.gpu': no_worker is skip" == run_field(redis, run_id, "error")
    assert 0 == redis.llen(keys.queue(TENANT, "acme.gpu", 0))

    fire_unserved(jobs, redis, firing, name="delayed", every=None, after="5m", no_worker="skip")
    next_due = jobs.get(TENANT, "delayed").next_due
    assert next_due is not None
    assert 290_000 < next_due - server_time(redis) <= 300_000


def test_fail_ends_a_run_at_once(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """It is no dead letter, whatever the retry policy; it can be run again once somebody serves the tag."""
    run_id = fire_unserved(jobs, redis, firing, no_worker="fail", retry=5, params={"n": 1})
    found = Runs(store).get(run_id)

    assert ("failed", "no worker serves tag 'acme.gpu': no_worker is fail") == (found.state, found.error)
    assert (0, None) == (found.attempt, found.started_at)
    assert run_id == jobs.get(TENANT, "report").last_run
    assert [run_id.encode()] == redis.zrange(keys.ended(TENANT), 0, -1)
    assert "queued" == run_field(redis, Runs(store).replay(run_id), "state")


def test_fail_lets_its_job_go_on(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """As any end does: a fixed delay begins with it."""
    fire_unserved(jobs, redis, firing, every=None, after="5m", no_worker="fail")

    next_due = jobs.get(TENANT, "report").next_due
    assert next_due is not None
    assert 290_000 < next_due - server_time(redis) <= 300_000


def test_fail_leaves_a_run_that_goes_the_one_to_wait_for(
    jobs: Jobs, firing: Firing, store: Server, redis: Redis
) -> None:
    """A run that waited when the last worker died is not forgotten for one that has failed beside it."""
    worker = HandWorker(store).hello()
    first = fire_unserved(jobs, redis, firing, tag="acme", no_worker="fail")
    store.call("leave", TENANT, worker.id)

    second = fire_unserved(jobs, redis, firing, tag="acme", no_worker="fail")

    assert ("queued", "failed") == (run_field(redis, first, "state"), run_field(redis, second, "state"))
    assert first == jobs.get(TENANT, "report").last_run


def test_overflow_asks_for_the_other_tag(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """In the run alone: the job's own tag stays; the overlap holds as ever."""
    run_id = fire_unserved(jobs, redis, firing, no_worker="overflow:acme.spare", overlap="queue")
    parked = fire_unserved(jobs, redis, firing, no_worker="overflow:acme.spare", overlap="queue")

    assert [run_id.encode()] == redis.lrange(keys.queue(TENANT, "acme.spare", 0), 0, -1)
    assert ("acme.spare", "1") == (run_field(redis, parked, "tag"), run_field(redis, parked, "parked"))
    assert "acme.gpu" == jobs.get(TENANT, "report").job.tag


def test_the_missed_are_as_unserved_as_the_others(jobs: Jobs, firing: Firing, redis: Redis) -> None:
    """Each instant that is made up for leaves its own record."""
    job = make_job(cron="* * * * *", misfire="all", overlap="allow", no_worker="skip")
    jobs.put(job)
    set_due(redis, job, server_time(redis) // 60_000 * 60_000 - 600_000)

    report = firing.step([TENANT])

    assert report.skipped in {9, 10}
    assert {"skipped"} == {run_field(redis, run_id, "state") for run_id in run_ids(redis)}


def test_a_shared_pool_is_asked_of_whoever_knows_it(jobs: Jobs, store: Server, redis: Redis) -> None:
    """Its workers are no tenant's: its tag counts as served unless the pools say otherwise."""
    served = fire_unserved(jobs, redis, Firing(store), tag="shared.small", no_worker="skip")
    asked: list[str] = []
    firing = Firing(store, pool_serves=lambda tag: bool(asked.append(tag)))  # type: ignore[func-returns-value]
    unserved = fire_unserved(jobs, redis, firing, name="other", tag="shared.small", no_worker="skip")

    assert ("queued", "skipped") == (run_field(redis, served, "state"), run_field(redis, unserved, "state"))
    assert ["shared.small"] == asked


def test_so_many_workers_that_not_all_are_asked(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """Then a tag counts as served: a fire that waits is better than one that is skipped by mistake."""
    for number in range(257):
        store.call("hello", TENANT, f"w{number}", "tags", "acme")

    run_id = fire_unserved(jobs, redis, firing, no_worker="skip")

    assert "queued" == run_field(redis, run_id, "state")
    store.call("leave", TENANT, "w0")
    assert "skipped" == run_field(redis, fire_unserved(jobs, redis, firing, name="b", no_worker="skip"), "state")


def test_spoiled_workers_serve_nothing(jobs: Jobs, firing: Firing, store: Server, redis: Redis) -> None:
    """A worker whose key holds something else is passed over; its tenant's jobs stay where they are."""
    store.call("hello", TENANT, "bad", "tags", "acme.gpu")
    redis.delete(keys.worker(TENANT, "bad"))
    redis.set(keys.worker(TENANT, "bad"), "spoiled")

    run_id = fire_unserved(jobs, redis, firing, no_worker="skip")

    assert "skipped" == run_field(redis, run_id, "state")
    assert 0 == redis.llen(keys.aside(TENANT))


def test_a_trigger_waits(jobs: Jobs, store: Server, redis: Redis) -> None:
    """Somebody asked for it: whatever the job says of its fires."""
    jobs.put(make_job(no_worker="skip"))

    run_id = jobs.trigger(TENANT, "report")

    assert "queued" == run_field(redis, run_id, "state")
    assert 0 == expires_in(redis, run_id)
    del store


@pytest.mark.parametrize("overlap", ["allow", "queue"])
def test_a_fire_begins_a_trace(jobs: Jobs, firing: Firing, redis: Redis, overlap: str) -> None:
    """Its run carries it on, parked or not; a claim that was lost leaves no span."""
    memory().clear()
    put_due(jobs, redis, make_job(every="1h", overlap=overlap))
    firing.step([TENANT])
    tracing.want(otel=True)
    try:
        set_due(redis, make_job(), server_time(redis) - 50)
        firing.step([TENANT])
        begun: dict[str, Any] = {}
        claims = [Claim("report", 1, "1", None, "acme.lost")]
        context = firing_module._traced(TENANT, claims, begun)["acme.lost"]  # noqa: SLF001 - a race that was lost
        firing_module._end_fired(begun, firing_module._arguments(claims, {"acme.lost": context}), [0])  # noqa: SLF001
    finally:
        tracing.stop()

    (span,) = map(seen, memory().get_finished_spans())
    traced = str(span.attributes["taglane.run_id"])
    (untraced,) = set(run_ids(redis)) - {traced}  # both may have been made in one millisecond
    envelope = json.loads(run_field(redis, traced, "envelope") or "")
    assert envelope.pop("t")["traceparent"].startswith(f"00-{span.trace}-{span.id}-")
    assert envelope == json.loads(run_field(redis, untraced, "envelope") or "")
    assert ("fire report", "PRODUCER") == (span.name, span.kind)
