"""A real Valkey or Redis server as our own child process: for `taglane demo`, `taglane dev` and the tests.

It listens on the loopback interface alone and wants a password. It ends with the process that started it, however
that one ends. Nothing here imports redis, which costs a command 187 ms.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from taglane.errors import ServerUnavailable

from taglane_scheduler.child_process import ChildProcess
from taglane_scheduler.server_binary import ServerBinary, ServerNotFound, find_server

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EmbeddedServer", "ServerBinary", "ServerDidNotStart", "ServerNotFound", "find_server"]

READY_SECONDS = 10.0
PORTS_TRIED = 5
OURS = frozenset({"bind", "port", "dir", "requirepass", "daemonize", "logfile", "include", "supervised"})
"""Directives that `options` may not set: the url, the log and the end of the process depend on them."""


class ServerDidNotStart(ServerUnavailable):
    """The server ended, or answered no PING, before its deadline; carries the last lines of its log."""

    def __init__(self, binary: ServerBinary, why: str, log: str) -> None:
        super().__init__(f"{binary} did not start: {why}\n{log}".rstrip())
        self.binary, self.why, self.log = binary, why, log


class _PortTaken(Exception):
    """Another process took the port between our asking for it and the server's binding it."""


class EmbeddedServer:
    """One server process. As a context manager it starts on entry and stops on exit.

    binary     what to run; None looks with `find_server()`, which raises `ServerNotFound`
    directory  keeps the data there, in an append-only file that loses nothing answered even to `kill()`;
               None keeps it in memory, and `stop()` leaves nothing behind
    options    further lines of the configuration file, by directive, as they would be written there (`{"maxmemory":
               "10mb"}`); ValueError for those that would change where it listens, its password or its log
    """

    def __init__(
        self,
        *,
        binary: ServerBinary | None = None,
        directory: Path | str | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.binary = binary or find_server()
        self.directory = Path(directory).absolute() if directory is not None else None
        self.password, self.port = "", 0  # chosen by start()
        self._options = _checked(options or {})
        self._home: Path | None = None  # configuration and log; the data too when no directory was given
        self._process: ChildProcess | None = None
        self._owner = 0  # the process that started it: a forked child must not stop its parent's server

    @property
    def url(self) -> str:
        """`redis://:password@127.0.0.1:port/0`, of the user `default`, who may do everything."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id. RuntimeError when it is not running."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether the process lives; a frozen one does."""
        return self._process is not None and self._process.alive

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start on a free port and wait until it answers PING. RuntimeError if it runs; `ServerDidNotStart`."""
        if self._process is not None:
            raise RuntimeError("this server was started already: stop() or restart() it")
        self._home = Path(tempfile.mkdtemp(prefix="taglane-server-"))
        self._owner = os.getpid()
        atexit.register(self.stop)
        try:
            self._start_on_a_free_port()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process (SIGTERM, after 5 s SIGKILL) and remove what was temporary. Does nothing if it is stopped."""
        if self._home is None or self._owner != os.getpid():
            return
        self._end(signal.SIGTERM)
        shutil.rmtree(self._home, ignore_errors=True)
        self._home = None
        atexit.unregister(self.stop)

    def restart(self) -> None:
        """Start again on the same port, directory and password, after ending the process if it still runs.

        Data outlives it only with a `directory`. RuntimeError if it was never started or was stopped.
        """
        self._started()
        self._end(signal.SIGTERM)
        give_up = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._launch()
            except _PortTaken as taken:  # by a client's outgoing connection, perhaps: it may go soon
                if time.monotonic() > give_up:
                    raise ServerDidNotStart(self.binary, f"port {self.port} is taken", self.log_tail()) from taken
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """SIGKILL, as a crash would end it; `restart()` brings it back."""
        self._running()
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: its connections stay open and nothing is answered until `thaw()`."""
        self._running().send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: undo `freeze()`."""
        self._running().send(signal.SIGCONT)

    def log_tail(self, lines: int = 15) -> str:
        """The last lines that the server wrote since its start; empty when there are none."""
        log = self._home and self._home / "server.log"
        text = log.read_text(errors="replace") if log and log.is_file() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _running(self) -> ChildProcess:
        if self._process is None:
            raise RuntimeError("this server is not running")
        return self._process

    def _start_on_a_free_port(self) -> None:
        for _ in range(PORTS_TRIED):
            self.port, self.password = free_port(), secrets.token_urlsafe(24)
            try:
                return self._launch()
            except _PortTaken:
                continue
        raise ServerDidNotStart(self.binary, f"{PORTS_TRIED} free ports were each taken at once", self.log_tail())

    def _launch(self) -> None:
        """Start the process and wait for its PING. Whatever fails, no process is left behind."""
        home = self._started()
        self._process = ChildProcess(
            [str(self.binary.path), str(self._write_configuration(home))],
            log=home / "server.log",
            environment={"LC_ALL": "C"},  # Redis 7 refuses to start in a locale that is not installed
        )
        try:
            self._wait_until_ready()
        except BaseException:
            self._end(signal.SIGKILL)
            raise

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + READY_SECONDS
        while not _answers(self.port, self.password):
            log = self.log_tail()
            if not self.running:
                if "Address already in use" in log:
                    raise _PortTaken
                raise ServerDidNotStart(self.binary, "it ended at once", log)
            if time.monotonic() > give_up:
                raise ServerDidNotStart(self.binary, f"no PING was answered within {READY_SECONDS:g} s", log)
            time.sleep(0.01)

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(by)

    def _started(self) -> Path:
        if self._home is None:
            raise RuntimeError("this server was not started, or was stopped")
        return self._home

    def _write_configuration(self, home: Path) -> Path:
        """The file, readable by us alone: it holds the password, which a command line would show to everyone."""
        data = self.directory or home
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        directives = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password,
            "dir": '"' + str(data).replace("\\", "\\\\").replace('"', '\\"') + '"',
            "maxmemory-policy": "noeviction",
            "appendonly": "yes" if self.directory else "no",
            "save": '""',
            **self._options,
        }
        path = home / "server.conf"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name} {value}\n" for name, value in directives.items()))
        return path


def _checked(options: Mapping[str, str]) -> dict[str, str]:
    """The options with their names in lower case; ValueError for one that is ours or holds a second line."""
    for name, value in options.items():
        if name.lower() in OURS or not name.replace("-", "").isalnum() or "\n" in value:
            raise ValueError(f"the embedded server takes no option {name!r} with the value {value!r}")
    return {name.lower(): value for name, value in options.items()}


def free_port() -> int:
    """Ask the OS for a port of the loopback interface that nobody has at this moment."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def _answers(port: int, password: str) -> bool:
    """Whether *our* server answers PING there: a stranger on the same port would refuse the password."""
    question = f"AUTH {password}\r\nPING\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(question)
            answer = b""
            while answer.count(b"\r\n") < 2 and (more := connection.recv(256)):
                answer += more
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"
