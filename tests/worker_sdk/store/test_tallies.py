"""Reading what ledgers have counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import enqueue, make_server
from taglane.errors import LibraryMissing, OperatorNeeded, ParamsOverLimit, QueueFull, ServerUnavailable
from taglane.model.usage import day_of, key_day
from taglane.store import keys
from taglane.store.runs import NewRun, Runs
from taglane.store.server import Server
from taglane.store.tallies import Tallies
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


def test_todays_counts_and_those_of_the_day_read_last(store: Server, redis: Redis) -> None:
    """The other day's are told where it is another day, so that what came in between is not missed."""
    redis.hset(keys.ledger("acme", "20200101"), mapping={"made": 3, "wait:2": 1})
    enqueue(store)
    tallies = Tallies(store)
    today = key_day(day_of(redis.time()[0] * 1000))

    first = tallies.read({"acme": "20200101", "globex": ""})

    assert (today, {"made": 1}, {"made": 3, "wait:2": 1}) == first["acme"]
    assert (today, {}, {}) == first["globex"]
    assert {} == tallies.read({"acme": today})["acme"].before


def test_what_its_tenant_has_spoiled_is_absent(store: Server, redis: Redis) -> None:
    """A text, a number that is too long, another kind of key: nothing of it is read, nor hides another tenant's."""
    today = key_day(day_of(redis.time()[0] * 1000))
    spoiled: dict[str | bytes, str | int] = {
        "made": "1" * 16,
        "failed": "x",
        "dead": "-4",
        "else": 1,
        "fired": 7,
        "expired": "1e9",
    }
    redis.hset(keys.ledger("acme", today), mapping=spoiled)  # type: ignore[arg-type]
    redis.set(keys.ledger("globex", today), "other")
    enqueue(store, "initech")

    read = Tallies(store).read(dict.fromkeys(("acme", "globex", "initech"), ""))

    assert {"fired": 7, "dead": 0, "expired": 1_000_000_000} == read["acme"].counts
    assert {} == read["globex"].counts
    assert 1 == read["initech"].counts["made"]


def test_a_limit_that_is_in_the_way_is_counted(store: Server) -> None:
    """Each refused call, whatever it was to make."""
    store.call("govern", "acme", "queued", 1, "payload", 10_000)
    runs = Runs(store)
    runs.make("acme", [NewRun("acme.1", "a.b", "acme", "{}")])

    for run in ("acme.2", "acme.3"):
        with pytest.raises(QueueFull):
            runs.make("acme", [NewRun(run, "a.b", "acme", "{}")])
    store.call("govern", "acme", "queued", 9)
    with pytest.raises(ParamsOverLimit):
        runs.make("acme", [NewRun("acme.4", "a.b", "acme", "x" * 10_001)])

    counts = Tallies(store).read({"acme": ""})["acme"].counts
    assert (1, 2, 1) == (counts["made"], counts["hit:queued"], counts["hit:payload"])


def test_only_the_operator_reads_them(store: Server) -> None:
    """A tenant's credential is told so, not given nothing."""
    tenant = Server(Tenants(store).create("acme").url)

    with pytest.raises(OperatorNeeded):
        Tallies(tenant).read({"acme": ""})
    tenant.close()


def test_a_server_that_can_t_answer_is_an_error(store: Server, redis: Redis) -> None:
    """Of none of the tenants anything is known then."""
    redis.function_flush()

    with pytest.raises((LibraryMissing, ServerUnavailable)):
        Tallies(store).read({"acme": ""})
    assert {} == Tallies(store).read({})
