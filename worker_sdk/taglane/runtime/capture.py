"""Hears what is logged, printed and written to stderr in this process, and gives it to the run that is executed there.

It stands beside what is configured, and changes none of it: whichever handlers and streams there are get all as before.
Records are heard where a logger hands them to its handlers: so also those of loggers that don't propagate, as Celery's
task loggers don't, and whoever configures logging anew takes nothing away. Nothing that goes wrong here reaches a task.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from celery.signals import worker_process_init

from taglane.model.log_line import LOG, LONGEST, STDERR, STDOUT
from taglane.runtime.carry import Carry, current_carry, last_of
from taglane.runtime.log_pump import LogPump
from taglane.runtime.run_log import Bounds, RunLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.settings import Settings
    from taglane.store.server import Server

REDIRECTED = "celery.redirected"
"""The logger to which Celery sends what is printed."""

MACHINERY = ("celery.", "kombu.", "taglane.")
"""What the loggers around a task are called: of these, warnings alone are a run's."""

TASKS = "celery.task"
"""The logger above those that `celery.utils.log.get_task_logger` gives to tasks; some log to itself."""

_here = threading.local()  # `busy`: the execution for which this thread is hearing something
_formatter = logging.Formatter()


class Capture:
    """What is heard, from `start` until `stop`.

    Args:
        server_of: the server, in whichever process asks.
        settings: how much is kept of a run, and from which level on.
    """

    def __init__(self, server_of: Callable[[], Server], settings: Settings) -> None:
        self.pump = LogPump(server_of, Bounds(settings.log_lines, settings.log_bytes))
        self._level = settings.log_level
        self._is_on = settings.log_lines > 0

    def start(self) -> None:
        """Hear from now on, here and in the processes that are forked from here; nothing where no lines are kept."""
        global _capture  # noqa: PLW0603 - one worker is one process
        if not self._is_on:
            return
        _capture = self
        if not hasattr(_Original, "call_handlers"):  # once: somebody else may have put theirs around ours since
            _Original.call_handlers = logging.Logger.callHandlers
            logging.Logger.callHandlers = _call_handlers  # type: ignore[method-assign]
            os.register_at_fork(after_in_child=_on_fork)
        hear_streams()
        worker_process_init.connect(hear_streams, weak=False, dispatch_uid="taglane-capture")

    def stop(self) -> None:
        """Hear nothing any more."""
        global _capture  # noqa: PLW0603 - one worker is one process
        if _capture is not self:
            return
        _capture = None
        for name in (STDOUT, STDERR):
            stream = getattr(sys, name)
            if isinstance(stream, Heard):
                setattr(sys, name, stream.stream)

    def hear_record(self, carry: Carry, record: logging.LogRecord) -> None:
        """Give a record to the run that is being executed here."""
        if record.name == REDIRECTED:  # somebody has taken our stream away
            self._log_of(carry).write(STDOUT, f"{record.getMessage()}\n")
        elif record.levelno >= (max(self._level, logging.WARNING) if _is_machinery(record.name) else self._level):
            self._add(carry, record.levelname, record.name, _text(record))

    def hear_text(self, carry: Carry, stream: str, text: str) -> None:
        """Give what is written to a stream to the run that is being executed here."""
        if self.pump.is_crowded:
            self._log_of(carry).drop()
        else:
            self._log_of(carry).write(stream, text)

    def _add(self, carry: Carry, level: str, name: str, text: str) -> None:
        log = self._log_of(carry)
        if self.pump.is_crowded:
            log.drop()
        else:
            log.add(str(level), str(name), LOG, text)

    def _log_of(self, carry: Carry) -> RunLog:
        return carry.log or carry.open_log(self.pump.open)


def _is_machinery(name: str) -> bool:
    return name.startswith(MACHINERY) and name != TASKS


class _Original:
    """What was there before."""

    call_handlers: Callable[[logging.Logger, logging.LogRecord], None]


_capture: Capture | None = None


def _call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
    """Stand in the place of `logging.Logger.callHandlers`."""
    carry = current_carry()
    if carry is None or carry.over or _capture is None or getattr(_here, "busy", None) is carry:
        return _Original.call_handlers(self, record)
    _here.busy = carry  # what handlers do of it, and what they print, is not heard twice
    try:
        _safely(_capture.hear_record, carry, record)
        return _Original.call_handlers(self, record)
    finally:
        _here.busy = None


class Heard:
    """A stream that is heard; all else is the stream's own."""

    def __init__(self, stream: Any, name: str) -> None:
        self.stream = stream
        self._name = name

    def write(self, text: Any) -> Any:
        """Write, as the stream does."""
        carry = current_carry()
        if carry is None or carry.over or _capture is None or getattr(_here, "busy", None) is carry:
            return self.stream.write(text)
        _here.busy = carry
        try:
            if isinstance(text, str):
                _safely(_capture.hear_text, carry, self._name, text)
            return self.stream.write(text)
        finally:
            _here.busy = None

    def writelines(self, lines: Any) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "stream":  # a copy in the making has none
            raise AttributeError(name)
        return getattr(self.stream, name)


def _safely(hear: Callable[..., None], *args: Any) -> None:
    try:
        hear(*args)
    except (SoftTimeLimitExceeded, TimeLimitExceeded):  # raised in the task, which happened to be here
        raise
    except Exception:  # noqa: BLE001 - what can't be kept of a line is no reason for a task to fail
        log = args[0].log
        if log is not None:
            log.drop()


def _text(record: logging.LogRecord) -> str:
    """What a record says, with its traceback: of a long one the end."""
    try:
        text = record.getMessage()
    except (SoftTimeLimitExceeded, TimeLimitExceeded):
        raise
    except Exception as error:  # noqa: BLE001 - of a message that does not fit its arguments, whatever they do
        text = f"{str(record.msg)[:LONGEST]} (its arguments can't be shown: {type(error).__name__})"
    text = text[:LONGEST]
    if record.exc_info:
        traceback = last_of(record.exc_text or _formatter.formatException(record.exc_info))
        room = max(LONGEST - len(text) - 1, LONGEST // 2)
        text = f"{text[: LONGEST - min(len(traceback), room) - 1]}\n{traceback[-room:]}"
    if record.stack_info:
        text = f"{text}\n{record.stack_info}"
    return text


def hear_streams(**_: Any) -> None:
    """Hear the streams as they are now: Celery replaces them as a worker starts, and in each child."""
    if _capture is None:
        return
    for name in (STDOUT, STDERR):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Heard):
            setattr(sys, name, Heard(stream, name))


def _on_fork() -> None:
    """Begin anew in a child; what a task has forked is no part of its run: both would number the same lines."""
    carry = current_carry()
    if carry is not None:
        carry.over = True
    if _capture is not None:
        _capture.pump.forget()


def flush(timeout: float) -> None:
    """Send what runs have logged, for a process that ends without waiting for them."""
    if _capture is not None:
        _capture.pump.flush(timeout)
