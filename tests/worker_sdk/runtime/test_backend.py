"""The backend on a server, without a worker: what it stores and reads outside of an execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import taglane
from celery import Celery
from celery.app.task import Context
from celery.exceptions import TaskRevokedError, WorkerLostError
from celery.result import GroupResult
from factories import make_server
from kombu.exceptions import EncodeError
from taglane.runtime import app as runtime_app
from taglane.runtime import backend
from taglane.store import keys

if TYPE_CHECKING:
    from redis import Redis

RUN = "acme.1"


@pytest.fixture
def app(url: str, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """An application with the operator's credential, on a server that has the library."""
    for module in runtime_app._modules_with_ids():  # noqa: SLF001
        monkeypatch.setattr(module, "uuid", module.uuid)
    make_server(url)
    return taglane.install(Celery("stored", set_as_current=False), url)


def make_run(redis: Redis, **fields: str) -> None:
    """A run as the server keeps it."""
    known: Any = {"state": "queued", "task": "a.task", "tag": "acme", **fields}
    redis.hset(keys.run("acme", RUN), mapping=known)


@pytest.mark.parametrize(
    ("ours", "celerys"),
    [
        ("scheduled", "PENDING"),
        ("queued", "PENDING"),
        ("running", "STARTED"),
        ("retrying", "RETRY"),
        ("succeeded", "SUCCESS"),
        ("failed", "FAILURE"),
        ("dead", "FAILURE"),
        ("cancelled", "REVOKED"),
        ("expired", "REVOKED"),
        ("skipped", "REVOKED"),
        ("replaced", "PENDING"),
    ],
)
def test_a_run_has_one_of_celerys_states(app: Celery, redis: Redis, ours: str, celerys: str) -> None:
    """Each state of a run is one that Celery's callers know; a run that is not there is pending, as in Celery."""
    assert "PENDING" == app.AsyncResult(RUN).state
    make_run(redis, state=ours)
    assert celerys == app.AsyncResult(RUN).state


@pytest.mark.parametrize(("state", "error"), [("dead", WorkerLostError), ("expired", TaskRevokedError)])
def test_what_the_server_ended_is_an_error(app: Celery, redis: Redis, state: str, error: type[Exception]) -> None:
    """With the reason that the server kept."""
    make_run(redis, state=state, error="because")
    with pytest.raises(error, match="because"):
        app.AsyncResult(RUN).get(timeout=5)


@pytest.mark.parametrize(("state", "error"), [("dead", WorkerLostError), ("cancelled", TaskRevokedError)])
def test_what_the_server_says_overrules_an_earlier_attempt(
    app: Celery, redis: Redis, state: str, error: type[Exception]
) -> None:
    """A run that failed, was tried again and then ended by the server has ended for that, not for its first error."""
    earlier = '{"e":{"exc_type":"ValueError","exc_message":["early"],"exc_module":"builtins"},"tb":"Traceback"}'
    make_run(redis, state=state, error="because", result=earlier)

    with pytest.raises(error, match="because"):
        app.AsyncResult(RUN).get(timeout=5)
    assert app.AsyncResult(RUN).traceback is None


def test_a_task_that_was_stopped_says_so_in_celerys_words(app: Celery, redis: Redis) -> None:
    """The server knows who asked, but what Celery said of this very end is what its callers expect."""
    revoked = '{"e":{"exc_type":"TaskRevokedError","exc_message":["terminated"],"exc_module":"celery.exceptions"}}'
    make_run(redis, state="cancelled", error="terminated: by control.revoke", result=revoked)

    with pytest.raises(TaskRevokedError, match=r"^terminated$"):
        app.AsyncResult(RUN).get(timeout=5)


def test_a_result_of_no_execution_is_recorded(app: Celery, redis: Redis) -> None:
    """Celery fails the later links of a chain under their ids, though no run was made of them; once."""
    app.backend.mark_as_failure(RUN, ValueError("before"))
    app.backend.mark_as_done(RUN, 3)

    with pytest.raises(ValueError, match="before"):
        app.AsyncResult(RUN).get(timeout=5)
    assert b"failed" == redis.hget(keys.run("acme", RUN), "state")


def test_what_is_leased_is_not_recorded_over(app: Celery, redis: Redis) -> None:
    """Only the lease's holder ends a run that is being executed."""
    make_run(redis, state="running", token="1")
    redis.zadd(keys.leases("acme"), {RUN: 1})

    app.backend.mark_as_done(RUN, 3)

    assert "STARTED" == app.AsyncResult(RUN).state


