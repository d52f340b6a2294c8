from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import make_server
from taglane.errors import ServerUnavailable
from taglane.store import keys
from taglane_scheduler.firing.wakes import MOST, Wake, Wakes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

NEVER = threading.Event()


@pytest.fixture
def wakes(url: str) -> Iterator[Wakes]:
    server = make_server(url, load=False)
    made = Wakes(server)
    yield made
    made.close()
    server.close()


def test_wakes_of_all_tenants(wakes: Wakes, redis: Redis) -> None:
    """The wakes of every tenant are heard, in order, and no other channel."""
    wakes.subscribe()
    redis.publish(keys.wake("acme"), 5)
    redis.publish(keys.done("acme", "acme.1"), 6)
    redis.publish(keys.wake("globex"), 1_795_348_800_000)

    heard: list[Wake] = []
    while len(heard) < 2:
        heard += wakes.wait(5, NEVER)
    assert [Wake("acme", 5), Wake("globex", 1_795_348_800_000)] == heard


def test_wait_lasts_until_its_time(wakes: Wakes) -> None:
    """A wait without a wake ends when its time is over, to the millisecond or so, and not before."""
    wakes.subscribe()
    begun = time.monotonic()

    assert [] == wakes.wait(0.45, NEVER)

    assert 0.45 <= time.monotonic() - begun < 0.65


@pytest.mark.parametrize("seconds", [0, -5])
def test_no_time_takes_what_is_there(wakes: Wakes, redis: Redis, seconds: float) -> None:
    """Who has no time to wait still gets the wakes that are there."""
    wakes.subscribe()
    redis.publish(keys.wake("acme"), 0)

    assert [Wake("acme", 0)] == eventually(lambda: wakes.wait(seconds, NEVER))
    assert [] == wakes.wait(seconds, NEVER)


def test_stopping_ends_a_wait(wakes: Wakes) -> None:
    """Whoever is to stop does not wait to the end."""
    wakes.subscribe()
    stopping = threading.Event()
    stopping.set()
    begun = time.monotonic()

    wakes.wait(30, stopping)

    assert time.monotonic() - begun < 5


def test_flood_comes_in_parts(wakes: Wakes, redis: Redis) -> None:
    """A tenant that publishes without end does not keep a wait from returning."""
    wakes.subscribe()
    pipeline = redis.pipeline(transaction=False)
    for number in range(MOST + 5):
        pipeline.publish(keys.wake("acme"), number)
    pipeline.execute()

    parts: list[int] = []
    while sum(parts) < MOST + 5:
        parts.append(len(wakes.wait(5, NEVER)))
    assert max(parts) <= MOST


def test_lost_connection_is_an_error(wakes: Wakes, redis: Redis) -> None:
    """A connection that was cut is never replaced in silence: wakes may be lost, and the caller reads all anew."""
    wakes.subscribe()
    redis.client_kill_filter(_type="pubsub")

    with pytest.raises(ServerUnavailable):
        wakes.wait(5, NEVER)


def test_replaced_connection_is_an_error(wakes: Wakes) -> None:
    """Nor may redis-py replace it by itself: a second confirmation means that there was a gap."""
    wakes.subscribe()
    pubsub = wakes._listening._pubsub  # noqa: SLF001 - what redis-py does when it reconnects
    assert pubsub is not None
    pubsub.psubscribe(keys.WAKE_ALL)

    with pytest.raises(ServerUnavailable, match="made anew"):
        wakes.wait(5, NEVER)


def test_subscribe_again(wakes: Wakes, redis: Redis) -> None:
    """After an error a new subscription hears again; the old one is closed."""
    wakes.subscribe()
    wakes.subscribe()
    redis.publish(keys.wake("acme"), 0)

    assert [Wake("acme", 0)] == wakes.wait(5, NEVER)
    assert 1 == redis.pubsub_numpat()


def test_wait_without_a_subscription(wakes: Wakes) -> None:
    """Who is not subscribed is told so: he would wait for nothing."""
    with pytest.raises(ServerUnavailable, match="no subscription"):
        wakes.wait(5, NEVER)
