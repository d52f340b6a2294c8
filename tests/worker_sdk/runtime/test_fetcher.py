"""The thread that fills the inbox, against a real server."""

from __future__ import annotations

import select
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import enqueue, make_server
from taglane.model.names import new_run_id
from taglane.runtime.ear import make
from taglane.runtime.fetcher import WAIT, Fetcher
from taglane.runtime.holdings import Holdings
from taglane.runtime.pace import STALE
from taglane.runtime.patience import Patience
from taglane.store import keys
from taglane.store.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane.runtime.ear import Ear
    from taglane.store.server import Server


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def leases(store: Server) -> Leases:
    leases = Leases(store, "acme", "w1")
    leases.hello({}, ["acme", "acme.io"], [])
    return leases


@pytest.fixture(params=["by itself", "with a loop", "with a loop that is gone"])
def held(request: pytest.FixtureRequest) -> Iterator[Holdings]:
    """Of a worker whose main loop hears for itself, and of others."""
    held = Holdings(lease=15.0, batch=8)
    if request.param == "by itself":
        yield held
        return
    held.ear = ear = make()
    assert ear is not None
    stop = threading.Event()
    loop = threading.Thread(target=turn, args=(ear, stop))
    if request.param == "with a loop":
        loop.start()
    else:
        ear.close()
    yield held
    stop.set()
    if loop.is_alive():
        loop.join()
        ear.close()


def turn(ear: Ear, stop: threading.Event) -> None:
    """What the main loop does, as far as that goes."""
    while not stop.is_set():
        if select.select([ear.fileno()], [], [], 0.05)[0]:
            ear.hear()


@pytest.fixture
def given_up() -> list[str]:
    return []


@pytest.fixture
def fetcher(held: Holdings, leases: Leases, given_up: list[str]) -> Fetcher:
    """Of a worker whose patience ends with the first error."""
    return Fetcher(held, leases, ["acme", "acme.io"], Patience(-1.0, given_up.append))


@contextmanager
def running(fetcher: Fetcher) -> Iterator[None]:
    fetcher.start()
    try:
        yield
    finally:
        fetcher.stop(5)


def is_waiting(redis: Redis) -> bool:
    return bool(redis.info("clients")["blocked_clients"])


def test_a_step_leases_as_many_as_are_wanted(fetcher: Fetcher, held: Holdings, store: Server) -> None:
    """When it got them all there may be more: it does not wait. When it got fewer, it waits for a bell."""
    made = [enqueue(store) for _ in range(5)]
    held.serve(5)

    assert 0.0 == fetcher.step(3)
    assert made[:3] == held.all_runs()
    assert fetcher.step(3) == WAIT
    assert made == held.all_runs()
    assert fetcher.step(3) == WAIT
    held.serve(4)
    assert fetcher.step(3) < STALE


def test_a_step_without_work_waits_for_what_is_delayed(fetcher: Fetcher, store: Server) -> None:
    """Not longer than until the first of it is due, of any tag; for what is due later than that, for a bell."""

    def waits(at: str, tag: str) -> float:
        store.call("enqueue", "acme", new_run_id("acme"), "a.b", tag, 0, "{}", at, "", "", "")
        return fetcher.step(1)

    assert waits("+60000", "acme") == WAIT
    assert 1.0 < waits("+2000", "acme.io") <= 2.0
    assert waits("+1000", "acme") <= 1.0


def test_an_unknown_worker_is_introduced_again(fetcher: Fetcher, held: Holdings, store: Server) -> None:
    """The fetcher leaves that to the sender, and asks again soon."""
    store.call("rescue", "acme", "w1", "0")

    assert fetcher.step(1) < 1
    assert held.must_renew


def test_a_run_that_is_to_be_alone_waits_for_an_idle_worker(fetcher: Fetcher, held: Holdings, store: Server) -> None:
    """Only a worker that holds nothing says that it is idle."""
    poison = enqueue(store)
    store.redis.hset(keys.run("acme", poison), "rescues", 2)
    held.serve(1)
    first = enqueue(store)
    store.redis.rpush(keys.queue("acme", "acme", 0), store.redis.lpop(keys.queue("acme", "acme", 0)))

    fetcher.step(1)
    assert [first] == held.all_runs()
    assert fetcher.step(1) < 1
    held.take()
    held.settle(first, None)
    fetcher.step(1)
    assert [poison] == held.all_runs()


