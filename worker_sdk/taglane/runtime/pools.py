"""Celery's pools, with the outcome of each run carried back beside the tracer's answer."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery import concurrency
from celery.concurrency.base import apply_target
from celery.concurrency.solo import TaskPool as CelerySolo
from celery.concurrency.thread import ApplyResult
from celery.concurrency.thread import TaskPool as CeleryThreads
from celery.worker import state as worker_state

from taglane.model.envelope import HEADER
from taglane.runtime import current
from taglane.runtime.carry import Outcome, error_json, execute, raised
from taglane.runtime.interrupt import listen
from taglane.runtime.limits import Interrupting, Limits
from taglane.runtime.retrying import verdict
from taglane.runtime.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from taglane.runtime.holdings import Holdings


logger = logging.getLogger("taglane.worker")


class Carrying:
    """Mixed into a pool: executes our runs through `carry.execute` and settles them when they end."""

    looks_ahead = False
    """Whether it has a queue of its own, from which a run can be recalled."""

    def recall(self, message: str) -> bool:
        """Take back a run that the pool has not begun; answers whether it was so."""
        return False

    def recall_all(self) -> list[str]:
        """Take back all that the pool has not begun; answers their message ids."""
        return []

    def kill(self) -> None:
        """End at once what can be ended without this process."""

    def apply_async(self, target: Callable[..., Any], args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """See `celery.concurrency.base.BasePool.apply_async`."""
        held = current.holdings()
        header = args[2].get(HEADER) if args and len(args) > 2 and isinstance(args[2], dict) else None
        if held is None or header is None:
            return super().apply_async(target, args, kwargs, **options)  # type: ignore[misc]
        settling = Settling(held, header["run"], options)
        held.applied(header["run"])
        if settling.request is not None:
            args = _decoded(settling.request, args)
        options["accept_callback"] = settling.on_accepted
        options["callback"] = settling.on_result
        options["error_callback"] = settling.on_error
        if options.get("timeout_callback"):
            options["timeout_callback"] = settling.on_timeout
        call, before = self.call_of(held, header["run"])
        return super().apply_async(call, (*before, target, *args), kwargs, **options)  # type: ignore[misc]

    def call_of(self, held: Holdings, run: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return what executes a run, and its arguments before Celery's own."""
        return execute, ()


def _decoded(request: Any, args: Any) -> tuple[Any, ...]:
    """Return a tracer's arguments with the body as it was read, which the tracer takes as well: it is not read again.

    Nor are the request's acknowledgements passed on: what the pool has is settled by its outcome.
    """
    request._on_ack = request._on_reject = _settled_by_outcome  # noqa: SLF001 - there is no setter
    return (*args[:3], request.message.payload, None, None)


def _settled_by_outcome(*_: Any) -> None:
    """Stand for an acknowledgement."""


class Settling:
    """The callbacks of one run: Celery's own go first, then the run is settled by what is known of it."""

    def __init__(self, held: Holdings, run: str, options: dict[str, Any]) -> None:
        self._held = held
        self._run = run
        self._accept_callback = options["accept_callback"]
        self.request: Any = getattr(self._accept_callback, "__self__", None)
        self._callback = options["callback"]
        self._error_callback = options.get("error_callback")
        self._timeout_callback = options.get("timeout_callback")
        self._verdict: Outcome | None = None

    @property
    def is_ours(self) -> bool:
        """Whether the run may still begin, after it has waited in the pool; asks the server when that is in doubt."""
        while (sure := self._held.is_sure_of(self._run)) is None:
            time.sleep(0.02)
        if not sure:
            worker_state.task_ready(self.request)
            self._held.settle(self._run, None)
        return sure

    def on_accepted(self, pid: int, accepted_at: float) -> None:
        """Take note that the pool executes the run now."""
        self._held.began(self._run)
        if self.request is not None and not self.request.task.acks_late:
            self._held.acknowledged_early(self._run)  # Celery's own word may wait for the end, as a late one does
        self._accept_callback(pid, accepted_at)

    def on_result(self, answer: Any, **kwargs: Any) -> None:
        """Take what `execute` returned, None of what did not begin; or the error of a pool that could not call it."""
        if answer is None:
            logger.warning("run_not_begun run=%s: it waited in the pool for longer than its lease is sure", self._run)
            worker_state.task_ready(self.request)
            self._held.refuse(self._run)
            return
        if not isinstance(answer, tuple):
            self.on_error(answer)
            return
        returned, outcome = answer
        try:
            self._callback(returned, **kwargs)
        finally:
            self._held.settle(self._run, outcome, returned[2])

    def on_error(self, info: Any, *args: Any, **kwargs: Any) -> None:
        """Take the death of a child, or the end of a run by a signal or by its time limit."""
        error = raised(info)
        if isinstance(error, TimeLimitExceeded) and self._is_tried_again(error):
            return
        try:
            if self._error_callback is not None:
                self._error_callback(info, *args, **kwargs)
        finally:
            outcome = None
            if isinstance(error, (WorkerLostError, SystemExit, KeyboardInterrupt)):
                outcome = self._held.noted(self._run) or Outcome("died")
            elif isinstance(error, Terminated):  # by a cold shutdown: a cancel, or a time limit, has noted what it is
                outcome = self._held.noted(self._run) or Outcome("requeue")
            self._settle(outcome)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Let Celery note a hard time limit, unless its job's policy tries the run again; the run is settled."""
        if not soft and self._is_tried_again(TimeLimitExceeded(timeout)):
            return
        if self._timeout_callback is not None:
            self._timeout_callback(soft, timeout)
        if not soft:
            self._settle(None)

    def _is_tried_again(self, error: TimeLimitExceeded) -> bool:
        """Whether its job's policy tries a run again that went over its hard limit: nobody is told of an end then.

        Asked by who ends it, and by who takes note of the limit.
        """
        request = getattr(self._timeout_callback, "__self__", None)
        message = getattr(request, "request_dict", {})
        if self._verdict is None:
            judged = verdict(message.get(HEADER) or {}, int(message.get("retries") or 0), error)
            if judged is None:
                return False
            self._verdict = judged._replace(result=error_json(TimeLimitExceeded, list(error.args)))
            if judged.kind == "retry":
                worker_state.task_ready(request)
                logger.warning("time_limit_retried run=%s wait_ms=%d error=%s", self._run, judged.wait, error)
                self._held.settle(self._run, self._verdict)
        return self._verdict.kind == "retry"

    def _settle(self, outcome: Outcome | None) -> None:
        if self._verdict is not None:  # the last of its tries: what Celery has noted is the end of all
            self._held.note(self.request.id, self._verdict)
        self._held.settle(self._run, outcome)


