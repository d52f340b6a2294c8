"""The thread that says how runs ended and keeps the leases, against a real server."""

from __future__ import annotations

import time
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import HandWorker, enqueue, make_server, run_field
from proxy import Proxy
from taglane.errors import Refused
from taglane.runtime import sender as module
from taglane.runtime.carry import Outcome
from taglane.runtime.holdings import Holdings
from taglane.runtime.pace import FRESH
from taglane.runtime.patience import Patience
from taglane.runtime.pulse import Pulse, State
from taglane.runtime.sender import BUSY_BEAT, MARK_AFTER, NEAR, Sender
from taglane.runtime.standing import Standing
from taglane.store import keys
from taglane.store.leases import Leases
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane_scheduler.embedded import ServerBinary

LEASE = 1.0
SUCCEEDED = Outcome("succeeded", '{"r":7}')


class Worker:
    """All of a worker but its fetcher and its pool: a test fetches and takes by hand."""

    def __init__(self, url: str, name: str = "w1", lease: float = LEASE) -> None:
        self.leases = Leases(Server(url), "acme", name)
        self.leases.hello({}, ["acme"], [])
        self.held = Holdings(lease=lease, batch=64)
        self.given_up: list[str] = []
        self.standing = Standing()
        self.sender = Sender(self.held, self.leases, Patience(60.0, self.given_up.append), standing=self.standing)
        self.held.serve(10)

    def fetch(self) -> list[str]:
        answer = self.leases.fetch(64, ["acme"], idle=True)
        assert answer is not None
        self.held.receive(answer[1])
        return [delivery.run for delivery in answer[1]]

    def begin(self) -> str:
        """Take the next run, and let the pool execute it."""
        delivery = self.held.take()
        assert delivery is not None
        self.held.applied(delivery.run)
        self.held.began(delivery.run)
        return delivery.run


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def worker(store: Server) -> Iterator[Worker]:
    worker = Worker(store.url)
    yield worker
    worker.sender.stop(5)


def state_of(redis: Redis, run_id: str) -> str | None:
    return run_field(redis, run_id, "state")


def has_succeeded(redis: Redis, run_id: str) -> bool:
    return state_of(redis, run_id) == "succeeded"


def beat_of(redis: Redis, name: str = "w1") -> int:
    counter: Any = redis.hget(keys.worker("acme", name), "beat")
    return int(counter)


def test_it_begins_with_a_heartbeat_and_goes_on(worker: Worker, redis: Redis) -> None:
    """Several in a lease."""
    assert 0 == beat_of(redis)
    start = time.monotonic()
    worker.sender.start()

    eventually(lambda: beat_of(redis) == 1, LEASE / 2)
    eventually(lambda: beat_of(redis) == 5)
    assert 0.7 * LEASE < time.monotonic() - start


def test_a_worker_that_can_say_and_not_fetch_takes_no_work(store: Server) -> None:
    """Its heartbeat may use a connection from before its password was changed: it is not ready for all that."""
    worker, pulse, patience = Worker(store.url), Pulse(), Patience(60.0, lambda _: None)
    worker.sender = Sender(worker.held, worker.leases, patience, pulse)
    patience.bear(Refused("the login"))  # as the thread that fetches does: here it is this one
    worker.sender.start()
    try:
        eventually(lambda: pulse.state is State.TAKES_NO_WORK)
        assert patience.restore()
        eventually(lambda: pulse.state is State.SERVING)
    finally:
        worker.sender.stop(5)


def test_an_end_is_said_at_once(worker: Worker, store: Server, redis: Redis) -> None:
    """Without waiting for a heartbeat."""
    made = [enqueue(store) for _ in range(3)]
    worker.fetch()
    worker.sender.start()

    for run_id in made:
        worker.begin()
        worker.held.settle(run_id, SUCCEEDED)
        eventually(partial(has_succeeded, redis, run_id), LEASE / 4)


def test_many_ends_are_said_in_a_few_steps(worker: Worker, store: Server, redis: Redis) -> None:
    """Those of a busy worker come together."""
    made = [enqueue(store) for _ in range(50)]
    worker.fetch()
    redis.config_resetstat()
    worker.sender.start()
    for _ in made:
        worker.held.settle(worker.begin(), SUCCEEDED)

    eventually(lambda: all(state_of(redis, run_id) == "succeeded" for run_id in made))
    stats: Any = redis.info("commandstats")
    assert stats["cmdstat_fcall"]["calls"] < 25


