from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from celery.exceptions import Ignore, Reject, Retry
from taglane.context import current_run, current_tenant
from taglane.model.envelope import HEADER
from taglane.runtime import current
from taglane.runtime.carry import (
    UNTOLD,
    Carry,
    Outcome,
    current_carry,
    error_fields,
    error_json,
    execute,
    execute_if_ours,
    last_of,
)
from taglane.runtime.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable

AGAIN = ("+250", "{}", "a.task", "acme", 0)
"""What the publisher notes of a task that sends itself."""


def make_request(**fields: Any) -> dict[str, Any]:
    """A request as the worker gives it to the tracer."""
    run = {"run": "acme.1", "token": 3, "tenant": "acme", "tag": "acme.gpu", "job": None, "due": None, "attempt": 2}
    return {"id": "one", HEADER: run, **fields}


def executed(noted: Callable[[Carry], None] = lambda _: None, error: Exception | None = None) -> Outcome:
    """The outcome of a task that is traced: what Celery notes on the way, and what it returns in the end."""

    def tracer(*_: Any) -> tuple[int, Any, float]:
        carry = current_carry()
        assert carry is not None
        noted(carry)
        return (0, "3", 0.1) if error is None else (1, information(error), 0.1)

    _, outcome = execute(tracer, "a.task", "one", make_request())
    assert outcome is not None
    return outcome


def information(error: Exception) -> ExceptionInfo:
    """An error as the tracer returns it."""
    try:
        raise error
    except type(error):
        return ExceptionInfo()


def note(**values: Any) -> Callable[[Carry], None]:
    """Note what the backend and the publisher do of a run."""
    return lambda carry: carry.__dict__.update(values)


def test_the_run_is_in_reach_while_it_executes() -> None:
    """The task, and all that it calls, sees its run and its tenant; nothing is left behind."""
    seen: list[Any] = []

    def tracer(*_: Any) -> tuple[int, Any, float]:
        run = current_run()
        seen.extend([current_tenant(), run and run.id, run and run.token, run and run.attempt])
        return 0, "3", 0.1

    returned, _ = execute(tracer, "a.task", "one", make_request())

    assert ["acme", "acme.1", 3, 2] == seen
    assert (0, "3", 0.1) == returned
    assert (None, None, None) == (current_tenant(), current_run(), current_carry())


def test_nothing_is_left_behind_by_an_error() -> None:
    """A tracer that raises, as for a Reject, ends the execution too."""

    def tracer(*_: Any) -> tuple[int, Any, float]:
        raise Reject

    with pytest.raises(Reject):
        execute(tracer, "a.task", "one", make_request())
    assert (None, None) == (current_carry(), current_run())


def test_a_foreign_message_has_no_outcome() -> None:
    """What came by another transport is Celery's alone."""
    assert ((0, "3", 0.1), None) == execute(lambda *_: (0, "3", 0.1), "a.task", "one", {"id": "one"})


def test_a_child_begins_only_what_is_its_workers() -> None:
    """What was given to it before a loss, or lay in its pipe for longer than the lease is sure, is not begun."""
    standing = Standing()
    given = standing.losses
    call = (lambda *_: (0, "3", 0.1), "a.task", "one", make_request())
    assert ((0, "3", 0.1), Outcome("succeeded")) == execute_if_ours(given, *call)
    current.stand(standing)
    try:
        assert ((0, "3", 0.1), Outcome("succeeded")) == execute_if_ours(given, *call)
        standing.lose()
        assert execute_if_ours(given, *call) is None
        standing.renew(0.0)
        assert execute_if_ours(standing.losses, *call) is None
    finally:
        current.stand(None)


def test_a_stored_result_is_the_outcome() -> None:
    """What the backend noted is carried whole; the tracer's own value is a repr, cut."""
    result = '{"r": 3}'
    assert Outcome("succeeded", result, "0:one all {}") == executed(
        note(state="SUCCESS", result=result, part="0:one all {}")
    )


