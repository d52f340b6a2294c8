"""What a task's own code raises, through Celery's tracer: each case is one try of one run, without a server."""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from celery import Celery, Task
from celery.app.trace import build_tracer
from celery.exceptions import Ignore, Reject
from taglane.model.envelope import HEADER
from taglane.model.retry import Retry
from taglane.runtime import app as runtime_app
from taglane.runtime.app import install
from taglane.runtime.carry import Outcome, execute
from taglane.runtime.guard import guard, guard_tasks
from taglane.runtime.interrupt import Stopped, interruptible, make_execution

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "redis://taglane-acme:secret@127.0.0.1:1/0"
POLICY = Retry(attempts=3, delay=1_000, jitter=False, on=("ValueError", "TaskExited", "Late"))


class Late(Exception):
    """An error of the application's."""


class Called(Task):
    """A class with a call of its own."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raise what the task did not."""
        super().__call__(*args, **kwargs)
        raise Late("around it")


class Bound(Task):
    """A task that is a class."""

    name = "bound"

    def run(self, kind: str) -> None:
        """Raise a ValueError."""
        raise ValueError(kind, self.request.retries)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Celery:
    for module in runtime_app._modules_with_ids():  # noqa: SLF001
        monkeypatch.setattr(module, "uuid", module.uuid)
    return install(Celery("guarded", set_as_current=False), URL)


def trace(
    task: Any, *args: Any, policy: Retry | None = POLICY, attempt: int = 1, timelimit: Any = None, **header: Any
) -> Outcome:
    """One try of a run of *task*."""
    guard(task)
    tracer = build_tracer(task.name, task, app=task.app)
    known = {"run": "acme.1", "token": 1, "tenant": "acme", "tag": "acme", "job": None, "due": None, "attempt": attempt}
    if policy is not None:
        known["retry"] = policy.fields()
    request = {
        "id": "acme.1",
        "retries": attempt - 1,
        "timelimit": timelimit,
        "delivery_info": {"exchange": "", "routing_key": "acme", "priority": 0},
        HEADER: {**known, **header},
    }

    def traced(_name: str, uuid: str, request: dict[str, Any], *_: Any) -> tuple[int, Any, float]:
        answer, failed, seconds, representation = tracer(uuid, args, {}, request)
        return (1, answer, seconds) if failed else (0, representation, seconds)

    _, outcome = execute(traced, task.name, "acme.1", request)
    assert outcome is not None
    return outcome


def raising(app: Celery, error: Callable[[], BaseException], **options: Any) -> Any:
    """A task that raises an error."""

    @app.task(**{"name": f"raising-{uuid4()}", **options})
    def task() -> None:
        raise error()

    return task


def error_of(outcome: Outcome) -> str:
    error = json.loads(outcome.result)["e"]
    return f"{error['exc_type']}: {error['exc_message']}"


@pytest.mark.parametrize(("attempt", "kind", "wait"), [(1, "retry", 1_000), (2, "retry", 2_000), (3, "dead", None)])
def test_an_error_that_the_policy_covers(app: Celery, attempt: int, kind: str, wait: int | None) -> None:
    """It is tried again, and given up after the last try; the error is kept each time."""
    outcome = trace(raising(app, lambda: ValueError("no")), attempt=attempt)

    assert (kind, wait) == (outcome.kind, outcome.wait)
    assert "ValueError: ['no']" == error_of(outcome)
    assert "raise error()" in json.loads(outcome.result)["tb"]


@pytest.mark.parametrize("ignore_result", [False, True])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SoftTimeLimitExceeded(), "SoftTimeLimitExceeded: ['0.5s']"),
        (TimeLimitExceeded(), "TimeLimitExceeded: ['2s']"),
        (TimeLimitExceeded("mine"), "TimeLimitExceeded: ['mine']"),
    ],
)
def test_a_time_limit_says_how_long_it_is(app: Celery, error: Exception, said: str, ignore_result: bool) -> None:
    """The run's own or else the task's, whoever raised it in the task; the task's own words stay."""
    task = raising(app, lambda: error, ignore_result=ignore_result, time_limit=2, soft_time_limit=1)

    outcome = trace(task, timelimit=[None, 0.5])

    assert said == error_of(outcome)


