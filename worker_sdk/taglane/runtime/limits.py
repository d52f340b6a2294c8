"""Time limits and cancels of the runs that this very process executes, in its main thread or in others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from billiard.exceptions import SoftTimeLimitExceeded

from taglane.runtime.interrupt import Execution, Stopped, interruptible, make_execution

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.context import Binding
    from taglane.runtime.pools import Settling


class Limits(NamedTuple):
    """The time limits of one run, seconds."""

    soft: float | None
    hard: float | None


class Watched:
    """The block in which a run that may be stopped is executed, while its alarms are set."""

    __slots__ = ("_alarms", "_execution", "_forget")

    def __init__(self, execution: Binding, alarms: list[threading.Timer], forget: Callable[[], None]) -> None:
        self._execution = execution
        self._alarms = alarms
        self._forget = forget

    def __enter__(self) -> None:
        for alarm in self._alarms:
            alarm.daemon = True
            alarm.start()
        self._execution.__enter__()

    def __exit__(self, *_: object) -> None:
        self._execution.__exit__()
        for alarm in self._alarms:
            alarm.cancel()
        self._forget()


class Interrupting:
    """Mixed into a pool that executes runs in its own process."""

    options: dict[str, Any]
    recall: Callable[[str], bool]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._executions: dict[str, Execution] = {}
        self._stopped: set[str] = set()

    def or_default(self, limits: Limits) -> Limits:
        """A run's limits, or the application's where it has none."""
        return Limits(
            limits.soft or self.options.get("soft_timeout"),
            limits.hard or self.options.get("timeout"),
        )

    def watched(self, message: str, limits: Limits, settling: Settling, on_hard_limit: Callable[[], None]) -> Watched:
        """Execute the block as the run of a message: it may be stopped, and its limits hold."""
        soft, hard = self.or_default(limits)
        alarms = []
        if soft:
            alarms.append(threading.Timer(soft, self._on_soft_limit, (message, settling, soft)))
        if hard:
            alarms.append(threading.Timer(hard, on_hard_limit))
        execution = self._executions[message] = make_execution()
        return Watched(interruptible(execution), alarms, lambda: self._forget(message))

    def _forget(self, message: str) -> None:
        self._executions.pop(message, None)
        self._stopped.discard(message)

    def _on_soft_limit(self, message: str, settling: Settling, soft: float) -> None:
        if message in self._executions:
            settling.on_timeout(True, soft)
            self.interrupt(message, SoftTimeLimitExceeded)

    def interrupt(self, message: str, error: type[BaseException]) -> None:
        """Raise *error* in the task of a message, while it is executed."""
        execution = self._executions.get(message)
        if execution is not None:
            execution.interrupt(error)

    def stop_run(self, message: str) -> bool:
        """Stop the task of a message, once: it may catch that, and go on. Answers whether it was asked now."""
        if message not in self._executions or message in self._stopped:
            return False
        self._stopped.add(message)
        self.interrupt(message, Stopped)
        return True
