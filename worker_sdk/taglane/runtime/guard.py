"""Stands around each task's own code: what it raises becomes an end of the run that Celery and the server understand.

Celery's tracer decides by the exception what to tell links, chords and errbacks. So the decision to try a run again is
made in there, before anybody is told: as Celery's own `autoretry_for` does it, which has the first say.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from billiard.common import terminate_handler_fired
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from celery import signals, states
from celery.app.trace import get_actual_ignore_result, task_has_custom
from celery.exceptions import Ignore, Reject, Retry, WorkerShutdown, WorkerTerminate

from taglane.runtime.carry import Carry, current_carry
from taglane.runtime.interrupt import Stopped, current_execution
from taglane.runtime.retrying import verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

GUARDED = "taglane_guarded"
"""The attribute by which a guarded function is known."""

OUR_TASKS = "taglane."
"""What the names of tasks begin with that carry on what others have begun."""

TERMINATED = "terminated"
"""Why Celery says that a task was revoked, when it was stopped."""


class TaskExited(RuntimeError):
    """A task called `sys.exit`: its run fails, and its worker goes on."""


def guard_tasks(app: Celery) -> None:
    """Guard all tasks of an application, once; before Celery builds their tracers, which look for `run`."""
    for task in app.tasks.values():
        guard(task)


def guard(task: Any) -> None:
    """Guard what Celery's tracer calls of a task: its `run`, or its class's own `__call__`."""
    if not task_has_custom(task, "__call__"):
        if not hasattr(task.run, GUARDED):
            task.run = _guarded(task.run, lambda _arguments: task)
        return
    kind = type(task)
    if not hasattr(kind.__call__, GUARDED):
        kind.__call__ = _guarded(kind.__call__, lambda arguments: arguments[0])


def _guarded(function: Callable[..., Any], task_of: Callable[[tuple[Any, ...]], Any]) -> Callable[..., Any]:
    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        carry = current_carry()
        if carry is None or carry.entered:  # called as a function, perhaps by the task that is executed
            return function(*args, **kwargs)
        carry.entered = True
        carry.inside = not task_of(args).name.startswith(OUR_TASKS)
        try:
            return _interruptible(function, args, kwargs)
        except (Ignore, Reject, Retry, WorkerShutdown, WorkerTerminate):
            raise
        except Stopped:
            _end_stopped(task_of(args), carry)
        except SystemExit as error:
            if terminate_handler_fired():  # this process is told to end: it is no word of the task's
                raise
            failure = TaskExited(f"the task called sys.exit({'' if error.code is None else repr(error.code)})")
            _judge(task_of(args), carry, failure)
            raise failure from error
        except Exception as error:
            _name_limit(task_of(args), error)
            _judge(task_of(args), carry, error)
            raise
        finally:
            carry.inside = False

    setattr(guarded, GUARDED, True)
    return guarded


def _interruptible(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    execution = current_execution()
    if execution is None:
        return function(*args, **kwargs)
    try:
        execution.enter()
        return function(*args, **kwargs)
    finally:
        execution.leave()


def _name_limit(task: Any, error: Exception) -> None:
    """Let a time limit that was raised in a task say how long it is: who raises it there can't."""
    if error.args or not isinstance(error, (SoftTimeLimitExceeded, TimeLimitExceeded)):
        return
    hard, soft = task.request.timelimit or (None, None)
    if isinstance(error, SoftTimeLimitExceeded):
        limit = soft or task.soft_time_limit or task.app.conf.task_soft_time_limit
    else:
        limit = hard or task.time_limit or task.app.conf.task_time_limit
    if limit:
        error.args = (f"{limit:g}s",)


def _judge(task: Any, carry: Carry, error: Exception) -> None:
    """Let the job's policy decide: raises Celery's Retry when the run is to be tried again."""
    carry.verdict = verdict(carry.header, task.request.retries, error)
    if carry.verdict is not None and carry.verdict.wait is not None:
        raise Retry(exc=error, when=carry.verdict.wait / 1000) from error


def _end_stopped(task: Any, carry: Carry) -> None:
    """End the run as cancelled, and tell those who depend on it, as Celery does when it has killed a child."""
    request = task.request
    stores = task.store_errors_even_if_ignored or not get_actual_ignore_result(task, request)
    task.backend.mark_as_revoked(request.id, TERMINATED, request=request, store_result=stores)
    carry.state = states.REVOKED
    signals.task_revoked.send(sender=task, request=request, terminated=True, signum=None, expired=False)
    raise Ignore(TERMINATED)