class Threads(Interrupting, Carrying, CeleryThreads):
    """Threads of one process: for tasks that wait for others.

    Its queue may hold a few runs ahead, so that a thread need not wait for the main loop between two short ones.
    """

    looks_ahead = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[str, Future[None]] = {}
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def on_apply(  # noqa: PLR0913, D102 - see Celery's
        self,
        target: Any,
        args: Any,
        kwargs: Any,
        callback: Any,
        accept_callback: Any,
        correlation_id: str = "",
        soft_timeout: float | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Any:
        settling = getattr(callback, "__self__", None)
        if not isinstance(settling, Settling):
            return super().on_apply(target, args, kwargs, callback, accept_callback)
        call = (target, args, kwargs, callback, accept_callback)
        limits = Limits(soft_timeout, timeout)
        with self._lock:  # or a thread could begin, and forget it, before it is entered
            future = self.executor.submit(self._begin, settling, correlation_id, limits, call)
            self._waiting[correlation_id] = future
        return ApplyResult(future)

    def _begin(self, settling: Settling, message: str, limits: Limits, call: tuple[Any, ...]) -> None:
        with self._lock:
            self._waiting.pop(message, None)
        if settling.is_ours:
            task = call[1][1]
            with self.watched(message, limits, settling, lambda: self._on_hard_limit(task, message)):
                apply_target(*call)

    def _on_hard_limit(self, task: str, message: str) -> None:
        """Do what can be done of a thread: nobody can end one from outside."""
        if task not in self._warned:
            self._warned.add(task)
            logger.warning("time_limit_is_soft task=%s: a thread that waits outlasts it: choose -P prefork", task)
        self.interrupt(message, TimeLimitExceeded)

    def recall(self, message: str) -> bool:
        """Take back a run that no thread has begun; answers whether it was so."""
        future = self._waiting.pop(message, None)
        return future is not None and future.cancel()

    def recall_all(self) -> list[str]:
        """Take back all that no thread has begun, of a worker that stops; answers their message ids."""
        return [message for message in list(self._waiting) if self.recall(message)]


class Solo(Interrupting, Carrying, CelerySolo):
    """The worker's own process, one task at a time: the least overhead."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_overdue: Callable[[], None] = lambda: None
        """Called, from a thread of its own, when a run has gone over its hard limit and been ended."""
        self.on_apply = self._apply

    def on_start(self) -> None:
        """Let runs be interrupted."""
        super().on_start()
        listen()

    def _apply(  # noqa: PLR0913 - see Celery's
        self,
        target: Any,
        args: Any = (),
        kwargs: Any = None,
        callback: Any = None,
        accept_callback: Any = None,
        correlation_id: str = "",
        soft_timeout: float | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Any:
        settling = getattr(callback, "__self__", None)
        if not isinstance(settling, Settling):
            return apply_target(target, args, kwargs, callback, accept_callback)
        limits = Limits(soft_timeout, timeout)
        turn = Turn()  # who takes it ends the run: its task, or its hard limit

        def on_hard_limit() -> None:
            if turn.take():
                settling.on_timeout(False, self.or_default(limits).hard or 0)
                self.on_overdue()

        def on_answer(answer: Any, **options: Any) -> None:
            if not turn.take():
                threading.Event().wait()  # it came too late, and this process is about to end
            callback(answer, **options)

        with self.watched(correlation_id, limits, settling, on_hard_limit):
            return apply_target(target, args, kwargs, on_answer, accept_callback)


def register() -> None:
    """Make ``-P prefork``, ``threads`` and ``solo`` mean these pools, which treat foreign messages as Celery's do."""
    concurrency.ALIASES.update(
        prefork="taglane.runtime.prefork:Prefork",
        processes="taglane.runtime.prefork:Prefork",
        threads=f"{__name__}:Threads",
        solo=f"{__name__}:Solo",
    )