@pytest.mark.parametrize("policy", [None, POLICY])
def test_an_error_that_no_policy_covers(app: Celery, policy: Retry | None) -> None:
    """It fails, as ever."""
    assert "failed" == trace(raising(app, lambda: KeyError("no")), policy=policy).kind


def test_a_task_without_results_is_given_up_too(app: Celery) -> None:
    """Why, is kept all the same."""
    outcome = trace(raising(app, lambda: ValueError("no"), ignore_result=True), attempt=3)

    assert ("dead", "ValueError: ['no']") == (outcome.kind, error_of(outcome))


def test_a_class_with_a_call_of_its_own(app: Celery) -> None:
    """What is raised there counts, as what its `run` raises does; it is guarded once."""

    @app.task(name=f"called-{uuid4()}", base=Called)
    def task() -> None:
        """Nothing is wrong here."""

    outcome = trace(task)
    assert ("retry", "Late: ['around it']") == (outcome.kind, error_of(outcome))
    assert "retry" == trace(task).kind


def test_a_task_that_is_a_class(app: Celery) -> None:
    """It has its request at hand."""
    outcome = trace(app.register_task(Bound()), "x", attempt=2)

    assert ("retry", "ValueError: ['x', 1]") == (outcome.kind, error_of(outcome))


def test_celerys_own_policy_goes_first(app: Celery) -> None:
    """Until its tries are spent: then the job's has its say."""
    task = raising(app, lambda: ValueError("no"), autoretry_for=(ValueError,), retry_kwargs={"max_retries": 1})

    first, second = trace(task), trace(task, attempt=2)

    assert first.again is not None
    assert '"r":{"attempts":3' in first.again[1]
    assert (None, "retry", 2_000) == (second.again, second.kind, second.wait)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Ignore, "succeeded"),
        (lambda: Reject("no"), "failed"),
        (lambda: Reject("no", requeue=True), "requeue"),
    ],
)
def test_what_celery_understands_passes(app: Celery, error: Callable[[], BaseException], kind: str) -> None:
    """It is no error."""
    outcome = trace(raising(app, error), policy=Retry(attempts=3))

    assert kind == outcome.kind


@pytest.mark.parametrize(
    ("call", "said"), [(lambda: sys.exit(3), "3"), (sys.exit, ""), (lambda: sys.exit("no"), "'no'")]
)
def test_a_task_that_exits(app: Celery, call: Callable[[], None], said: str) -> None:
    """It fails, as by any error: a policy may cover that."""

    @app.task(name=f"leaving-{uuid4()}")
    def task() -> None:
        call()

    plain = trace(task, policy=None)
    told = json.loads(plain.result)["e"]
    assert ("failed", "TaskExited", [f"the task called sys.exit({said})"]) == (
        plain.kind,
        told["exc_type"],
        told["exc_message"],
    )
    assert "retry" == trace(task).kind


def test_a_keyboard_interrupt_passes(app: Celery) -> None:
    """It is the operator's."""
    with pytest.raises(KeyboardInterrupt):
        trace(raising(app, KeyboardInterrupt))


def test_a_task_that_is_stopped_is_cancelled(app: Celery) -> None:
    """No `except Exception` of its own keeps it; its part of a chord says so."""

    @app.task(name=f"waiting-{uuid4()}")
    def task() -> None:
        while True:
            try:
                threading.Event().wait(0.01)
            except Exception:  # noqa: BLE001 - as such tasks do
                continue

    execution = make_execution()
    execution.interrupt(Stopped)
    with interruptible(execution):
        outcome = trace(task)

    assert ("cancelled", "TaskRevokedError: ['terminated']") == (outcome.kind, error_of(outcome))


def test_a_task_that_calls_another_is_one_run(app: Celery) -> None:
    """What the other raises, and this one catches, is nobody's failure."""
    inner = raising(app, lambda: ValueError("no"))

    @app.task(name=f"outer-{uuid4()}")
    def outer() -> str:
        try:
            inner()
        except ValueError:
            return "well"
        return "odd"

    guard_tasks(app)
    assert Outcome("succeeded", '{"r":"well"}') == trace(outer)


def test_outside_of_a_run_a_task_is_a_function(app: Celery) -> None:
    """Its errors are the caller's, and it keeps its looks."""
    task = raising(app, lambda: ValueError("no"))
    guard(task)
    guard(task)

    with pytest.raises(ValueError, match="no"):
        task()
    assert "task" == task.run.__name__