def count_part(app: Celery, index: int, run: str, state: str = "SUCCESS", result: Any = 1) -> None:
    """Bring a part of the chord `acme.group`."""
    app.backend.on_chord_part_return(Context(id=run, group="acme.group", group_index=index), state, result)


def is_joined(redis: Redis) -> bool:
    """Whether the chord's join is queued."""
    return bool(redis.exists(keys.run("acme", "acme.group~join")))


@pytest.fixture
def chord(app: Celery) -> Celery:
    """An application that has registered a chord, of which it has sent no part yet."""
    results = [app.AsyncResult("acme.a"), app.AsyncResult("acme.b")]
    app.backend.apply_chord(("acme.group", results), app.signature("a.body", task_id="acme.body"))
    return app


def test_a_chord_is_joined_when_all_parts_are_in(chord: Celery, redis: Redis) -> None:
    """Not before its size is known, and not by one part that ran twice."""
    count_part(chord, 0, "acme.a")
    assert not is_joined(redis)
    chord.backend.set_chord_size("acme.group", 2)
    count_part(chord, 0, "acme.a")
    assert not is_joined(redis)
    count_part(chord, 1, "acme.b")
    assert is_joined(redis)


def test_parts_at_one_place_are_two(chord: Celery, redis: Redis) -> None:
    """The members of a group that a chain ends in share its place in the header."""
    chord.backend.set_chord_size("acme.group", 2)
    count_part(chord, 0, "acme.a")
    count_part(chord, 0, "acme.b")
    assert is_joined(redis)


def test_a_part_more_is_waited_for(chord: Celery, redis: Redis) -> None:
    """It may be added before the size is known."""
    chord.backend.add_to_chord("acme.group", None)
    chord.backend.set_chord_size("acme.group", 1)
    count_part(chord, 0, "acme.a")
    assert not is_joined(redis)
    count_part(chord, 0, "acme.b")
    assert is_joined(redis)


def test_parts_are_read_by_their_places(chord: Celery) -> None:
    """However they came in; one without a place is last."""
    count_part(chord, 10, "acme.k", result="k")
    count_part(chord, 2, "acme.c", result="c")
    chord.backend.on_chord_part_return(Context(id="acme.z", group="acme.group"), "SUCCESS", "z")
    assert ["c", "k", "z"] == [part["r"] for part in chord.backend.chord_parts("acme", "acme.group")]


def test_a_saved_group_is_found_by_its_id(app: Celery) -> None:
    """Until it is deleted."""
    GroupResult("acme.group", [app.AsyncResult("acme.a")], app=app).save()
    assert ["acme.a"] == [each.id for each in GroupResult.restore("acme.group", app=app)]
    app.backend.delete_group("acme.group")
    assert GroupResult.restore("acme.group", app=app) is None


def test_a_result_over_the_limit_is_an_error(app: Celery, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names both sizes, and what the limit is called; so does a part of a chord, of a task that keeps no result."""
    monkeypatch.setattr(backend, "result_limit", lambda: 2_000)
    message = "takes 3008 bytes, over the limit of 2000 \\(TAGLANE_RESULT_LIMIT\\)"
    with pytest.raises(EncodeError, match=message):
        app.backend.store_result(RUN, "x" * 3_000, "SUCCESS")
    with pytest.raises(EncodeError, match="over the limit of 2000"):
        count_part(app, 0, RUN, result="x" * 3_000)
    assert not redis.exists(keys.run("acme", RUN))


def test_an_error_over_the_limit_is_cut(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the beginning of what it says, and the end of its traceback, where it was raised."""
    monkeypatch.setattr(backend, "result_limit", lambda: 2_000)
    app.backend.store_result(RUN, ValueError("x" * 10_000), "FAILURE", traceback="y" * 70_000 + "here")

    result = app.AsyncResult(RUN)
    assert "x" * 4_096 + "... (10000 characters)" == str(result.result)
    assert result.traceback.startswith("... (4468 characters before)")
    assert result.traceback.endswith("here")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "Out of range float values"),
        (float("-inf"), "Out of range float values"),
        (object(), "Object of type object"),
        ({1, 2}, "Object of type set"),
    ],
)
def test_what_json_cant_hold(app: Celery, value: Any, why: str) -> None:
    """NaN and Infinity too: Python would write them, and no other reader take them."""
    with pytest.raises(EncodeError, match=why):
        app.backend.encode([value])
