from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import TENANT, HandWorker, enqueue, make_job, make_server, run_field, run_ids, server_time, set_due
from redis import Redis
from taglane.errors import Refused, ServerUnavailable
from taglane.runtime.pulse import State
from taglane.store import functions, keys
from taglane.store.jobs import Jobs
from taglane_scheduler.care.rescue import Rescue
from taglane_scheduler.embedded import EmbeddedServer, free_port
from taglane_scheduler.firing import loop as loop_module
from taglane_scheduler.firing.clock import Reading
from taglane_scheduler.firing.firing import Firing
from taglane_scheduler.firing.loop import SchedulerLoop
from taglane_scheduler.firing.peers import BEAT_S, STILL_S, goes_first

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.store.server import Server
    from taglane_scheduler.embedded import ServerBinary

AHEAD = 500  # ms: when a job that is put now is due; a put on a loaded machine takes its time
PROMPT = 500  # ms: far above what a loaded machine takes, far below a sweep


@pytest.fixture
def store(url: str, redis: Redis) -> Iterator[Server]:
    server = make_server(url)
    redis.hset(keys.TENANTS, TENANT, "{}")
    yield server
    server.close()


@pytest.fixture
def jobs(store: Server) -> Jobs:
    return Jobs(store, 1_000_000)


def make_loop(server: Server, *, lease: int = 15_000, patience: int = 10_000) -> SchedulerLoop:
    return SchedulerLoop(
        server,
        Firing(server),
        Rescue(server, lease),
        patience_ms=patience,
        prepare=lambda: functions.load(server.redis),
    )


@contextmanager
def running(url: str, *, lease: int = 15_000) -> Iterator[SchedulerLoop]:
    """A scheduler with a connection of its own, that has made its first step; it must end without an error."""
    server = make_server(url)
    loop, stopping, ready = make_loop(server, lease=lease), threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            loop.run(stopping, ready.set)
        except BaseException as error:  # noqa: BLE001 - for the thread that waits
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10)
        yield loop
    finally:
        stopping.set()
        thread.join(10)
        server.close()
        assert not thread.is_alive()
        assert [] == failed


def lateness(redis: Redis, tenant: str = TENANT) -> list[int]:
    """How late, ms, each run of a job was queued, sorted."""
    fields: list[Any] = [redis.hmget(keys.run(tenant, run_id), "due", "queued_at") for run_id in run_ids(redis, tenant)]
    return sorted(int(queued_at) - int(due) for due, queued_at in fields)