def test_the_thread_serves_as_long_as_it_is_told(fetcher: Fetcher, held: Holdings, store: Server, redis: Redis) -> None:
    """Nothing before; what waits at once, what comes when its bell rings; nothing after."""
    first = enqueue(store)
    with running(fetcher):
        assert held.is_idle()
        held.serve(1)
        eventually(lambda: [first] == held.all_runs())
        assert held.take()
        eventually(lambda: is_waiting(redis))
        second = enqueue(store)
        eventually(lambda: second in held.all_runs(), WAIT / 2)

        eventually(lambda: is_waiting(redis))
        held.stop_serving()
        enqueue(store)
        eventually(lambda: not is_waiting(redis))
        assert [first] == held.all_runs()


def test_what_a_loop_does_not_come_to_hear_is_read_all_the_same(
    leases: Leases, store: Server, given_up: list[str]
) -> None:
    """One that is in its place, and stands still: a little after the wait should have ended."""
    held = Holdings(lease=15.0, batch=8)
    held.ear = make()
    held.serve(1)
    fetcher = Fetcher(held, leases, ["acme"], Patience(-1.0, given_up.append))
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(fetcher.step, 1, 0.5)
        run_id = enqueue(store)
        step.result(10)

    assert [run_id] == held.all_runs()


def test_what_comes_of_taking_in_is_the_fetchers(
    leases: Leases, store: Server, given_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has read it: the loop goes on."""
    held = Holdings(lease=15.0, batch=8)
    held.ear = ear = make()
    assert ear is not None
    monkeypatch.setattr(held, "receive", lambda _: 1 / 0)
    fetcher = Fetcher(held, leases, ["acme"], Patience(-1.0, given_up.append))
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(fetcher.step, 1, 20.0)
        enqueue(store)
        select.select([ear.fileno()], [], [], 10)
        ear.hear()
        with pytest.raises(ZeroDivisionError):
            step.result(10)


def test_it_stops_at_once(fetcher: Fetcher, held: Holdings, redis: Redis) -> None:
    """A wait on the server is broken off, without a word of a server that is gone."""
    held.serve(1)
    fetcher.start()
    eventually(lambda: is_waiting(redis))
    start = time.monotonic()

    fetcher.stop(WAIT)

    assert time.monotonic() - start < 2


def test_it_stops_at_once_whenever_that_is(store: Server, given_up: list[str]) -> None:
    """Also between a fetch and the wait that follows it."""
    for _ in range(20):
        leases = Leases(store, "acme", "w1")
        leases.hello({}, ["acme"], [])
        held = Holdings(lease=15.0, batch=8)
        held.serve(1)
        fetcher = Fetcher(held, leases, ["acme"], Patience(60.0, given_up.append))
        fetcher.start()
        start = time.monotonic()
        fetcher.stop(WAIT)
        assert time.monotonic() - start < 2
    assert [] == given_up


def test_a_server_that_is_gone_is_borne(
    fetcher: Fetcher, held: Holdings, redis: Redis, store: Server, given_up: list[str]
) -> None:
    """Its patience knows of each failure; when the server is back the thread goes on by itself."""
    held.serve(1)
    with running(fetcher):
        eventually(lambda: is_waiting(redis))
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]

        eventually(lambda: given_up)
        run_id = enqueue(make_server(store.url))
        eventually(lambda: [run_id] == held.all_runs())


def test_what_lies_too_long_goes_back(fetcher: Fetcher, held: Holdings, store: Server) -> None:
    """One run executes for long, and another was fetched with it: the other is for another worker, soon."""
    for _ in range(2):
        enqueue(store)
    held.serve(1)
    with running(fetcher):
        eventually(lambda: len(held.all_runs()) == 2)
        assert held.take()

        def handed_back() -> bool:
            with held.lock:
                return any(move == "hand_back" for move, _ in held.pack(9))

        eventually(handed_back, 2 * STALE)
