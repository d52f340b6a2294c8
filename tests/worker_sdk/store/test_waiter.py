"""Waiting on bells: a token ends it, and is taken. What else ends it is held by the tests of leases."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from taglane.errors import TaglaneError
from taglane.store import functions
from taglane.store.server import Server
from taglane.store.waiter import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis


def test_one_token_ends_one_wait(url: str, redis: Redis) -> None:
    """Of any of the bells; another waiter goes on waiting."""
    server = Server(url)
    first, second = Waiter(server), Waiter(server)
    with ThreadPoolExecutor(2) as pool:
        waits = [pool.submit(waiter.wait, ["{t}a", "{t}b"], 30.0) for waiter in (first, second)]
        redis.rpush("{t}b", "1")
        while not any(wait.done() for wait in waits):
            time.sleep(0.01)
        assert 1 == sum(wait.done() for wait in waits)
        first.stop()
        second.stop()
    assert 0 == redis.llen("{t}b")
    server.close()


def test_what_is_asked_for_the_end_of_a_wait_is_answered_with_it(url: str, redis: Redis) -> None:
    """After a token, and after the time; an error leaves no connection on which answers could be mixed up."""
    server = Server(url)
    waiter = Waiter(server)
    redis.rpush("a", "1")

    assert b"rung" == waiter.wait(["a"], 30.0, ("ECHO", "rung"))
    assert b"over" == waiter.wait(["a"], 0.01, ("ECHO", "over"))
    with pytest.raises(TaglaneError):
        waiter.wait(["a"], 0.01, ("LPOP",))
    assert b"after" == waiter.wait(["a"], 0.01, ("ECHO", "after"))
    server.close()


def test_nobody_waits_after_a_stop(url: str) -> None:
    """Nor for no time at all."""
    server = Server(url)
    waiter = Waiter(server)
    began = time.monotonic()
    waiter.wait(["a"], 0.0)
    waiter.stop()
    waiter.wait(["a"], 30.0)
    assert time.monotonic() - began < 10
    server.close()


class Hasty:
    """A listener that reads at once, *after* something, whatever has come."""

    def __init__(self, after: Callable[[], object] = lambda: None) -> None:
        self.after = after
        self.read: Any = None

    def listen(self, _: int, read: Callable[[], Any], until: object, heard: object) -> Any:
        del until, heard
        self.after()
        self.read = read()

    def look_up(self) -> None:
        """Never listens for long."""


@pytest.mark.parametrize("there", ["nothing", "half of it"])
def test_a_listener_waits_for_nothing_that_has_not_come(url: str, redis: Redis, there: str) -> None:
    """It may have other things to do: what is missing is for the thread that waits."""
    server = Server(url)
    waiter = Waiter(server)
    redis.delete("{t}a", "{t}b")

    def ring() -> None:
        if there == "half of it":
            redis.rpush("{t}a", "1")
            time.sleep(0.2)

    listener = Hasty(ring)
    threading.Timer(0.5, lambda: redis.rpush("{t}a", "1") and redis.rpush("{t}b", "2")).start()
    began = time.monotonic()

    answer = waiter.wait(["{t}a"], 30.0, ("BLPOP", "{t}b", "30"), listener)

    assert None is listener.read
    assert b"2" == answer[1]
    assert 0.4 < time.monotonic() - began < 10
    redis.delete("{t}a", "{t}b")
    server.close()


class Patient:
    """A listener that hears nothing, until it is told to look up."""

    def __init__(self) -> None:
        self.listens, self.news = threading.Event(), threading.Event()

    def listen(self, _: int, read: object, until: Callable[[], bool], heard: object) -> Any:
        del read, heard
        self.listens.set()
        while not until():
            self.news.wait(10)

    def look_up(self) -> None:
        self.news.set()


@pytest.mark.one_server("its connections are counted")
def test_a_stop_ends_a_wait_with_a_listener_and_opens_no_connection(url: str, redis: Redis) -> None:
    """What it has closed stays so: to log in once more would only take time."""
    server = Server(url)
    waiter, listener = Waiter(server), Patient()
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(waiter.wait, ["a"], 30.0, ("ECHO", "x"), listener)
        assert listener.listens.wait(10)
        before = redis.info("stats")["total_connections_received"]
        waiter.stop()
        assert None is waits.result(5)
    assert before == redis.info("stats")["total_connections_received"]
    server.close()


def clients_of(redis: Redis) -> set[str]:
    return {client["id"] for client in redis.client_list()}


def test_it_asks_where_it_waits(url: str, redis: Redis) -> None:
    """On one connection; after a stop, too: who was asked may have given something."""
    functions.load(redis)
    before = clients_of(redis)
    server = Server(url)
    waiter = Waiter(server)
    waiter.wait(["a"], 0.01)
    waiter.call("hello", "taglane:{acme}:", "w1")
    waiter.stop()

    assert 1 == waiter.call("beat", "taglane:{acme}:", "w1")
    assert 1 == len(clients_of(redis) - before)
    with pytest.raises(TaglaneError):
        waiter.call("nothing", "taglane:{acme}:")
    server.close()