def test_a_task_that_keeps_no_result_succeeds_without() -> None:
    """`ignore_result`: that it succeeded is known, what it returned is not."""
    assert Outcome("succeeded") == executed()


@pytest.mark.parametrize(
    ("state", "kind"),
    [("SUCCESS", "succeeded"), ("FAILURE", "failed"), ("REVOKED", "cancelled"), ("REJECTED", "failed")],
)
def test_a_task_may_set_its_own_state(state: str, kind: str) -> None:
    """And raise Ignore, to keep it."""
    assert Outcome(kind, "{}") == executed(note(state=state, result="{}"), Ignore())


def test_an_error_that_was_not_stored_is_kept() -> None:
    """A failed run says why, with its traceback, also when its task ignores results."""
    outcome = executed(error=ValueError("no", object))
    told = json.loads(outcome.result)
    assert "failed" == outcome.kind
    assert {"exc_type": "ValueError", "exc_message": ["no", repr(object)], "exc_module": "builtins"} == told["e"]
    assert "raise error" in told["tb"]


def test_a_retry_is_the_next_attempt() -> None:
    """The lease ends and the run waits, in one step; why it is retried is kept meanwhile."""
    assert Outcome("retry", "why", again=AGAIN) == executed(note(again=AGAIN, result="why"), Retry())


def test_a_retry_that_sent_nothing_is_a_failure() -> None:
    """A Retry that a task raises by itself would leave the run waiting for nobody."""
    assert "failed" == executed(error=Retry()).kind


@pytest.mark.parametrize("error", [None, Ignore(), ValueError()])
def test_a_task_that_sends_itself_runs_again(error: Exception | None) -> None:
    """However it ends after that: by replace, by retry(throw=False), by an error."""
    assert Outcome("retry", "", again=AGAIN) == executed(note(again=AGAIN, state="SUCCESS", result="3"), error)


def test_a_replaced_task_stays_open() -> None:
    """Its id is that of the last of those that replace it."""
    assert Outcome("replaced") == executed(note(was_replaced=True), Ignore())
    assert Outcome("succeeded") == executed(error=Ignore())


def test_a_rejected_task_goes_back_or_fails() -> None:
    """As it asks."""
    assert Outcome("requeue") == executed(error=Reject("later", requeue=True))
    rejected = executed(error=Reject("never"))
    assert ("failed", UNTOLD) == (rejected.kind, rejected.part)


@pytest.mark.parametrize("kind", [TimeLimitExceeded, SoftTimeLimitExceeded])
def test_a_time_limit_has_its_unit(kind: type) -> None:
    """The same, whichever pool says it as a whole number or not; what an application says of one is its own."""
    assert [["2s"], ["2s"], ["0.3s"]] == [error_fields(kind, [limit])["exc_message"] for limit in (2, 2.0, 0.3)]
    assert [[], ["mine"]] == [error_fields(kind, said)["exc_message"] for said in ([], ["mine"])]
    assert [2] == error_fields(ValueError, [2])["exc_message"]


def test_a_traceback_is_the_tasks() -> None:
    """Our own frames, between Celery's and the task's, are left out."""
    ours = '  File "/x/taglane/runtime/guard.py", line 70, in guarded\n    return call(\n           ^^^^^\n'
    before = 'Traceback (most recent call last):\n  File "/x/celery/app/trace.py", line 1, in trace\n    R = fun()\n'
    after = '  File "/x/shop/runtime/tasks.py", line 2, in report\n    raise ValueError\nValueError'

    assert before + after == last_of(before + ours + ours + after)


def test_an_error_as_celerys_backends_store_it() -> None:
    """By its type's name and module, its arguments, and its traceback where there is one."""
    plain = {"exc_type": "KeyError", "exc_message": ["x"], "exc_module": "builtins"}
    assert {"e": plain} == json.loads(error_json(KeyError, ["x"]))
    assert {"e": plain, "tb": "there"} == json.loads(error_json(KeyError, ["x"], "there"))
