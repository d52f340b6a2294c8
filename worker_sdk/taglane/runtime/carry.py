"""Executes one run where its task runs, and carries all that came of it back to the process that holds the lease.

Celery writes a result from the child and acknowledges from the parent: between the two a run is done and not done.
Here the child only notes what is to be written; the parent writes it, with the end of the lease, in one step.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from billiard.einfo import ExceptionWithTraceback
from celery import states
from celery.exceptions import Ignore, Reject, Retry
from kombu.utils.json import dumps

from taglane.context import Binding, CurrentRun, executing
from taglane.model.envelope import HEADER, PREVIOUS, TRACE_HEADERS
from taglane.runtime import current, tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taglane.runtime.run_log import RunLog, Said


MOST_MESSAGE = 4_096
MOST_TRACEBACK = 65_536
"""Characters that are kept of an error."""

UNTOLD = "-"
"""Stands for a part when nobody has told those who depend on the run (its chain, chord, errbacks) how it ended."""


_OUR_FRAMES = re.compile(r'^  File "[^"\n]*/taglane/runtime/\w+\.py", line \d+, in .*\n(?:    .*\n)*', re.MULTILINE)
"""They stand around each task's code, and say nothing of it."""

Again = tuple[str, str, str, str, int | str]
"""The next try of a run: at, envelope, task, tag, step ('' for the one that it has)."""


class Outcome(NamedTuple):
    """What is to be written of a run; small, since it crosses a pipe."""

    kind: str
    """succeeded, failed, cancelled, dead, replaced; retry, requeue, died."""
    result: str = ""
    """JSON as `model.run.read_outcome` reads it."""
    part: str = ""
    """The run's part of a chord, as the finish script takes it; or `UNTOLD`."""
    again: Again | None = None
    """For retry: what is to be tried, where the task itself has said so."""
    wait: int | None = None
    """For retry: after how many ms the same is to be tried again, where its job's policy says so."""
    trace: str = ""
    """For retry: the trace context of this attempt, where it is traced."""
    log: Sequence[Said] = ()
    """What the run has logged and the server is not known to have."""


class Carry:
    """What the execution of one run has noted so far."""

    def __init__(
        self, run: CurrentRun, message_id: str, nesting: int = 0, header: Mapping[str, Any] | None = None
    ) -> None:
        self.run = run
        self.message_id = message_id
        self.nesting = nesting
        """How many tasks have replaced each other to come to this one."""
        self.header: Mapping[str, Any] = header or {}
        """What `envelope.unpack` says of the run."""
        self.entered = False
        """The task's own code has begun."""
        self.inside = False
        """The task's own code is being executed: what is sent now it sends, and no link of a chain."""
        self.verdict: Outcome | None = None
        """What the job's retry policy says of an error of the task."""
        self.state = ""
        self.result = ""
        self.part = ""
        self.again: Again | None = None
        self.was_replaced = False
        self.log: RunLog | None = None
        """What it logs; None until it does."""
        self.over = False
        """It has ended: what a thread of it logs yet is no part of it."""
        self.trace: dict[str, str] = {}
        """The headers by which its trace goes on with another attempt."""

    def open_log(self, make: Callable[[CurrentRun], RunLog]) -> RunLog:
        """Return its log, made now; of two threads that come at once, one makes it."""
        made = make(self.run)
        log: RunLog = self.__dict__.setdefault("first_log", made)
        made.is_over = made is not log
        self.log = log
        return log

    def outcome(self, failed: int, value: Any) -> Outcome:
        """Decide the outcome from what was noted, and from what Celery's tracer returned."""
        error = raised(value) if failed else None
        if self.again is not None:  # it has sent itself: by retry, by replace, or as any other task
            return Outcome("retry", self.result if isinstance(error, Retry) else "", again=self.again)
        if isinstance(error, Retry):
            if self.verdict is not None:
                return self.verdict._replace(result=self.result)
            return Outcome("failed", self.result or _describe(value), self.part)
        if isinstance(error, Reject):
            return Outcome("requeue") if error.requeue else Outcome("failed", _describe(value), self.part or UNTOLD)
        if isinstance(error, Ignore) and not self.state:
            return Outcome("replaced" if self.was_replaced else "succeeded", "", self.part)
        failure = "dead" if self.verdict is not None and self.verdict.kind == "dead" else "failed"
        if self.state:
            kind = KINDS[self.state]
            return Outcome(failure if kind == "failed" else kind, self.result, self.part)
        if failed:
            return Outcome(failure, _describe(value), self.part)
        return Outcome("succeeded", "", self.part)


KINDS = {
    states.SUCCESS: "succeeded",
    states.FAILURE: "failed",
    states.REVOKED: "cancelled",
    states.REJECTED: "failed",
}
"""What a final state of Celery's is called here."""

_carry: ContextVar[Carry | None] = ContextVar("taglane_carry", default=None)


