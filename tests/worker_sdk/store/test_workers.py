"""The list of workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from taglane.errors import ServerUnavailable
from taglane.store import functions, keys
from taglane.store.server import Server
from taglane.store.workers import LARGEST, Workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def server(url: str, redis: Redis) -> Iterator[Server]:
    functions.load(redis)
    for tenant in ("acme", "other"):
        redis.hset(keys.TENANTS, tenant, "{}")
    connection = Server(url)
    yield connection
    connection.close()


def hello(server: Server, worker: str, *, tenant: str = "acme", tags: str = "acme") -> None:
    info = json.dumps({"host": "h", "pid": 7, "slots": 4, "pool": "prefork", "started": 1})
    server.call("hello", tenant, worker, "info", info, "tags", tags, "tasks", '["a.b"]')


def test_a_worker_is_what_it_said_of_itself(server: Server) -> None:
    """With its last heartbeat's time, and how many runs it executed then."""
    hello(server, "w1", tags="acme acme.io")
    server.call("renew", "acme", "w1", 3, 0)

    (worker,) = Workers(server).list("acme")

    assert ("w1", "acme", ("acme", "acme.io"), ("a.b",)) == (worker.id, worker.tenant, worker.tags, worker.tasks)
    assert ("h", 7, 4, "prefork", 3) == (worker.host, worker.pid, worker.slots, worker.pool, worker.active)
    assert worker.silent < 5_000 < worker.last_seen


def test_all_tenants_workers_are_listed_by_tenant_and_id(server: Server) -> None:
    """One that has left is gone."""
    for tenant, worker in (("other", "w3"), ("acme", "w2"), ("acme", "w1"), ("acme", "w4")):
        hello(server, worker, tenant=tenant)
    server.call("leave", "acme", "w4")

    assert ["w1", "w2", "w3"] == [worker.id for worker in Workers(server).list()]


def test_some_runs_that_a_worker_holds(server: Server, redis: Redis) -> None:
    """Of those of one's own choice, any few; a set that its tenant has spoiled reads as none."""
    hello(server, "w1")
    hello(server, "w2", tenant="other")
    redis.sadd(keys.held("acme", "w1"), "acme.1", "acme.2", "acme.3")
    redis.set(keys.held("other", "w2"), "mine")
    workers = Workers(server)

    found = workers.holding(workers.list_of(["acme", "other"]), most=2)

    assert (2, []) == (len(found["acme", "w1"]), [*found["other", "w2"]])


def test_a_tag_is_served_by_who_names_it_whole_and_lives(server: Server, redis: Redis) -> None:
    """No part of a tag counts, nor a worker that has been silent for too long."""
    hello(server, "w1", tags="acme.io")
    hello(server, "w2", tags="acme")
    redis.hset(keys.worker("acme", "w2"), "seen", 1)
    workers = Workers(server)

    assert ["w1"] == [worker.id for worker in workers.serving("acme.io", within=15_000)]
    assert [] == workers.serving("acme.i", within=15_000)
    assert [] == workers.serving("acme", within=15_000)


@pytest.mark.parametrize(
    "fields",
    [
        {"info": "{", "seen": "x"},
        {"info": "[]", "tasks": "5"},
        {"tags": b"\xff"},
        {"active": "many"},
        {"info": "[" * 100_000},
    ],
)
def test_a_tenant_that_spoils_its_own_record_hides_nobody(
    server: Server, redis: Redis, fields: dict[str, str | bytes]
) -> None:
    """What can't be read is empty."""
    hello(server, "w1")
    hello(server, "w2", tenant="other")
    redis.hset(keys.worker("acme", "w1"), mapping=fields)  # type: ignore[arg-type]

    assert ["w1", "w2"] == [worker.id for worker in Workers(server).list()]

    redis.delete(keys.workers("acme"))
    redis.set(keys.workers("acme"), "x")
    assert ["w2"] == [worker.id for worker in Workers(server).list()]


def test_what_a_worker_says_of_itself_is_read_up_to_a_size(server: Server, redis: Redis) -> None:
    """A tenant may write megabytes, and values of any kind: they are left out, and its worker is listed."""
    hello(server, "w1")
    redis.hset(keys.worker("acme", "w1"), "tasks", f'["{"x" * LARGEST}"]')
    hello(server, "w2", tenant="other")
    redis.hset(keys.worker("other", "w2"), "info", '{"host": ["h"], "pid": "7", "slots": {}, "pool": 1}')

    large, odd = Workers(server).list()

    assert ((), (), None) == (large.tags, large.tasks, large.host)
    assert (None, None, None, None) == (odd.host, odd.pid, odd.slots, odd.pool)


def test_a_server_that_is_gone() -> None:
    """No redis error reaches the caller."""
    with pytest.raises(ServerUnavailable):
        Workers(Server("redis://127.0.0.1:1/0")).list("acme")
