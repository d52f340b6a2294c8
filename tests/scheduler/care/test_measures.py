from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_server
from taglane.errors import OperatorNeeded
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.care.measures import Measure, Measures
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


def make_measure(tenant: str, *, data: int | None = 7, buffers: int | None = 5) -> Measure:
    return Measure(tenant, connections=2, bandwidth=1.5, data=data, buffers=buffers, at=1_000)


def test_what_is_put_is_read(store: Server, redis: Redis) -> None:
    """By tenant; the last one counts; garbage is none."""
    measures = Measures(store)
    measures.put([make_measure("beta"), make_measure("acme", data=1)])
    measures.put([make_measure("acme", data=None)])
    measures.put([])
    redis.hset(keys.WATCH, "bad", "[]")

    assert [make_measure("acme", data=None), make_measure("beta")] == measures.list()
    assert make_measure("beta") == measures.get("beta")
    assert measures.get("bad") is None
    assert measures.get("nobody") is None


def test_the_others_are_forgotten(store: Server) -> None:
    measures = Measures(store)
    measures.put([make_measure("acme"), make_measure("gone")])

    measures.forget_others({"acme", "new"})
    measures.forget_others({"acme"})

    assert [make_measure("acme")] == measures.list()


@pytest.mark.parametrize(("data", "buffers", "memory"), [(7, 5, 12), (None, 5, 5), (7, None, 7), (None, None, None)])
def test_memory_is_data_and_connections(data: int | None, buffers: int | None, memory: int | None) -> None:
    """As far as they are known."""
    assert memory == make_measure("acme", data=data, buffers=buffers).memory


def test_tenants_see_no_measures(store: Server) -> None:
    """Not even their own: they lie with those of all others."""
    tenant = Server(Tenants(store).create("acme").url)
    with pytest.raises(OperatorNeeded):
        Measures(tenant).list()
    with pytest.raises(OperatorNeeded):
        Measures(tenant).get("acme")
    tenant.close()