def test_a_run_that_goes_on_is_shown(worker: Worker, store: Server, redis: Redis) -> None:
    """Soon after its start, before the next heartbeat would be; with when it started."""
    run_id = enqueue(store)
    worker.fetch()
    worker.sender.start()
    eventually(lambda: beat_of(redis) > 0)
    worker.begin()

    eventually(lambda: state_of(redis, run_id) == "running", MARK_AFTER + LEASE / 2)
    started = run_field(redis, run_id, "started_at")
    assert started is not None
    seconds, micros = redis.time()
    assert 0 <= seconds * 1000 + micros // 1000 - int(started) < 5_000


def test_what_the_server_gave_to_others_is_lost(worker: Worker, store: Server, redis: Redis) -> None:
    """What waits here is dropped, what executes ends unheard."""
    first, second = enqueue(store), enqueue(store)
    worker.fetch()
    worker.begin()
    for run_id in (first, second):
        redis.hincrby(keys.run("acme", run_id), "token", 1)
    worker.sender.start()

    eventually(lambda: [first] == worker.held.all_runs())
    worker.held.settle(first, SUCCEEDED)
    after = beat_of(redis)
    eventually(lambda: beat_of(redis) > after + 1)
    assert "succeeded" != state_of(redis, first)


def test_children_learn_of_renewals_and_losses(worker: Worker, store: Server, redis: Redis) -> None:
    """What was given to one before a loss is not to begin any more; while nothing is lost, all may."""
    run_id = enqueue(store)
    worker.fetch()
    given = worker.standing.losses
    worker.sender.start()
    eventually(lambda: beat_of(redis) > 2)
    assert worker.standing.is_sure(given)

    redis.hincrby(keys.run("acme", run_id), "token", 1)

    eventually(lambda: worker.standing.losses > given)
    assert not worker.standing.is_sure(given)
    eventually(lambda: worker.standing.is_sure(worker.standing.losses))


class Noting(Standing):
    """One that notes how long ago each renewal was asked for when it was heard."""

    def __init__(self) -> None:
        self.ages: list[float] = []
        super().__init__()

    def renew(self, until: float) -> None:
        self.ages.append(time.monotonic() - (until - LEASE * FRESH))
        super().renew(until)


def test_a_renewal_counts_from_when_it_was_asked_for(binary: ServerBinary) -> None:
    """Its answer may have come late, and says nothing of what the server did since."""
    with EmbeddedServer(binary=binary) as embedded:
        store = make_server(embedded.url)
        worker = Worker(store.url)
        noting = Noting()
        worker.sender = Sender(worker.held, worker.leases, Patience(60.0, worker.given_up.append), standing=noting)
        embedded.freeze()
        worker.sender.start()  # with a heartbeat, which is answered when the server goes on
        Event().wait(LEASE)
        embedded.thaw()
        eventually(lambda: max(noting.ages) > LEASE / 2)
        worker.sender.stop(5)
        store.close()


def test_cancels_come_with_a_heartbeat(worker: Worker, store: Server, redis: Redis) -> None:
    """What waits here ends, what executes is passed on to the pool."""
    asked: list[str] = []
    worker.held.on_cancel = asked.append
    running, waiting = enqueue(store), enqueue(store)
    worker.fetch()
    worker.begin()
    worker.sender.start()

    for run_id in (running, waiting):
        assert b"asked" == store.call("cancel", "acme", run_id, "no more")

    eventually(lambda: state_of(redis, waiting) == "cancelled")
    eventually(lambda: {running} == set(asked))


def test_who_was_given_up_for_dead_begins_anew(worker: Worker, store: Server, redis: Redis) -> None:
    """All it held is lost, and it enters again."""
    run_id = enqueue(store)
    worker.fetch()
    store.call("rescue", "acme", "w1", "0")
    worker.sender.start()

    eventually(worker.held.is_idle)
    eventually(lambda: redis.exists(keys.worker("acme", "w1")))
    assert [run_id] == eventually(worker.fetch)


def test_a_dead_workers_runs_are_taken_over(worker: Worker, store: Server, redis: Redis) -> None:
    """Its counter stood still for a lease; a living one's moves, and it keeps its own."""
    dead, living = HandWorker(store, id="dead").hello(), HandWorker(store, id="living").hello()
    of_dead = enqueue(store)
    dead.fetch(1)
    of_living = enqueue(store)
    living.fetch(1)
    worker.sender.start()

    eventually(lambda: living.beat() and not redis.exists(keys.worker("acme", "dead")))
    assert [of_dead] == worker.fetch()
    assert "living" == run_field(redis, of_living, "holder")
    assert 1 == living.finish([(of_living, 1)])[0]


