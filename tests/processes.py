"""Starts real workers and schedulers: what end-to-end and fault tests run their tasks in, kill and freeze.

A process ends with the test process that started it, however that one ends; what it printed is in its log.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from eventually import eventually
from taglane.model.names import SHARED, owner_of
from taglane.store.pools import Pools
from taglane.store.server import Server
from taglane.store.workers import WorkerInfo, Workers
from taglane_scheduler.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

APPS = Path(__file__).parent / "apps"
READY_SECONDS = 30.0
"""Importing Celery and forking a pool takes one or two; a busy machine more."""

BIN = Path(sys.executable).parent


class TaglaneProcess(ABC):
    """One process that runs until it is stopped. As a context manager it starts on entry, and on exit is told to end.

    environment  what to change in ours
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self._process: ChildProcess | None = None
        self._ended = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.term()
        if self._home is not None:
            self._home.cleanup()

    def start(self) -> None:
        """Start it, or start it again; returns before it is ready. Its log begins anew."""
        if self._home is None:
            self._home = tempfile.TemporaryDirectory(prefix="taglane-process-")
        self._process, self._ended = ChildProcess(self.command, log=self.log, environment=self._environment), False

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """What it runs."""

    @property
    def pid(self) -> int:
        """Its process id; of its parent process, where a pool has children."""
        return self._running.pid

    @property
    def alive(self) -> bool:
        """Whether it lives; a frozen one does."""
        return self._running.alive

    @property
    def log(self) -> Path:
        """Where it prints."""
        assert self._home is not None
        return Path(self._home.name) / "process.log"

    def log_text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def term(self, patience: float = 20.0) -> None:
        """End it as an operator does (SIGTERM, which lets it finish what it runs), and wait for its end."""
        self._end(signal.SIGTERM, patience)

    def kill(self) -> None:
        """End it as a lost machine does (SIGKILL: it can say nothing any more), and wait for its end."""
        self._end(signal.SIGKILL, 5.0)

    def freeze(self) -> None:
        """Stop it where it stands (SIGSTOP), as a machine does that swaps or a virtual one that is moved.

        Returns when all its threads have: one that was in a system call ends that first, and may send a command by it.
        """
        self._running.send(signal.SIGSTOP)
        eventually(lambda: all(state == "T" for state in _states(self.pid)), message="it did not stop")

    def thaw(self) -> None:
        """Let it go on."""
        self._running.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Signal it, and return at once."""
        self._running.send(number)

    @property
    def exit_code(self) -> int | None:
        """What it said at its end; None while it lives."""
        return self._running.exit_code

    def _end(self, by: signal.Signals, patience: float) -> None:
        if self._process is not None and not self._ended:
            self._process.end(by, patience=patience)
            self._ended = True

    @property
    def _running(self) -> ChildProcess:
        assert self._process is not None, "it was not started"
        return self._process


class WorkerProcess(TaglaneProcess):
    """One `taglane worker`.

    url          the credential it works with
    tags         what it serves; of one tenant
    app          an application of tests/apps, as `-A` takes it; None for none
    pool         prefork, threads or solo
    env          added to its environment
    by           "taglane" starts `taglane worker`, "celery" starts `celery worker`
    """

    def __init__(
        self,
        url: str,
        tags: Sequence[str],
        app: str | None,
        pool: str = "prefork",
        concurrency: int = 2,
        env: Mapping[str, str] | None = None,
        by: str = "taglane",
    ) -> None:
        self.url, self.tags, self.app, self.pool, self.concurrency = url, list(tags), app, pool, concurrency
        super().__init__({"PYTHONPATH": str(APPS), **(env or {}), "TAGLANE_URL": url})
        self._by = by
        self._server = Server(url)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._server.close()

    @property
    def command(self) -> list[str]:
        """What it runs."""
        app = ["-A", self.app] if self.app else []
        options = ["-P", self.pool, "-c", str(self.concurrency), "-l", "INFO"]
        tags = [word for tag in self.tags for word in ("--tag", tag)]
        if self._by == "celery":
            return [str(BIN / "celery"), *app, "worker", *tags, *options]
        return [str(BIN / "taglane"), "worker", *tags, *app, *options]

    def wait_ready(self, timeout: float = READY_SECONDS) -> WorkerInfo:
        """Wait until it has entered its tenant's workers, and return what it said of itself."""
        __tracebackhide__ = True
        found = eventually(lambda: self.info() or not self.alive, timeout, f"no hello from {self.command}")
        if not isinstance(found, WorkerInfo):
            pytest.fail(f"the worker ended before it was ready\n{self.log_text()}")
        return found

    def info(self) -> WorkerInfo | None:
        """What the server knows of it, or None when it does not."""
        if owner_of(self.tags[0]) == SHARED:
            workers = [worker for pool in Pools(self._server).list() for worker in pool.workers]
        else:
            workers = [*Workers(self._server).list(owner_of(self.tags[0]))]
        return next((worker for worker in workers if worker.pid == self.pid), None)


class SchedulerProcess(TaglaneProcess):
    """One `taglane scheduler`, with the operator's *url*; *env* is added to its environment."""

    def __init__(self, url: str, env: Mapping[str, str] | None = None, options: Sequence[str] = ()) -> None:
        super().__init__({**(env or {}), "TAGLANE_URL": url})
        self._options = options

    @property
    def command(self) -> list[str]:
        """What it runs."""
        return [str(BIN / "taglane"), "scheduler", *self._options]

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Wait until it has made its first step."""
        __tracebackhide__ = True
        eventually(lambda: "scheduler_ready" in self.log_text() or not self.alive, timeout, "it makes no step")
        if not self.alive:
            pytest.fail(f"the scheduler ended before it was ready\n{self.log_text()}")


def _states(pid: int) -> list[str]:
    """What each thread of a process does, as `/proc` says it: R, S, D, T."""
    found = []
    for status in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):  # a thread that has ended meanwhile
            found.append(status.read_text(errors="replace").rpartition(")")[2].split()[0])
    return found
