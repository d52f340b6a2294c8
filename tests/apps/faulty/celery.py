"""Tasks that leave a line a start in the file FAULTY_LOG: who ran, in which process."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import taglane
from celery import Celery, Task
from taglane.errors import TaglaneError

if TYPE_CHECKING:
    from collections.abc import Callable

app = Celery("faulty")
taglane.install(app)


def mark(what: str = "start") -> None:
    """Append a line, in one write."""
    run = taglane.current_run()
    line = f"{what} {run.id if run else '-'} {os.getpid()}\n".encode()
    descriptor = os.open(os.environ["FAULTY_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)


@app.task
def work(seconds: float = 0.01, n: int = 0) -> int:
    """Take a while."""
    mark()
    time.sleep(seconds)
    return n


@app.task(acks_late=False)
def once(seconds: float = 60.0) -> None:
    """Ask not to be run again after a death."""
    mark()
    time.sleep(seconds)


@app.task
def reach(run: str) -> dict[str, str]:
    """Try to get at a run of another tenant, and to send for that; answers how each attempt ended."""
    mark()
    other, found = run.split(".", maxsplit=1)[0], {}
    attempts: dict[str, Callable[[], Any]] = {
        "result": lambda: app.AsyncResult(run).result,
        "state": lambda: app.AsyncResult(run).state,
        "revoke": lambda: app.control.revoke(run),
        "look": lambda: taglane.Taglane().runs.get(run),
        "cancel": lambda: taglane.Taglane().runs.cancel(run),
        "enqueue": lambda: taglane.Taglane().enqueue("faulty.celery.work", tenant=other),
        "update": lambda: app.backend.store_result(run, "stolen", "SUCCESS"),
    }
    for name, attempt in attempts.items():
        try:
            found[name] = f"reached: {attempt()}"
        except TaglaneError as error:
            found[name] = type(error).__name__
    with taglane.tenant(other):
        try:
            work.delay()
        except TaglaneError as error:
            found["delay"] = type(error).__name__
    return found


@app.task
def wait_for_file(path: str) -> str:
    """Go on until there is a file."""
    mark()
    while not Path(path).exists():
        time.sleep(0.02)
    mark("end")
    return "done"


@app.task(bind=True, max_retries=5)
def retry_after_file(self: Any, path: str) -> str:
    """Wait for a file, then ask for another try; the second try succeeds."""
    mark()
    if self.request.retries:
        return "second"
    while not Path(path).exists():
        time.sleep(0.02)
    raise self.retry(countdown=0.1)


@app.task
def swallow(text: str = "", answers: int = 0) -> str:  # noqa: ARG001 - it is to be carried, and no more
    """Take a text that may be large, and answer with one of so many characters."""
    mark()
    return "x" * answers


@app.task
def poison() -> None:
    """Kill the process that executes it."""
    mark()
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def hold_the_lock(seconds: float) -> str:
    """Keep the interpreter's lock for about that long, inside one call that never lets go of it."""
    mark()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        re.match(r"(a+)+$", "a" * 24 + "b")
    return "done"


class Busy(Exception):
    """What a task raises that may work the next time."""


@app.task
def fail(times: int = 1_000, kind: str = "Busy") -> str:
    """Raise an error in the first so many tries; that try leaves a line."""
    mark()
    run = taglane.current_run()
    assert run is not None
    tries = Path(os.environ["FAULTY_LOG"]).read_text().count(f"start {run.id} ")
    if tries <= times:
        raise {"Busy": Busy, "ValueError": ValueError}[kind](f"try {tries}")
    return f"try {tries}"


@app.task(autoretry_for=(Busy,), retry_kwargs={"max_retries": 2, "countdown": 0.05})
def fail_by_its_own_policy(times: int = 1_000) -> str:
    """Be tried three times by Celery's own means."""
    return str(fail.run(times))


class Called(Task):
    """A task's class that stands around its call."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Leave a line, and call it."""
        mark("call")
        return super().__call__(*args, **kwargs)


@app.task(base=Called)
def fail_when_called(times: int = 1_000) -> str:
    """As `fail`, of a class with a `__call__` of its own."""
    return str(fail.run(times))


@app.task
def wait_in(where: str = "sleep", catches: str = "", seconds: float = 60.0) -> str:
    """Wait: in a sleep, in a read, in a loop of Python. What it *catches* it survives."""
    mark()
    try:
        if where == "sleep":
            time.sleep(seconds)
        elif where == "read":
            receiver, sender = os.pipe()
            os.read(receiver, 1)
            os.close(sender)
        else:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                pass
    except BaseException as error:
        mark(type(error).__name__)
        if catches != type(error).__name__:
            raise
        return f"caught {catches}"
    return "waited"


@app.task
def leave(code: Any = 3) -> None:
    """Call sys.exit."""
    mark()
    sys.exit(code)


class Unpicklable(Exception):
    """An error that can't be made of what it keeps."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


@app.task
def give(what: str) -> Any:
    """Return, or raise, what is hard to carry."""
    mark()
    match what:
        case "large":
            return "x" * 2_000_000
        case "object":
            return object()
        case "nan":
            return float("nan")
        case "deep":
            nested: list[Any] = []
            for _ in range(100_000):
                nested = [nested]
            return nested
        case "odd error":
            raise ValueError(object(), float("nan"), "plain")
        case "unpicklable error":
            raise Unpicklable("one", "two")
        case "large error":
            raise ValueError("x" * 3_000_000)
        case "local error":
            raise type("Local", (Exception,), {})("made on the spot")
    return what