def test_of_many_workers_that_are_dead_all_are_found(worker: Worker, store: Server, redis: Redis) -> None:
    """It looks after the next few alone, until one of these is silent: then after all."""
    dead = [HandWorker(store, id=f"dead-{number}").hello() for number in range(3 * NEAR)]
    worker.sender.start()

    eventually(lambda: redis.smembers(keys.workers("acme")) == {b"w1"})

    assert [0] * len(dead) == [each.beat() for each in dead]


@pytest.mark.one_server("through a proxy, which a node does not announce")
def test_a_lost_reply_is_said_again(server: EmbeddedServer, store: Server, redis: Redis) -> None:
    """Nothing that was said twice does harm: one end, one count."""
    run_id = enqueue(store)
    with Proxy(server.port) as proxy:
        worker = Worker(server.url.replace(f":{server.port}/", f":{proxy.port}/"))
        worker.fetch()
        worker.sender.start()
        proxy.lose_reply_to(b"taglane_finish")
        worker.begin()
        worker.held.settle(run_id, SUCCEEDED)
        eventually(lambda: proxy.lost == 1)
        eventually(lambda: state_of(redis, run_id) == "succeeded")
        before = beat_of(redis)
        eventually(lambda: beat_of(redis) > before)
        worker.sender.stop(5)
    assert [] == worker.given_up
    assert "1" == run_field(redis, run_id, "token")


def test_stop_says_what_is_unsaid(worker: Worker, store: Server, redis: Redis) -> None:
    """More than one step takes, too."""
    made = [enqueue(store) for _ in range(60)]
    worker.fetch()
    worker.sender.start()
    for _ in made:
        worker.held.settle(worker.begin(), SUCCEEDED)

    worker.sender.stop(10)

    assert {"succeeded"} == {state_of(redis, run_id) for run_id in made}


def test_stop_does_not_wait_for_ever(
    binary: ServerBinary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that is gone is tried for a while from then on, and what stays unsaid is counted in the log."""
    monkeypatch.setattr(module, "FAREWELL", 0.5)
    with EmbeddedServer(binary=binary) as server:
        run_id = enqueue(make_server(server.url))
        worker = Worker(server.url)
        worker.fetch()
        worker.sender.start()
        worker.begin()
        server.kill()
        worker.held.settle(run_id, SUCCEEDED)
        eventually(lambda: "server_gone" in caplog.text)
        start = time.monotonic()
        worker.sender.stop(5)
        assert 0.5 <= time.monotonic() - start < 3
    assert "unsaid calls=1" in caplog.text


def test_a_busy_worker_hears_of_cancels_soon(store: Server, redis: Redis) -> None:
    """With a long lease too: while something is executed, a heartbeat comes each second."""
    worker = Worker(store.url, lease=60.0)
    run_id = enqueue(store)
    worker.fetch()
    worker.sender.start()
    worker.begin()
    eventually(lambda: state_of(redis, run_id) == "running")
    asked: list[str] = []
    worker.held.on_cancel = asked.append
    store.call("cancel", "acme", run_id, "no more")

    eventually(lambda: [run_id] == asked[:1], BUSY_BEAT + 1.0)
    worker.sender.stop(5)


def test_who_was_given_up_in_a_tenant_that_is_gone_does_not_enter_again(store: Server, redis: Redis) -> None:
    """With the operator's credential it could: it ends instead."""
    redis.hset(keys.TENANTS, "acme", '{"created": 1, "password_hashes": ["x"]}')
    worker = Worker(store.url)
    gone: list[str] = []
    worker.sender.on_tenant_gone = gone.append
    redis.hset(keys.TENANTS, "acme", '{"created": 1, "password_hashes": []}')
    redis.delete(keys.worker("acme", "w1"))
    worker.sender.start()

    eventually(lambda: len(gone) == 1)
    assert not redis.exists(keys.worker("acme", "w1"))
    worker.sender.stop(5)


def test_an_end_that_the_server_never_takes_holds_up_no_other(binary: ServerBinary) -> None:
    """It is said in a smaller way; what was to be said with it is heard."""
    with EmbeddedServer(binary=binary) as server:
        store = make_server(server.url)
        store.redis.config_set("proto-max-bulk-len", 1_048_576)
        made = [enqueue(store) for _ in range(3)]
        worker = Worker(server.url)
        worker.fetch()
        for run_id, size in zip(made, (1, 1_100_000, 1), strict=True):
            worker.begin()
            worker.held.settle(run_id, Outcome("succeeded", f'{{"r":"{"x" * size}"}}'))
        worker.sender.start()

        eventually(lambda: ["succeeded", "failed", "succeeded"] == [state_of(store.redis, run) for run in made], 20)
        worker.sender.stop(5)
        assert [] == worker.given_up
        store.close()
