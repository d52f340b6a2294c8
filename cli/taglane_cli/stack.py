"""The processes that `taglane demo` and `taglane dev` start: a server, a scheduler, tagged workers.

Each is a child process with a log of its own, is known by its id, and ends with this process, however that one ends.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from taglane.errors import TaglaneError
from taglane_scheduler.child_process import ChildProcess
from taglane_scheduler.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

READY_SECONDS = 30.0
PATIENCE = 15.0  # seconds a process may take to end what it has begun
COMMAND = (sys.executable, "-m", "taglane_cli.main")


class ProcessEnded(TaglaneError):
    """A process of the stack ended by itself, by a signal when *code* is below 0; carries what its log says of why."""

    def __init__(self, name: str, code: int | None, log: str) -> None:
        self.name, self.code, self.log = name, code, log
        super().__init__(f"the {name} {how_it_ended(code)}; its log says: {log or '(nothing of why)'}")


class NotReady(TaglaneError):
    """A process of the stack did not become ready in time; carries the last lines of its log."""

    def __init__(self, name: str, log: str) -> None:
        self.name, self.log = name, log
        said = log or "(nothing of why)"
        super().__init__(f"the {name} was not ready within {READY_SECONDS:g} s; its log says: {said}")


def how_it_ended(code: int | None) -> str:
    """Say how a process ended that nobody has stopped."""
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended by itself, with exit code {code}"


class CommandFailed(TaglaneError):
    """A command that was to end well did not; carries what it said."""

    def __init__(self, command: str, said: str) -> None:
        self.command, self.said = command, said
        super().__init__(f"`taglane {command}` failed: {said}")


class Stack:
    """A server and what works on it. As a context manager it starts the server on entry and stops everything on exit.

    home  a directory for the logs
    url   a server that is there already, with the operator's credential: it is left alone. None starts one
    """

    def __init__(self, home: Path, url: str | None = None) -> None:
        self._home = home
        self._server = None if url else EmbeddedServer()
        self._given = url or ""
        self._processes: dict[str, ChildProcess] = {}

    def __enter__(self) -> Self:
        if self._server is not None:
            self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_processes()
        if self._server is not None:
            self._server.stop()

    @property
    def url(self) -> str:
        """The server's url, with the operator's credential."""
        return self._server.url if self._server is not None else self._given

    @property
    def server_name(self) -> str:
        """What runs there, for people: `valkey 9.1.0, embedded`."""
        if self._server is None:
            return "TAGLANE_URL's"
        version = ".".join(map(str, self._server.binary.version))
        return f"{self._server.binary.flavour} {version}, embedded"

    def start_scheduler(self) -> None:
        """Start a scheduler, and wait until it fires what is due."""
        self._start("scheduler", ["scheduler"], self.url)
        self.wait_until(lambda: "scheduler_ready" in self._log_of("scheduler").read_text(errors="replace"), "scheduler")

    def start_console(self, port: int | None = None) -> str:
        """Start a console, and wait until it answers; return a link that enters it once.

        Without a *port* it has the usual one, or a free one where somebody has that.
        """
        from taglane.settings import load_settings  # noqa: PLC0415
        from taglane_scheduler.services import build  # noqa: PLC0415

        self._start("console", ["console", *(["--else-free"] if port is None else ["--port", str(port)])], self.url)
        self.wait_until(lambda: _console_url(self._log_of("console")), "console")
        services = build(load_settings(url=self.url))
        try:
            return _console_url(self._log_of("console")) + services.access.tickets.make("enter")
        finally:
            services.close()

    def start_worker(self, tag: str, url: str, app: str, *, concurrency: int, environment: Mapping[str, str]) -> str:
        """Start a worker of *tag* with the credential in *url*; return what it is called here, before it is ready."""
        name = f"worker of {tag}"
        self._start(name, ["worker", "--tag", tag, "-A", app, "-c", str(concurrency)], url, environment)
        return name

    def run(self, *arguments: str) -> str:
        """Run one `taglane` command to its end, with the operator's credential; return what it wrote to stdout.

        Raises:
            CommandFailed: it ended with another code than 0.
        """
        done = subprocess.run(  # noqa: S603 - our own command; no shell
            [*COMMAND, *arguments],
            env={**os.environ, "TAGLANE_URL": self.url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(" ".join(arguments), done.stderr.strip())
        return done.stdout

    def wait_until(self, condition: Callable[[], object], name: str) -> None:
        """Wait until the process called *name* makes *condition* true.

        Raises:
            ProcessEnded: a process of the stack ended instead.
            NotReady: it took too long.
        """
        give_up = time.monotonic() + READY_SECONDS
        while not condition():
            self.check()
            if time.monotonic() > give_up:
                raise NotReady(name, self._last_words(name))
            time.sleep(0.05)

    def check(self) -> None:
        """Raise ProcessEnded when a process has ended that nobody has stopped."""
        for name, process in self._processes.items():
            if not process.alive:
                raise ProcessEnded(name, process.exit_code, self._last_words(name))

    def restart_scheduler(self) -> str | None:
        """Start the scheduler again if it has ended; return how it had ended, None while it goes on.

        Raises:
            ProcessEnded: the new one ended before it was ready.
            NotReady: it took too long.
        """
        scheduler = self._processes["scheduler"]
        if scheduler.alive:
            return None
        how = how_it_ended(scheduler.exit_code)
        scheduler.end()
        self.start_scheduler()
        return how

    def stop_processes(self) -> None:
        """Stop all but the server, the last started first: each finishes what it has begun."""
        while self._processes:
            _, process = self._processes.popitem()
            process.end(patience=PATIENCE)

    def _start(self, name: str, arguments: list[str], url: str, environment: Mapping[str, str] | None = None) -> None:
        self._processes[name] = ChildProcess(
            [*COMMAND, *arguments], log=self._log_of(name), environment={**(environment or {}), "TAGLANE_URL": url}
        )

    def _log_of(self, name: str) -> Path:
        return self._home / f"{name.replace(' ', '-')}.log"

    def _last_words(self, name: str) -> str:
        """What a process says of its end, the last lines: not that all went well before."""
        log = self._log_of(name)
        lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
        return "\n".join([line for line in lines if "level=INFO" not in line and "INFO/" not in line][-5:])


def has_console() -> bool:
    """Whether the extra is installed that the console takes."""
    return all(find_spec(name) for name in ("starlette", "uvicorn", "jinja2", "argon2"))


def _console_url(log: Path) -> str:
    """Return where a console says that it is; empty until it does."""
    found = re.search(r"console_ready url=(\S+)", log.read_text(errors="replace"))
    return found[1] if found else ""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that what it started is stopped on the way out."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
