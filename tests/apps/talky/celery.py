"""An application whose tasks talk, in every way that tasks have."""

from __future__ import annotations

import contextvars
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import taglane
from celery.utils.log import get_task_logger

app = taglane.create_app("talky")

log = logging.getLogger("talky")
of_tasks = get_task_logger(__name__)
alone = logging.getLogger("talky.alone")
alone.propagate = False
chatty = logging.getLogger("talky.chatty")


class Unsayable:
    """What can't be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Breaking(logging.Handler):
    """A handler whose emit prints, logs and raises."""

    def emit(self, record: logging.LogRecord) -> NoReturn:
        print("printed by a handler")
        log.info("logged by a handler")
        raise RuntimeError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say nothing."""


class Breaks(Breaking):
    """As above, guarded as handlers of the standard library are."""

    def emit(self, record: logging.LogRecord) -> None:  # type: ignore[override]
        try:
            super().emit(record)
        except RuntimeError:
            self.handleError(record)


chatty.addHandler(Breaks())


@app.task
def talk() -> None:
    """Say something in each way, a line of it each time."""
    log.info("logged %s", 1)
    print("printed", 2)
    print("err", end="", file=sys.stderr)
    print("ed", file=sys.stderr)
    of_tasks.warning("of a task")
    alone.error("alone")
    log.debug("too low")
    log.info("%d", "no number")
    log.info("%s", Unsayable())
    log.info("x" * 100_000)
    log.info("\ud800 and \x00")
    chatty.info("chatty")
    sys.stdout.write("10%\r20%\r30%\n")
    context = contextvars.copy_context()
    threads = [
        threading.Thread(target=context.run, args=(log.info, "from a thread")),
        threading.Thread(target=log.info, args=("from nowhere",)),
    ]
    for thread in threads:
        thread.start()
        thread.join()
    child = os.fork()
    if child == 0:
        log.info("from a child")
        os._exit(0)
    os.waitpid(child, 0)
    subprocess.run(["/bin/echo", "from a program"], check=True)
    try:
        int("caught")
    except ValueError:
        log.exception("with a traceback")
    print("unfinished", end="")


@app.task
def lines(count: int, pause: float = 0) -> float:
    """Log so many lines; answers how many seconds that took."""
    began = time.monotonic()
    for number in range(count):
        log.info("line %d", number)
        if pause:
            time.sleep(pause)
    return time.monotonic() - began


@app.task(bind=True)
def twice(self: Any) -> None:
    """Fail, and then succeed."""
    print("attempt", self.request.retries + 1)
    if not self.request.retries:
        raise self.retry(countdown=0.01)


@app.task
def fail() -> None:
    """Fail."""
    raise ValueError("it fails")


@app.task
def wait(gate: str) -> None:
    """Say something, wait for a file, say something."""
    log.info("before")
    while not Path(gate).exists():
        time.sleep(0.01)
    log.info("after")


@app.task
def nothing() -> None:
    """Say nothing."""


@app.task
def order(gate: str, order: str, token: str) -> None:  # noqa: ARG001 - a secret among its params
    """Import an order, and wait for a file before it ends."""
    log.info("order %s: asked the shop for its lines", order)
    log.info("order %s: 38 lines, 2 of them changed", order)
    log.warning("line 17 has no price; the price of yesterday is taken")
    print("imported 36 of 38 lines")
    while not Path(gate).exists():
        time.sleep(0.05)
