"""What a worker does with runs that it can't execute: it never stops for one."""

from __future__ import annotations

import json
import os
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import make_server
from processes import WorkerProcess
from taglane import Taglane
from taglane.errors import RunFailed
from taglane.model.names import new_run_id
from taglane.runtime import current
from taglane.runtime.holdings import Holdings
from taglane.runtime.transport import Transport
from taglane.store import keys
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redis import Redis

WORK = "faulty.celery.work"
POOLS = ("prefork", "threads", "solo")

UNREADABLE = [
    "",
    "{",
    "null",
    "5",
    "[]",
    '"text"',
    "{}",
    '{"h":{}}',
    '{"b":5}',
    '{"b":null}',
    '{"b":"not JSON"}',
    '{"b":"{}"}',
    '{"b":"[]"}',
    '{"b":"[1,2,3]"}',
    '{"b":"[[],5,{}]"}',
    '{"b":"[5,{},{}]"}',
    '{"b":"[[],{},5]"}',
    '{"b":"[[],{},{}]","h":5}',
    '{"b":"[[],{},{}]","p":[1]}',
    "[" * 100_000,
    '{"b":"' + "[" * 100_000 + '"}',
]
"""What may stand in an envelope that a tenant wrote itself."""


@pytest.fixture
def acme(url: str) -> Iterator[Taglane]:
    operator = make_server(url)
    lane = Taglane(Tenants(operator).create("acme").url)
    yield lane
    lane.close()
    operator.close()


@pytest.fixture
def start(acme: Taglane, tmp_path: Path) -> Callable[..., WorkerProcess]:
    """Makes workers of the tenant."""

    def make(pool: str = "solo", app: str | None = "faulty.celery") -> WorkerProcess:
        return WorkerProcess(acme.server.url, ["acme"], app, pool, 2, {"FAULTY_LOG": str(tmp_path / "log")})

    return make


def enqueue(acme: Taglane, envelope: str) -> str:
    run_id = new_run_id("acme")
    acme.server.call("enqueue", "acme", run_id, WORK, "acme", 0, envelope, "", "", "", "")
    return run_id


class Loop:
    """What a transport asks of an event loop."""

    def __init__(self) -> None:
        self.reads: set[int] = set()

    def add_reader(self, descriptor: int, callback: object, *arguments: object) -> None:
        del callback, arguments
        self.reads.add(descriptor)

    def remove_reader(self, descriptor: int) -> None:
        self.reads.discard(descriptor)


def test_a_consumer_that_starts_again_leaves_nothing_open() -> None:
    """Each has a transport of its own; what the one before listened to goes with it."""
    loop, held = Loop(), Holdings(lease=15.0, batch=8)
    current.hold(held)
    try:
        for _ in range(3):
            transport = Transport(SimpleNamespace(transport_options={}))
            transport.register_with_event_loop(None, loop)
            opened = set(loop.reads)
            for descriptor in opened:
                os.fstat(descriptor)
            assert held.ear is not None
            assert held.ear.fileno() in opened
            assert 2 == len(opened)
        transport.unregister()
        assert set() == loop.reads
        assert None is held.ear
    finally:
        current.hold(None)


def test_an_unknown_task_fails_and_says_what_is_known(acme: Taglane, start: Callable[..., WorkerProcess]) -> None:
    """With the tag, the task's name, and what the tag's workers do know."""
    with start():
        run = acme.enqueue("faulty.celery.wrok")
        with pytest.raises(RunFailed, match="NotRegistered: no live worker of tag acme knows the task") as caught:
            run.wait(timeout=30)
        assert 5 == acme.enqueue(WORK, params={"n": 5}).wait(timeout=30).result

    known = re.search(r"'faulty\.celery\.wrok'; they know: (.+?)( \(|$)", str(caught.value))
    assert known is not None
    assert WORK in known[1].split(", ")
    assert "celery.chord" not in str(caught.value)


def test_a_worker_without_tasks_says_so(acme: Taglane, start: Callable[..., WorkerProcess]) -> None:
    """It was started without its application, perhaps."""
    with start(app=None), pytest.raises(RunFailed, match="they know: none"):
        acme.enqueue(WORK).wait(timeout=30)


def test_a_rolling_deploy(acme: Taglane, start: Callable[..., WorkerProcess], redis: Redis) -> None:
    """While another worker knows the task, it is handed back uncounted; when nobody does any more, it fails."""
    acme.server.call("hello", "acme", "new", "info", "{}", "tags", "acme", "tasks", '["a.new"]')
    with start() as worker:
        worker.wait_ready()
        run = acme.enqueue("a.new")
        eventually(lambda: f"task_handed_back run={run.id}" in worker.log_text())
        eventually(lambda: run.state == "scheduled")
        assert 0 == run.info.attempt

        def fetched_by_new() -> bool:
            acme.server.redis.zadd(keys.delayed("acme", "acme"), {run.id: 1}, xx=True)
            number = str(redis.incr("fetches"))
            return bool(acme.server.call("fetch", "acme", "new", number, 1, "1", "acme")[2])

        eventually(fetched_by_new)
        token = redis.hget(keys.run("acme", run.id), "token")
        assert token is not None
        acme.server.call("finish", "acme", run.id, token, "succeeded", 5, '{"r":"by the new one"}', "")
        assert "by the new one" == run.wait(timeout=5).result
        assert 1 == run.info.attempt

        acme.server.call("leave", "acme", "new")
        with pytest.raises(RunFailed, match="no live worker"):
            acme.enqueue("a.new").wait(timeout=30)


@pytest.mark.parametrize("pool", POOLS)
def test_an_unreadable_envelope_fails_its_run_alone(
    acme: Taglane, start: Callable[..., WorkerProcess], pool: str
) -> None:
    """Whatever stands in it: that run fails and says why, the worker goes on."""
    spoiled = [enqueue(acme, envelope) for envelope in UNREADABLE]
    with start(pool) as worker:
        good = acme.enqueue_many(WORK, params=[{"n": n} for n in range(5)])
        assert list(range(5)) == [run.wait(timeout=30).result for run in good]
        for run_id, envelope in zip(spoiled, UNREADABLE, strict=True):
            info = acme.runs.wait(run_id, timeout=30)
            assert "failed" == info.state, envelope
            assert "unreadable envelope" in (info.error or ""), envelope
        assert worker.alive
        assert 7 == acme.enqueue(WORK, params={"n": 7}).wait(timeout=30).result


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_an_entry_without_a_run_is_laid_aside(
    acme: Taglane, start: Callable[..., WorkerProcess], redis: Redis, pool: str
) -> None:
    """A queue entry whose run is gone, or is something else than a run: the worker takes what comes behind it."""
    enqueue(acme, json.dumps({"b": "[[],{},{}]"}))
    spoiled = enqueue(acme, json.dumps({"b": "[[],{},{}]"}))
    redis.delete(keys.run("acme", spoiled))
    redis.set(keys.run("acme", spoiled), "x")
    redis.rpush(keys.queue("acme", "acme", 0), "acme.ghost", b"\xff")
    with start(pool) as worker:
        assert 7 == acme.enqueue(WORK, params={"n": 7}).wait(timeout=30).result
        assert worker.alive

    assert [spoiled.encode(), b"acme.ghost", b"\xff"] == redis.lrange(keys.aside("acme"), 0, -1)
