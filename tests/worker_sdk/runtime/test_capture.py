"""What is heard of a task, and that nobody else hears less of it, or more."""

from __future__ import annotations

import contextvars
import copy
import io
import logging
import logging.config
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from factories import make_server
from taglane.context import current_run
from taglane.model.envelope import HEADER
from taglane.model.log_line import LONGEST
from taglane.runtime.capture import Capture, Heard, hear_streams
from taglane.runtime.carry import execute
from taglane.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taglane.runtime.carry import Outcome
    from taglane.runtime.run_log import Line
    from taglane.store.server import Server

Told = list[tuple[str, str, str, str]]

log = logging.getLogger("shop")
log.setLevel(logging.DEBUG)


@pytest.fixture
def server(url: str) -> Iterator[Server]:
    made = make_server(url)
    yield made
    made.close()


@pytest.fixture
def capture(server: Server) -> Iterator[Capture]:
    """What hears in this process, until the test ends."""
    made = Capture(lambda: server, load_settings(url=server.url))
    made.start()
    yield made
    made.stop()


def executed(body: Callable[[], object]) -> Outcome:
    """The outcome of a run that does this."""
    hear_streams()  # pytest has put its own there since

    def tracer(*_: Any) -> tuple[int, Any, float]:
        body()
        return 0, "null", 0.1

    run = {"run": "acme.1", "token": 3, "tenant": "acme", "tag": "acme", "job": None, "due": None, "attempt": 2}
    _, outcome = execute(tracer, "a.task", "acme.1", {"id": "acme.1", HEADER: run})
    assert outcome is not None
    return outcome


def say() -> None:
    """Say something low, something high, something printed."""
    log.info("low")
    log.warning("high")
    print("printed")


def told(body: Callable[[], object]) -> Told:
    """Stream, level, logger and text of each line that a run is heard to say."""
    return [(*_head(line), line[3]) for said in executed(body).log for line in said.lines]


def _head(line: Line) -> tuple[str, str, str]:
    level, stream, logger = line[2].split("\t")
    return stream, level, logger


@pytest.mark.usefixtures("capture")
def test_what_a_run_says_is_its_own() -> None:
    """By logging, from its level on, and by its streams; with its attempt. What says nothing has no log."""

    def talk() -> None:
        log.info("logged %d", 1)
        log.debug("too low")
        print("printed")
        print("erred", file=sys.stderr)

    outcome = executed(talk)

    (said,) = outcome.log
    assert said.attempt == 2
    assert [line[2:] for line in said.lines] == [
        ("INFO\tlog\tshop", "logged 1"),
        ("\tstdout\t", "printed"),
        ("\tstderr\t", "erred"),
    ]
    assert executed(lambda: None).log == ()


@pytest.mark.usefixtures("capture")
def test_what_is_no_runs_goes_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Before, after, beside a run; and what a thread of it says when it has ended. The streams have it all the same."""
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def go_on() -> None:
        ended.wait(10)
        print("after its run")
        log.warning("after its run")

    def leave_a_thread() -> None:
        threads.append(threading.Thread(target=contextvars.copy_context().run, args=(go_on,)))
        threads[0].start()
        print("in it")

    hear_streams()
    print("before")
    outcome = executed(leave_a_thread)
    ended.set()
    threads[0].join()

    assert [line[3] for said in outcome.log for line in said.lines] == ["in it"]
    assert capsys.readouterr().out == "before\nin it\nafter its run\n"


@pytest.mark.usefixtures("capture")
def test_loggers_are_heard_whatever_is_configured() -> None:
    """One that does not propagate, one that is configured anew in the run; what a handler prints of it is no line."""
    alone = logging.getLogger("shop.alone")
    alone.propagate = False

    def talk() -> None:
        alone.error("alone")
        config = {"version": 1, "disable_existing_loggers": False, "handlers": {}, "root": {"level": "WARNING"}}
        logging.config.dictConfig(config)
        handler = logging.StreamHandler(sys.stderr)
        log.addHandler(handler)
        log.warning("once")
        log.removeHandler(handler)

    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    try:
        lines = told(talk)
    finally:
        root.handlers, root.level = kept, level
        alone.propagate = True

    assert [text for *_, text in lines] == ["alone", "once"]


@pytest.mark.usefixtures("capture")
def test_the_machinery_is_heard_of_what_went_wrong() -> None:
    """Celery says of each run that it has succeeded: nobody wants to read that, but that it failed."""

    def talk() -> None:
        for name in ("celery.app.trace", "celery.task", "kombu.transport", "taglane.worker"):
            logging.getLogger(name).setLevel(logging.INFO)
            logging.getLogger(name).info("information")
            logging.getLogger(name).warning("warning")
        logging.getLogger("celery.redirected").warning("printed")

    assert [(stream, name, text) for stream, _, name, text in told(talk)] == [
        ("log", "celery.app.trace", "warning"),
        ("log", "celery.task", "information"),
        ("log", "celery.task", "warning"),
        ("log", "kombu.transport", "warning"),
        ("log", "taglane.worker", "warning"),
        ("stdout", "", "printed"),
    ]


class Raising:
    """Raises something when it is shown."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __str__(self) -> str:
        raise self._error

    __repr__ = __str__


