"""Calls: what a run was called with, and the same again with other params."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from factories import enqueue
from taglane.errors import BadParams, NotReplayable, RunNotFound, ServerUnavailable
from taglane.model.envelope import pack
from taglane.model.names import new_run_id
from taglane.store import keys
from taglane.store.calls import LARGEST, Calls
from taglane.store.runs import NewRun, Runs

if TYPE_CHECKING:
    from taglane.store.server import Server


def made(store: Server, **headers: Any) -> str:
    """A run as Celery's own call makes it, with headers and a chain behind it."""
    run_id = new_run_id("acme")
    message = {
        "body": '[[1], {"a": 2, "password": "p"}, {"callbacks": [{"task": "next"}], "errbacks": null}]',
        "content-type": "application/json",
        "headers": {"id": run_id, "task": "shop.tasks.report", "retries": 2, "timelimit": [9, None], **headers},
        "properties": {"priority": 3},
    }
    packed, _ = pack(message, {"attempts": 5})
    Runs(store).make("acme", [NewRun(run_id, "shop.tasks.report", "acme", packed)])
    return run_id


def test_a_call_is_read_with_where_it_comes_from(store: Server) -> None:
    """Arguments, root and parent as Celery's headers say; children as the worker has told."""
    run_id = made(store, root_id="acme.root", parent_id="acme.parent")
    children = {
        "r": 1,
        "c": [[["acme.child1", None], None], [["acme.child2", ["acme.child1", None]], None], 7, "no such"],
    }
    store.redis.hset(keys.run("acme", run_id), "result", json.dumps(children))

    call = Calls(store).get(run_id)

    assert ([1], {"a": 2, "password": "p"}) == (call.args, call.params)
    assert ("acme.root", "acme.parent") == (call.root, call.parent)
    assert ("acme.child1", "acme.child2") == call.children


def test_a_call_again_keeps_all_but_the_params(store: Server) -> None:
    """Positional arguments, limits, priority and policy stay; tries begin anew, and nothing follows."""
    run_id = made(store, root_id="acme.root")
    calls = Calls(store)

    new = calls.again(run_id, {"a": 3})

    packed = json.loads(store.redis.hget(keys.run("acme", new), "envelope") or b"")
    assert [[1], {"a": 3}, {}] == json.loads(packed["b"])
    assert {"timelimit": [9, None]} == packed["h"]
    assert ({"attempts": 5}, {"priority": 3}) == (packed["r"], packed["p"])
    assert b"3" == store.redis.hget(keys.run("acme", new), "step")
    assert Runs(store).get(new).task == "shop.tasks.report"


def test_what_is_not_kept_is_said(store: Server) -> None:
    """No run, no envelope, too large a record, params that are too large."""
    run_id = enqueue(store)
    with pytest.raises(BadParams, match="limit is 100"):
        Calls(store, 100).again(run_id, {"text": "x" * 100})
    with pytest.raises(RunNotFound):
        Calls(store).get("acme.nothing")

    store.redis.hdel(keys.run("acme", run_id), "envelope")
    assert Calls(store).get(run_id).params is None
    with pytest.raises(NotReplayable):
        Calls(store).again(run_id, {})

    store.redis.hset(keys.run("acme", run_id), "tries", "x" * (LARGEST + 1))
    with pytest.raises(ServerUnavailable, match="takes 16"):
        Calls(store).get(run_id)


@pytest.mark.parametrize("spoiled", ["{", "[]", '{"b":1,"h":3}', '{"b":"[1,2,3]"}', "[" * 5_000])
def test_a_spoiled_envelope_is_none(store: Server, spoiled: str) -> None:
    """A tenant may write anything into it."""
    run_id = enqueue(store)
    store.redis.hset(keys.run("acme", run_id), mapping={"envelope": spoiled, "progress": spoiled, "result": spoiled})

    call = Calls(store).get(run_id)

    assert call.params is None
    assert () == call.children