def test_fires_on_time(jobs: Jobs, redis: Redis, url: str) -> None:
    """A job is fired at its very instant, not at the next of some polls."""
    jobs.put_many(make_job(f"j{number}", every="1s", overlap="allow") for number in range(5))

    with running(url):
        eventually(lambda: len(run_ids(redis)) >= 15)

    late = lateness(redis)
    assert min(late) >= 0
    assert late[len(late) // 2] < 50


def test_job_put_while_it_sleeps(jobs: Jobs, redis: Redis, url: str) -> None:
    """A loop that has nothing to do for half a minute fires a job that is put meanwhile, on time."""
    with running(url):
        jobs.put(make_job(at=server_time(redis) + AHEAD))
        eventually(lambda: run_ids(redis))

    assert lateness(redis)[0] < PROMPT


def test_who_was_looked_at_is_told(store: Server, redis: Redis) -> None:
    """In every step, also when that was nobody: every tenant at the first."""
    redis.hset(keys.TENANTS, "globex", "{}")
    told: list[list[str]] = []
    loop = SchedulerLoop(store, Firing(store), Rescue(store, 15_000), looked=lambda tenants: told.append(list(tenants)))

    loop.step()
    loop.step()
    loop.close()

    assert [sorted(told[0]), told[1]] == [["acme", "globex"], []]


def test_tenant_made_while_it_sleeps(jobs: Jobs, redis: Redis, url: str) -> None:
    """A tenant that is created while the loop sleeps is served at once; a stranger who publishes is not."""
    job = make_job(tenant="globex", every="1h")
    with running(url):
        jobs.put(job)
        set_due(redis, job, server_time(redis))
        redis.publish(keys.wake("globex"), 0)
        jobs.put(make_job(at=server_time(redis) + AHEAD))
        eventually(lambda: run_ids(redis))
        assert [] == run_ids(redis, "globex")

        redis.hset(keys.TENANTS, "globex", "{}")
        redis.publish(keys.wake("globex"), 0)

        eventually(lambda: run_ids(redis, "globex"))


def test_deleted_tenant_is_forgotten(store: Server, jobs: Jobs, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant that is gone from the record is not looked at any more, from the next sweep on."""
    monkeypatch.setattr(loop_module, "SWEEP_MS", 50)
    loop, stopping = make_loop(store), threading.Event()
    redis.hset(keys.TENANTS, "globex", "{}")
    loop.step()
    redis.hdel(keys.TENANTS, TENANT)
    job = make_job(every="1h")
    jobs.put(job)
    set_due(redis, job, server_time(redis))
    looked_at: list[str] = []

    while looked_at.count("globex") < 5:
        loop.wait(stopping)
        looked_at += loop.step().tenants

    assert TENANT not in looked_at[-3:]
    loop.close()


def test_sweep_finds_what_no_wake_told(jobs: Jobs, redis: Redis, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A due that nobody told of, or whose wake was lost, is found by the next sweep; so is a tenant."""
    monkeypatch.setattr(loop_module, "SWEEP_MS", 300)
    job = make_job(tenant="globex", every="1h")
    jobs.put_many([job, make_job(every="1h")])
    with running(url):
        set_due(redis, make_job(), server_time(redis))
        eventually(lambda: run_ids(redis))

        set_due(redis, job, server_time(redis))
        redis.hset(keys.TENANTS, "globex", "{}")
        eventually(lambda: run_ids(redis, "globex"))


@pytest.mark.parametrize("message", ["", "soon", "-1", "1e400", "9" * 400, b"\xff\x00"])
def test_wakes_may_say_anything(jobs: Jobs, redis: Redis, url: str, message: str) -> None:
    """Whatever a tenant publishes on its channel stops no scheduler."""
    with running(url):
        redis.publish(keys.wake(TENANT), message)
        redis.publish("taglane:{" + "\u20ac" * 9 + "}:wake", message)
        jobs.put(make_job(at=server_time(redis) + AHEAD))

        eventually(lambda: run_ids(redis))


def test_killed_subscription_loses_no_fire(jobs: Jobs, redis: Redis, url: str) -> None:
    """A wake that falls into the gap of a lost connection is made up for by the full read after it."""
    with running(url):
        for number in range(5):
            redis.client_kill_filter(_type="pubsub")
            jobs.put(make_job(f"j{number}", at=server_time(redis) + AHEAD))

        eventually(lambda: len(run_ids(redis)) == 5)

    assert lateness(redis)[-1] < loop_module.SWEEP_MS // 2


def test_killed_connections_lose_no_fire(jobs: Jobs, redis: Redis, url: str) -> None:
    """A scheduler whose every connection is cut again and again fires each due instant once."""
    start = server_time(redis) + AHEAD
    with running(url):
        jobs.put(make_job(every="1s", start=start, end=start + 2_500, overlap="allow"))
        for _ in range(20):
            redis.client_kill_filter(_type="normal", skipme=True)
            eventually(lambda: len(redis.client_list(_type="pubsub")) == 1)

        eventually(lambda: len(run_ids(redis)) == 3)

    assert {str(start + late) for late in (0, 1_000, 2_000)} == {run_field(redis, one, "due") for one in run_ids(redis)}


def test_stops_at_once(store: Server, url: str) -> None:
    """A loop that sleeps until the next sweep ends when it is told to."""
    with running(url):
        begun = time.monotonic()

    assert time.monotonic() - begun < 5
    assert 0 == store.redis.hlen(keys.SCHEDULERS)


@pytest.mark.one_server("the nodes of a cluster talk all the time")
def test_idle_loop_asks_nothing(store: Server, redis: Redis) -> None:
    """While nothing is due and nobody wakes it, a wait sends the server no command."""
    loop, stopping = make_loop(store), threading.Event()
    loop.step()
    before = redis.info("stats")["total_commands_processed"]

    loop.wait(stopping)

    assert 1 == redis.info("stats")["total_commands_processed"] - before
    loop.close()


def test_two_schedulers_share(jobs: Jobs, redis: Redis, url: str) -> None:
    """Two schedulers side by side fire each due instant once, on time."""
    with running(url), running(url):
        eventually(lambda: redis.hlen(keys.SCHEDULERS) == 2)
        start = server_time(redis) + AHEAD
        jobs.put_many(make_job(f"j{number}", at=start) for number in range(20))

        eventually(lambda: len(run_ids(redis)) == 20)

    assert 20 == redis.llen(keys.queue(TENANT, TENANT, 0))


@pytest.mark.parametrize("told_by", ["look", "wake"])
def test_survivor_takes_over(store: Server, jobs: Jobs, redis: Redis, told_by: str) -> None:
    """Who comes second for a tenant fires as soon as the first one's counter has stood still for a moment."""
    loop, stopping = make_loop(store), threading.Event()
    me = loop._roster.me  # noqa: SLF001 - it is made of chance
    first = next(name for name in map("dead-{}".format, count()) if goes_first(name, {me}, TENANT))
    redis.hset(keys.SCHEDULERS, first, 1)
    if told_by == "wake":
        loop.step()
    jobs.put(make_job(at=server_time(redis) + AHEAD))

    while not run_ids(redis):
        loop.step()
        loop.wait(stopping)

    still, beat = STILL_S * 1000, BEAT_S * 1000
    assert still - AHEAD - beat <= lateness(redis)[0] < still + 2 * beat + PROMPT
    loop.close()


def test_rescues_dead_workers(store: Server, redis: Redis, url: str) -> None:
    """What a silent worker held is queued again when a lease is over, though no tenant wakes the loop."""
    run_id = enqueue(store)
    worker = HandWorker(store).hello()
    with running(url, lease=600):
        assert [run_id] == [run for run, _ in worker.fetch()]

        eventually(lambda: run_field(redis, run_id, "state") == "queued" and redis.llen(keys.queue(TENANT, TENANT, 0)))


def test_expires_on_time(store: Server, redis: Redis, url: str) -> None:
    """A run that expires while the loop sleeps is ended within a second, without any worker."""
    with running(url):
        run_id = enqueue(store, expires="+100")

        eventually(lambda: run_field(redis, run_id, "state") == "expired")

    fields: Any = redis.hmget(keys.run(TENANT, run_id), "expires", "finished_at")
    assert 0 <= int(fields[1]) - int(fields[0]) < 1_000


def test_server_that_comes_back_empty(binary: ServerBinary, caplog: pytest.LogCaptureFixture) -> None:
    """A scheduler outlives its server, gives the new one its functions and goes on; it says so once."""
    with EmbeddedServer(binary=binary) as own, Redis.from_url(own.url) as redis:
        redis.hset(keys.TENANTS, TENANT, "{}")
        with running(own.url) as loop:
            own.kill()
            eventually(lambda: "server_lost" in caplog.text)
            own.restart()
            eventually(lambda: "server_back" in caplog.text)

            redis.hset(keys.TENANTS, TENANT, "{}")
            jobs = Jobs(loop._server, 1_000)  # noqa: SLF001 - any connection would do
            jobs.put(make_job(every="1h"))
            set_due(redis, make_job(), server_time(redis))
            redis.publish(keys.wake(TENANT), 0)
            eventually(lambda: run_ids(redis))

    assert 1 == caplog.text.count("server_lost")


def test_a_credential_that_is_refused_later_is_tried_again(
    binary: ServerBinary, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that has just taken over may not know its users yet: a scheduler that has worked bears that."""
    with EmbeddedServer(binary=binary) as own, Redis.from_url(own.url) as redis, running(own.url):
        redis.config_set("requirepass", "another")
        redis.client_kill_filter(skipme=True)
        eventually(lambda: "server_lost" in caplog.text)

        redis.config_set("requirepass", own.password)

        eventually(lambda: "server_back" in caplog.text)
    assert "the server refused the login" in caplog.text


def test_a_credential_that_never_worked_ends_it_at_once(url: str) -> None:
    """Waiting mends no wrong password."""
    server = make_server(url.replace("://:", "://:not-"), load=False)

    with pytest.raises(Refused):
        make_loop(server).run(threading.Event())

    server.close()


def test_holds_fire_while_the_clocks_are_apart(
    store: Server, jobs: Jobs, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """A server whose clock is not where we reckon it is asked to fire nothing; that is said once, and no wait spins."""
    loop, stopping = make_loop(store), threading.Event()
    at = time.monotonic()
    loop._clock.take(Reading(server_time(redis) + 3_600_000, at, at, time.time() * 1000))  # noqa: SLF001
    jobs.put(make_job(every="1h"))
    set_due(redis, make_job(), server_time(redis) - 1)

    for _ in range(3):
        assert [] == loop.step().tenants
        began = time.monotonic()
        loop.wait(stopping)
        assert time.monotonic() - began > 0.1

    assert loop.holds_fire
    assert [] == run_ids(redis)
    assert 1 == caplog.text.count("clock_apart by_ms=-3")
    assert 0 == redis.hlen(keys.SCHEDULERS)  # nobody leaves its tenants to it
    loop.close()


def test_says_how_it_is(store: Server, url: str) -> None:
    """What a loop tells of itself: it has not stepped; it serves; it takes no more work."""
    loop = make_loop(store)
    assert State.STARTING is loop.pulse.state

    with running(url) as serving:
        eventually(lambda: serving.pulse.state is State.SERVING)
        assert {"server": "ok", "work": "ok"} == serving.pulse.ready_checks()

    assert State.TAKES_NO_WORK is serving.pulse.state


def test_patience_ends() -> None:
    """A scheduler whose server stays away gives up after its patience, with the server's error."""
    server = make_server(f"redis://127.0.0.1:{free_port()}/0", load=False)
    begun = time.monotonic()

    with pytest.raises(ServerUnavailable, match="no server at 127"):
        make_loop(server, patience=300).run(threading.Event())

    assert 0.3 <= time.monotonic() - begun < 5
