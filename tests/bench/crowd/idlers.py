"""Many idle workers in one process, each of a tenant of its own: what a real one asks of its server, and as often.

`python -m bench.crowd.idlers FILE PORT LEASE_S` reads a tenant and its password a line. Each worker has two
connections, as a real one: on one it fetches and waits on its bell, on the other its heart beats. It says `ready N`
once all are in, then `took RUN SECONDS` for each run that it was given, which it ends at once; seconds are of the
machine's monotonic clock.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import socket
import sys
import time
from collections import deque
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hiredis
from taglane.runtime.fetcher import WAIT
from taglane.runtime.sender import BEAT
from taglane.store import keys
from taglane.store.server import USER

if TYPE_CHECKING:
    from collections.abc import Callable

PORTS = 20_000
"""Connections from one address of the loopback interface: it has some 28,000 ports."""

AT_ONCE = 200
"""Workers that come in before the first of them has an answer."""


class Line:
    """One connection; *let_in* hears that it has logged in."""

    def __init__(self, hub: Hub, tenant: str, password: str, let_in: Callable[[Any], None]) -> None:
        self._hub = hub
        self._reader = hiredis.Reader()
        self._socket = socket.socket()
        self._socket.bind((f"127.0.0.{1 + hub.lines // PORTS}", 0))
        self._socket.connect(("127.0.0.1", hub.port))
        self._socket.setblocking(False)
        self._hears: deque[Callable[[Any], None]] = deque()
        hub.enter(self, self._socket.fileno())
        self.ask(let_in, "AUTH", USER + tenant, password)

    def ask(self, hear: Callable[[Any], None], *command: str | int) -> None:
        """Send one command; *hear* is called with its answer."""
        self._hears.append(hear)
        self._socket.send(hiredis.pack_command(command))  # type: ignore[arg-type]

    def listen(self) -> None:
        """Take what has come."""
        self._reader.feed(self._socket.recv(65_536))
        answer = self._reader.gets()
        while answer is not False:
            if isinstance(answer, Exception):
                raise answer
            self._hears.popleft()(answer)
            answer = self._reader.gets()


class Hub:
    """The connections of this process, and what is to be done when."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lines = 0
        self.ready = 0
        self._poll = select.epoll()
        self._by_file: dict[int, Line] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def enter(self, line: Line, file: int) -> None:
        """Listen to a connection from now on."""
        self.lines += 1
        self._by_file[file] = line
        self._poll.register(file, select.EPOLLIN)

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Do something at an instant of the monotonic clock."""
        heapq.heappush(self._timers, (when, next(self._number), do))

    def turn(self, longest: float = 0.1) -> None:
        """Do what is due, and take what has come."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        wait = min(longest, self._timers[0][0] - now) if self._timers else longest
        for file, _ in self._poll.poll(max(0.0, wait)):
            self._by_file[file].listen()


class Idler:
    """One worker: it says hello, fetches, waits on its bell, and beats. See `taglane.runtime` for the real one."""

    def __init__(self, hub: Hub, tenant: str, password: str, lease: float) -> None:
        self._hub, self._tenant, self._name = hub, tenant, f"{tenant}@crowd"
        self._prefix, self._bell = keys.prefix(tenant), keys.bell(tenant, tenant)
        self._sequence = 0
        self._beat_s = min(lease / 5, BEAT)
        self._lease = lease
        self._fetching = Line(hub, tenant, password, _ignored)
        self._beating = Line(hub, tenant, password, self._let_in)

    def _let_in(self, _: Any) -> None:
        told = ["info", json.dumps({"host": "crowd", "pid": os.getpid(), "slots": 1, "pool": "solo"})]
        told += ["tags", self._tenant, "tasks", json.dumps([f"shop.tasks.task{number}" for number in range(20)])]
        told += ["lease", str(round(self._lease * 1000)), "slots", "1"]
        self._call(self._beating, self._begin, "hello", *told)

    def _begin(self, _: Any) -> None:
        self._hub.ready += 1
        self._renew()
        self._fetch(None)

    def _renew(self) -> None:
        self._hub.at(time.monotonic() + self._beat_s, self._renew)
        self._call(self._beating, _ignored, "renew", 0, 0)

    def _fetch(self, _: Any) -> None:
        self._sequence += 1
        self._call(self._fetching, self._take, "fetch", self._sequence, "1 1", "1", self._tenant)

    def _take(self, answer: Any) -> None:
        _, _, runs, _ = answer
        if not runs:
            self._fetching.ask(self._fetch, "BLPOP", self._bell, int(WAIT))
            return
        now = time.monotonic()
        ends: list[str | int] = []
        for run, token, *_ in runs:
            print(f"took {run.decode()} {now:.6f}", flush=True)
            ends += [run.decode(), int(token), "succeeded", "1", "", ""]
        self._fetching.ask(self._fetch, "FCALL", "taglane_finish", 1, self._prefix, *ends)

    def _call(self, line: Line, hear: Callable[[Any], None], move: str, *arguments: str | int) -> None:
        line.ask(hear, "FCALL", f"taglane_{move}", 1, self._prefix, self._name, *arguments)


def _ignored(_: Any) -> None:
    """Take an answer that says nothing."""


def main(file: str, port: int, lease: float) -> None:
    """Let all workers in, spread over a heartbeat, and let them wait until this process is ended."""
    hub = Hub(port)
    lines = [line.split() for line in Path(file).read_text().splitlines()]
    for number, (tenant, password) in enumerate(lines):
        Idler(hub, tenant, password, lease)
        while number + 1 - hub.ready >= AT_ONCE:
            hub.turn(0.01)
    while hub.ready < len(lines):
        hub.turn()
    print(f"ready {hub.ready}", flush=True)
    while True:
        hub.turn()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
