"""What it costs that somebody looks on: open tabs of a real `taglane console`, and a `taglane top`, in ms a second."""

from __future__ import annotations

import os
import pty
import socket
import termios
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from processes import BIN
from taglane_scheduler.access.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taglane.store.server import Server

TABS = 10
SETTLE_S = 2.0
TICK = os.sysconf("SC_CLK_TCK")


def lines(server: Server, url: str, seconds: float) -> Iterator[str]:
    """Yield the figures: the server's processor time, and that of who shows it."""
    idle, _ = _spent(server, 0, seconds)
    yield f"{idle:9.2f} {'':>9} ms/s  server; its console or top: nobody looks"
    secret, _ = Access(server).api_keys.create("read", None, name="bench", by="bench")
    with _console(url) as (pid, address):
        for name, path, tabs in (
            ("a console that nobody looks at", "/", 0),
            ("1 tab on the overview", "/", 1),
            (f"{TABS} tabs on the overview", "/", TABS),
            (f"{TABS} tabs on the runs", "/runs", TABS),
        ):
            with _tabs(address, path, secret, tabs):
                yield _line(name, *_spent(server, pid, seconds))
    with _top(url) as pid:
        yield _line("taglane top", *_spent(server, pid, seconds))


def _line(name: str, server: float, process: float) -> str:
    return f"{server:9.2f} {process:9.2f} ms/s  {name}"


def _spent(server: Server, pid: int, seconds: float) -> tuple[float, float]:
    """How many ms of a second the server computes, and a process."""
    time.sleep(min(SETTLE_S, seconds))
    before, began = (_server(server), _process(pid)), time.monotonic()
    time.sleep(seconds)
    after, took = (_server(server), _process(pid)), time.monotonic() - began
    return 1_000 * (after[0] - before[0]) / took, 1_000 * (after[1] - before[1]) / took


def _server(server: Server) -> float:
    used: Any = server.redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _process(pid: int) -> float:
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@contextmanager
def _console(url: str) -> Iterator[tuple[int, str]]:
    command = [str(BIN / "taglane"), "console", "--port", "0"]
    with Popen(command, env=os.environ | {"TAGLANE_URL": url}, text=True, stdout=PIPE, stderr=DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield process.pid, process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@contextmanager
def _top(url: str) -> Iterator[int]:
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (50, 160))
    environment = os.environ | {"TAGLANE_URL": url, "TERM": "xterm-256color"}
    process = Popen([str(BIN / "taglane"), "top"], env=environment, stdin=its, stdout=its, stderr=DEVNULL)
    os.close(its)
    _swallow(lambda: os.read(ours, 65_536))  # ends with the terminal
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _tabs(address: str, path: str, secret: str, count: int) -> Iterator[None]:
    where = urlsplit(address)
    head = [f"GET /events?at={path} HTTP/1.1", f"Host: {where.netloc}", f"Authorization: Bearer {secret}", "", ""]
    with ExitStack() as tabs:
        for _ in range(count):
            tab = tabs.enter_context(socket.create_connection((where.hostname, where.port)))
            tab.sendall("\r\n".join(head).encode())
            if b" 200 " not in tab.recv(20):
                raise RuntimeError(f"the console opens no stream of {path}")
            tabs.callback(tab.shutdown, socket.SHUT_RDWR)
            _swallow(lambda tab=tab: tab.recv(65_536))  # type: ignore[misc]
        yield


def _swallow(read: Callable[[], bytes]) -> None:
    """Read in the background whatever comes, until there is no more."""

    def loop() -> None:
        with suppress(OSError):
            while read():
                pass

    threading.Thread(target=loop, daemon=True).start()
