"""The two tasks of our own, called by hand; whole chords run in the end-to-end tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import taglane
from celery.exceptions import TaskRevokedError, WorkerLostError
from factories import make_server
from taglane.model.envelope import ENDED_TASK, HEADER, JOIN_TASK
from taglane.runtime import app as runtime_app
from taglane.store import keys
from taglane.store.runs import Runs
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis
    from taglane.store.server import Server


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def app(store: Server, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """An application with a tenant's credential, which knows the task `tests.total`."""
    for module in runtime_app._modules_with_ids():  # noqa: SLF001 - Celery's modules stay as they were
        monkeypatch.setattr(module, "uuid", module.uuid)
    app = taglane.create_app("tasks", Tenants(store).create("acme").url, set_as_current=False)

    def total(numbers: list[int]) -> int:
        return sum(numbers)

    app.task(total, name="tests.total", shared=False)
    return app


def put_part(store: Server, place: int, result: Any, state: str = "SUCCESS") -> None:
    """Let one part of the chord `g` have ended so."""
    outcome = json.dumps({"s": state, "r": result, "id": f"acme.part{place}"})
    store.call("part", "acme", "g", f"{place}:acme.part{place}", outcome)


def make_body(app: Celery, run_id: str = "acme.body") -> dict[str, Any]:
    signature = app.signature("tests.total")
    signature.freeze(run_id)
    return json.loads(json.dumps(signature))  # type: ignore[no-any-return]


def sent_arguments(redis: Redis, run_id: str = "acme.body") -> Any:
    envelope = redis.hget(keys.run("acme", run_id), "envelope")
    assert envelope is not None
    return json.loads(json.loads(envelope)["b"])[0]


def test_every_application_knows_both(app: Celery) -> None:
    """Whose result the join would be is the body's; what tells of an end is expected to raise."""
    join, ended = app.tasks[JOIN_TASK], app.tasks[ENDED_TASK]

    assert join.ignore_result
    assert not ended.ignore_result
    assert (TaskRevokedError, WorkerLostError) == ended.throws


def test_join_sends_the_body(app: Celery, store: Server, redis: Redis) -> None:
    """With the parts' results by their places, in whatever order they came; each part counts once."""
    for place in (2, 0, 1, 1):
        put_part(store, place, 10 * place)

    with taglane.tenant("acme"):
        app.tasks[JOIN_TASK]("g", make_body(app))

    assert "queued" == Runs(store).get("acme.body").state
    assert [[0, 10, 20]] == sent_arguments(redis)


def test_join_keeps_the_headers_shape(app: Celery, store: Server, redis: Redis) -> None:
    """Groups within it give lists within the list."""
    for place in range(3):
        put_part(store, place, place)

    with taglane.tenant("acme"):
        app.tasks[JOIN_TASK]("g", make_body(app), [["acme.part0"], ["acme.part2", ["acme.part1"]]])

    assert [[[0], [2, [1]]]] == sent_arguments(redis)


def test_join_takes_parts_that_go_by_another_id(app: Celery, store: Server, redis: Redis) -> None:
    """Then they stand in the order of their places."""
    for place in range(2):
        put_part(store, place, place)

    with taglane.tenant("acme"):
        app.tasks[JOIN_TASK]("g", make_body(app), [["acme.other"], "acme.part1"])

    assert [[0, 1]] == sent_arguments(redis)


def test_join_fails_the_body_with_a_part(app: Celery, store: Server) -> None:
    """Whoever waits for the body learns which part it was, and why."""
    put_part(store, 0, 0)
    put_part(store, 1, {"exc_type": "ValueError", "exc_message": ["no"], "exc_module": "builtins"}, "FAILURE")

    with taglane.tenant("acme"):
        app.tasks[JOIN_TASK]("g", make_body(app))

    info = Runs(store).get("acme.body")
    assert "failed" == info.state
    assert "ChordError: Dependency acme.part1 raised ValueError: no" in (info.error or "")


def test_join_fails_a_body_that_can_not_be_sent(app: Celery, store: Server) -> None:
    """However often it was tried: its results are too large together."""
    for place in range(2):
        put_part(store, place, "x" * 600_000)

    with taglane.tenant("acme"):
        app.tasks[JOIN_TASK]("g", make_body(app))

    info = Runs(store).get("acme.body")
    assert "failed" == info.state
    assert "Callback error" in (info.error or "")


@pytest.mark.parametrize(
    ("state", "kind"), [("dead", WorkerLostError), ("cancelled", TaskRevokedError), ("expired", TaskRevokedError)]
)
def test_ended_raises_what_ended_the_run(app: Celery, state: str, kind: type[Exception]) -> None:
    """Celery does the rest: links, chains and chords learn it from the error."""
    task: Any = app.tasks[ENDED_TASK]
    task.push_request(**{HEADER: {"ended": state, "task": "a.b"}})
    try:
        with pytest.raises(kind, match=f"a.b {state}"):
            task(1, 2, named=3)
    finally:
        task.pop_request()


def test_ended_of_a_join_fails_its_body(app: Celery, store: Server) -> None:
    """A chord whose parts are never joined has a body that would be waited for."""
    task: Any = app.tasks[ENDED_TASK]
    task.push_request(**{HEADER: {"ended": "cancelled", "task": JOIN_TASK}})
    try:
        with taglane.tenant("acme"):
            task(group="g", body=make_body(app))
    finally:
        task.pop_request()

    info = Runs(store).get("acme.body")
    assert ("failed", True) == (info.state, "its parts were never joined: cancelled" in (info.error or ""))
