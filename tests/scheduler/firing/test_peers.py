from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_server, server_time
from hypothesis import given
from hypothesis import strategies as st
from taglane.store import keys
from taglane_scheduler.firing.peers import DEAD_AFTER_S, LEAVE_MS, STILL_S, Peers, goes_first

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane.store.server import Server


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@given(st.sets(st.text(), min_size=1, max_size=8), st.text())
def test_one_goes_first(schedulers: set[str], tenant: str) -> None:
    """For each tenant exactly one scheduler goes first, and all agree on which."""
    assert 1 == sum(goes_first(me, schedulers - {me}, tenant) for me in schedulers)


@given(st.sets(st.text(), min_size=2, max_size=8), st.text())
def test_a_death_moves_only_what_was_its(schedulers: set[str], tenant: str) -> None:
    """When a scheduler is gone, no tenant moves between the others."""
    first = next(me for me in schedulers if goes_first(me, schedulers - {me}, tenant))
    gone = next(me for me in schedulers if me != first)

    assert goes_first(first, schedulers - {first, gone}, tenant)


def test_alone_never_waits(store: Server) -> None:
    """A scheduler without company leaves nothing to others."""
    alone = Peers(store)

    alone.beat(0)

    assert {0} == {alone.delay(f"t{number}") for number in range(50)}


def test_two_share(store: Server) -> None:
    """Of two schedulers one goes first and the other waits, for each tenant."""
    one, two = Peers(store, "one"), Peers(store, "two")
    for peers in (one, two, one):
        peers.beat(0)

    delays = {(one.delay(f"t{number}"), two.delay(f"t{number}")) for number in range(50)}

    assert {(0, LEAVE_MS), (LEAVE_MS, 0)} == delays


def test_who_stands_still_is_inherited_once(store: Server) -> None:
    """What was another's is ours as soon as that one's counter stands still, and its again when it moves."""
    one, two = Peers(store, "one"), Peers(store, "two")
    tenants = [f"t{number}" for number in range(50)]
    for peers in (one, two, one):
        peers.beat(0)
    others = [tenant for tenant in tenants if one.delay(tenant)]
    assert [] == one.inherited(tenants)

    one.beat(STILL_S)

    assert others == one.inherited(tenants)
    assert {0} == {one.delay(tenant) for tenant in tenants}
    one.beat(STILL_S)
    assert [] == one.inherited(tenants)
    two.beat(1)
    one.beat(1)
    assert others == [tenant for tenant in tenants if one.delay(tenant)]


def test_who_serves_nobody_is_not_waited_for(store: Server) -> None:
    """Its tenants are the others' with their next beat, and its own again when it serves."""
    one, two = Peers(store, "one"), Peers(store, "two")
    tenants = [f"t{number}" for number in range(50)]
    for peers in (one, two, one):
        peers.beat(0)
    others = [tenant for tenant in tenants if one.delay(tenant)]

    two.beat(0.2, serves=False)
    one.beat(0.2)

    assert others == one.inherited(tenants)
    assert {0} == {one.delay(tenant) for tenant in tenants}
    two.beat(0.4)
    one.beat(0.4)
    assert others == [tenant for tenant in tenants if one.delay(tenant)]


def test_the_dead_are_struck_out(store: Server, redis: Redis) -> None:
    """A scheduler whose counter stands still is waited for no longer, and leaves nothing behind."""
    one = Peers(store, "one")
    Peers(store, "two").beat(0)

    for second in range(int(DEAD_AFTER_S)):
        one.beat(second)
        assert {"two"} == one.others
    one.beat(DEAD_AFTER_S)

    assert set() == one.others
    assert [b"one"] == redis.hkeys(keys.SCHEDULERS)


def test_a_beat_tells_the_servers_time(store: Server, redis: Redis) -> None:
    """In ms, as everything that is the server's."""
    before = server_time(redis)

    assert before <= Peers(store).beat(0) <= server_time(redis)


def test_leave(store: Server, redis: Redis) -> None:
    """Who ends in order is not waited for at all."""
    peers = Peers(store)
    peers.beat(0)

    peers.leave()

    assert 0 == redis.hlen(keys.SCHEDULERS)
