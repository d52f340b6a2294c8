"""Connections and bandwidth, tenant by tenant, as the server's list of connections has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_server
from scheduler.care.conftest import connections
from taglane.errors import OperatorNeeded, Refused, ServerUnavailable
from taglane.store.server import Server, connect
from taglane_scheduler.care.traffic import Traffic, TrafficMeter
from taglane_scheduler.tenancy.tenants import Tenants, url_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def acme(store: Server) -> str:
    return Tenants(store).create("acme").url


@pytest.fixture
def counts(redis: Redis) -> bool:
    """Whether the server counts the bytes of a connection."""
    return "tot-net-in" in redis.client_info()


class Clock:
    """A monotonic clock, s, that moves by ten at each reading."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        self.at += 10
        return self.at


def test_connections_are_counted_by_tenant(store: Server, acme: str) -> None:
    """One whose name starts with another's is not that one; the operator's are nobody's."""
    beside = Tenants(store).create("acme1").url
    with connections(acme, 5), connections(beside, 2):
        found = TrafficMeter(store).read()

    assert {"acme": 5, "acme1": 2} == {tenant: len(traffic.ids) for tenant, traffic in found.items()}
    assert all(traffic.memory > 1_000 for traffic in found.values())
    assert found["acme"].ids == sorted(found["acme"].ids)


def test_bandwidth_is_what_moved_between_two_looks(store: Server, acme: str, counts: bool) -> None:
    """Both ways, per second; at the first look it is not known, and on a server that does not count, never."""
    meter = TrafficMeter(store, Clock())
    with connect(acme) as client:
        client.ping()
        first = meter.read()["acme"].bandwidth
        client.set("taglane:{acme}:x", b"x" * 1_000_000)
        second = meter.read()["acme"].bandwidth
        third = meter.read()["acme"].bandwidth

    assert first is None
    assert (pytest.approx(100_000, rel=0.01) if counts else None) == second
    assert (0 if counts else None) == third


def test_a_new_connections_bytes_count(store: Server, acme: str, counts: bool) -> None:
    """One that was opened since the look before has moved all that it has moved since then."""
    meter = TrafficMeter(store, Clock())
    meter.read()
    with connect(acme) as client:
        client.set("taglane:{acme}:x", b"x" * 1_000_000)
        found = meter.read()["acme"].bandwidth

    assert (pytest.approx(100_000, rel=0.01) if counts else None) == found


def test_a_client_cant_be_another_by_its_name(store: Server, redis: Redis) -> None:
    """What a client calls itself is no user."""
    redis.execute_command("CLIENT", "SETNAME", "user=taglane-acme,tot-mem=1")  # type: ignore[no-untyped-call]
    assert {} == TrafficMeter(store).read()


def test_an_operators_user_of_any_name_is_passed_over(store: Server, redis: Redis, url: str) -> None:
    """The server lets an operator call a user what he likes."""
    redis.execute_command("ACL", "SETUSER", "taglane-é", "on", ">p", "+@all", "~*")  # type: ignore[no-untyped-call]
    with connections(url_for(url, "taglane-é", "p"), 1):
        (name,) = TrafficMeter(store).read()
    assert not name.isascii()
    redis.execute_command("ACL", "DELUSER", "taglane-é")  # type: ignore[no-untyped-call]


def test_who_may_not_list_is_told(redis: Redis, url: str, acme: str) -> None:
    """A tenant; an operator on a server that lets nobody list; and nobody answers."""
    redis.execute_command("ACL", "SETUSER", "ops", "on", ">p", "~*", "+@all", "-client")  # type: ignore[no-untyped-call]
    for address, error in (
        (acme, OperatorNeeded),
        (url_for(url, "ops", "p"), Refused),
        ("redis://127.0.0.1:1", ServerUnavailable),
    ):
        server = Server(address)
        with pytest.raises(error):
            TrafficMeter(server).read()
        server.close()


def test_traffic_of_nobody() -> None:
    assert Traffic(ids=[], memory=0, bandwidth=None) == Traffic()