def current_carry() -> Carry | None:
    """The execution that this code is part of, or None outside of one."""
    return _carry.get()


class _Carrying:
    """The block in which a run is executed."""

    __slots__ = ("_carry", "_carrying", "_executing")

    def __init__(self, carry: Carry) -> None:
        self._carry = carry
        self._carrying = Binding((_carry, carry))
        self._executing = executing(carry.run)

    def __enter__(self) -> None:
        self._carrying.__enter__()
        self._executing.__enter__()

    def __exit__(self, *_: object) -> None:
        self._executing.__exit__()
        self._carry.over = True
        self._carry.entered = False  # what a thread of it sends yet, with a copy of its context, carries on nothing
        self._carrying.__exit__()


def execute(target: Callable[..., tuple[int, Any, float]], *args: Any) -> tuple[tuple[int, Any, float], Outcome | None]:
    """Call Celery's tracer, and return what it does together with the run's outcome.

    The arguments are the tracer's: task name, id, request, body, content type, content encoding. A message that is
    not ours has no outcome.
    """
    header = args[2].get(HEADER)
    if header is None:
        return target(*args), None
    run = CurrentRun(
        id=header["run"],
        tenant=header["tenant"],
        tag=header["tag"],
        job=header["job"],
        due=header["due"],
        attempt=header["attempt"],
        token=header["token"],
    )
    carry = Carry(run, args[1], int(args[2].get("replaced_task_nesting") or 0), header)
    if tracing.is_on():
        returned, outcome = _traced(carry, target, args)
    else:
        with _Carrying(carry):
            returned = target(*args)
        outcome = carry.outcome(returned[0], returned[1])
    return returned, outcome if carry.log is None else outcome._replace(log=carry.log.end())


def _traced(
    carry: Carry, target: Callable[..., tuple[int, Any, float]], args: tuple[Any, ...]
) -> tuple[tuple[int, Any, float], Outcome]:
    spans = tracing.spans()
    assert spans is not None  # noqa: S101 - it is on
    request = args[2]
    with _Carrying(carry), spans.running(carry.run, request) as attempt:
        carry.trace = {name: request[name] for name in TRACE_HEADERS if name in request} | {PREVIOUS: attempt.context}
        returned = target(*args)
        outcome = carry.outcome(returned[0], returned[1])
        attempt.ended(carry, outcome.kind, returned[1])
    return returned, outcome._replace(trace=attempt.context) if outcome.kind == "retry" else outcome


def execute_if_ours(losses: float, *args: Any) -> tuple[tuple[int, Any, float], Outcome | None] | None:
    """Call `execute` in a child process; None when the run, given to it after so many losses, may be another's by now.

    Then nothing has begun, and the parent hands it back.
    """
    standing = current.standing()
    return execute(*args) if standing is None or standing.is_sure(losses) else None


def raised(info: Any) -> Any:
    """The exception itself, out of billiard's wrappings."""
    error = getattr(info, "exception", info)
    return error.exc if isinstance(error, ExceptionWithTraceback) else error


def _describe(info: Any) -> str:
    error = raised(info)
    arguments = [_plain(argument) for argument in getattr(error, "args", ())]
    return error_json(type(error), arguments, getattr(info, "traceback", None))


def _plain(argument: Any) -> Any:
    if isinstance(argument, (int, bool, type(None))):
        return argument
    return shortened(argument if isinstance(argument, str) else repr(argument))


def error_fields(kind: type, arguments: list[Any]) -> dict[str, Any]:
    """Return an error as Celery's JSON backends store it."""
    return told({"exc_type": kind.__qualname__, "exc_message": arguments, "exc_module": kind.__module__})


def told(error: dict[str, Any]) -> dict[str, Any]:
    """Return an error as it is stored, of a time limit with its unit: pools say 2 or 2.0."""
    match error:
        case {"exc_type": "TimeLimitExceeded" | "SoftTimeLimitExceeded", "exc_message": [int() | float() as limit]}:
            return {**error, "exc_message": [f"{limit:g}s"]}
    return error


def error_json(kind: type, arguments: list[Any], traceback: str | None = None) -> str:
    """Return a failed run's result: the error, and its traceback."""
    error = error_fields(kind, arguments)
    return str(dumps({"e": error, "tb": last_of(traceback)} if traceback else {"e": error}))


def shortened(message: str) -> str:
    """Return an error's message, cut where it is too long to be read."""
    return message if len(message) <= MOST_MESSAGE else f"{message[:MOST_MESSAGE]}... ({len(message)} characters)"


def last_of(traceback: str) -> str:
    """Return a traceback without our own frames; of a long one the end: where the error was raised."""
    traceback = _OUR_FRAMES.sub("", traceback)
    over = len(traceback) - MOST_TRACEBACK
    return traceback if over <= 0 else f"... ({over} characters before)\n{traceback[over:]}"