@pytest.mark.usefixtures("capture")
def test_what_cant_be_said_hurts_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line says so; or is counted, where not even that is possible. A time limit that comes there is the task's."""
    monkeypatch.setattr(log, "propagate", False)  # pytest has a handler that raises

    def talk() -> None:
        log.info("%s", Raising(RuntimeError("no")))
        log.info("%d", "x")
        log.info(Raising(LookupError()))
        log.info("fine")

    (said,) = executed(talk).log
    assert [line[3] for line in said.lines] == [
        "%s (its arguments can't be shown: RuntimeError)",
        "%d (its arguments can't be shown: TypeError)",
        "fine",
    ]
    assert said.dropped == 1
    for error in (SoftTimeLimitExceeded(), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            executed(lambda: log.info("%s", Raising(error)))  # noqa: B023


@pytest.mark.usefixtures("capture")
def test_of_a_long_traceback_the_end_is_kept() -> None:
    """And of a long message the beginning: what was raised stands last."""

    def talk() -> None:
        try:
            raise ValueError("y" * 20_000 + " is it")  # noqa: TRY301
        except ValueError:
            log.exception("x" * 20_000)
        log.warning("with its stack", stack_info=True)

    first, second = (text for *_, text in told(talk))

    assert len(first) == LONGEST
    assert first.startswith("xxx")
    assert first.endswith("y is it")
    assert second.startswith("with its stack\nStack (most recent call last)")


@pytest.mark.usefixtures("capture")
def test_a_stream_stays_what_it_was() -> None:
    """All but what is written goes to it, and what it can't take it refuses; it can be copied."""
    inner = io.StringIO()
    heard: Any = Heard(inner, "stdout")

    def talk() -> None:
        heard.writelines(["a\n", "b\n"])
        assert heard.write("cd") == 2
        with pytest.raises(TypeError):
            heard.write(b"bytes")

    assert [text for *_, text in told(talk)] == ["a", "b", "cd"]
    assert heard.getvalue() == "a\nb\ncd"
    assert heard.isatty() is False
    assert copy.copy(heard).stream is inner
    with pytest.raises(AttributeError):
        _ = heard.nothing


def test_it_leaves_nothing_behind(server: Server) -> None:
    """When it stops the streams are those from before; where no lines are kept it touches nothing."""
    streams = sys.stdout, sys.stderr
    on = Capture(lambda: server, load_settings(url=server.url, log_level="warning"))
    on.start()
    assert isinstance(sys.stdout, Heard)
    assert [text for *_, text in told(say)] == ["high", "printed"]
    on.stop()
    assert streams == (sys.stdout, sys.stderr)
    assert told(say) == []

    off = Capture(lambda: server, load_settings(url=server.url, log_lines=0))
    off.start()
    assert streams == (sys.stdout, sys.stderr)
    assert told(say) == []
    off.stop()


def test_too_much_in_a_process_is_dropped_and_counted(capture: Capture) -> None:
    """Whoever says it; the task goes on."""
    capture.pump.is_crowded = True

    (said,) = executed(say).log

    assert said.lines == []
    assert said.dropped >= 2


def test_two_threads_that_begin_at_once_share_a_log(capture: Capture) -> None:
    """Whoever came second gives up its own."""
    seen: list[Any] = []

    def talk() -> None:
        from taglane.runtime.carry import current_carry  # noqa: PLC0415

        carry, run = current_carry(), current_run()
        assert carry is not None
        assert run is not None
        seen.extend((carry.open_log(capture.pump.open), carry.open_log(capture.pump.open)))
        log.info("here")

    assert [text for *_, text in told(talk)] == ["here"]
    assert seen[0] is seen[1]
