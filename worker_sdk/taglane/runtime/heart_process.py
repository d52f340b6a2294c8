"""The program of a worker's heart: started by `heart` as a process of its own, with next to nothing in it.

To a server without TLS it speaks for itself, three commands in all: a client's imports would take five times the
memory, or, made when there is something to say, longer than a short lease lasts on a busy machine. To others a client
speaks that is imported at the start. It is told by its standard input: first what to call, marshalled; the end of it is
the end of the worker. Nothing is imported that an idle worker's heart can do without: it is as small as Python gets.
"""

from __future__ import annotations

import marshal
import mmap
import os
import select
import struct
import sys
import time

TYPE_CHECKING = False  # `typing` is large
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

LATE = 1.25
"""How many intervals after the last beat that was heard the next one is overdue."""

TIMEOUT = 5.0
"""Seconds until a silent server counts as gone."""


def main() -> None:
    """Beat while the worker does not, until it ends; skip beats while it is stopped."""
    memory = mmap.mmap(int(sys.argv[1]), 8, prot=mmap.PROT_READ)
    try:
        told = marshal.load(sys.stdin.buffer)  # noqa: S302 - it is our parent's, and the same Python wrote it
    except EOFError:
        return
    parent, interval = told["parent"], told["interval"]
    beat, own = _Plain(told).beat if told["plain"] else _caller(told), float("-inf")
    while not select.select([0], [], [], interval / 4)[0]:
        if os.getppid() != parent:
            return
        (heard,) = struct.unpack("d", memory[:8])
        now = time.monotonic()
        if now - heard < interval * LATE or now - own < interval or is_stopped(parent):
            continue
        own = now
        beat()


class _Plain:
    """One connection without TLS; whatever comes of a beat, the next one may get through."""

    def __init__(self, told: dict[str, Any]) -> None:
        prefix, move, worker = told["heartbeat"]
        self._place = told["plain"]
        self._call = _packed("FCALL", f"taglane_{move}", "1", prefix, worker)
        self._socket: socket.socket | None = None

    def beat(self) -> None:
        try:
            self._say(self._call if self._socket else self._connect() + self._call)
        except OSError:
            self._close()

    def _connect(self) -> bytes:
        """Connect; returns what is to be said first."""
        import socket  # noqa: PLC0415 - the first time that there is something to say

        place = self._place
        if "path" in place:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(TIMEOUT)
            self._socket.connect(place["path"])
        else:
            self._socket = socket.create_connection((place["host"], place["port"]), TIMEOUT)
        login = [text for text in (place["username"], place["password"]) if text] if place["password"] else []
        return (_packed("AUTH", *login) if login else b"") + _packed("SELECT", str(place["db"]))

    def _say(self, commands: bytes) -> None:
        assert self._socket is not None  # noqa: S101 - or it would have raised
        self._socket.sendall(commands)
        answer = self._socket.recv(65_536)
        if not answer or answer.startswith(b"-") or b"\n-" in answer:
            self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _packed(*words: str) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def _caller(told: dict[str, Any]) -> Callable[[], None]:
    """Return what makes one beat; whatever comes of it, the next one may get through."""
    sys.path[:] = told["path"]
    from contextlib import suppress  # noqa: PLC0415

    from taglane.errors import TaglaneError  # noqa: PLC0415
    from taglane.store.server import Server  # noqa: PLC0415

    server = Server(told["url"])

    def beat() -> None:
        with suppress(TaglaneError):
            server.call_at(*told["heartbeat"])

    return beat


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal. Without /proc nobody can tell, and it counts as going."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - pathlib is large
            status = file.read()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in "Tt"


if __name__ == "__main__":
    main()
