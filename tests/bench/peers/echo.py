"""Tells a producer when its task starts: the task sends the monotonic clock to a socket that BENCH_ECHO names.

Every peer's task does the same, so that a start is measured in one way, whatever a peer's results can tell.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from functools import cache
from pathlib import Path
from typing import Self


def tell() -> float:
    """Send when this is, s; answers it, too."""
    now = time.monotonic()
    _speaker().sendto(struct.pack("d", now), os.environ["BENCH_ECHO"])
    return now


@cache
def _speaker() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


class Ear:
    """Hears what tasks tell, at a new socket; as a context manager it closes it, and removes its file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)

    def hear(self, patience: float = 60.0) -> float:
        """When the next task started, s; TimeoutError when none does."""
        self._socket.settimeout(patience)
        (when,) = struct.unpack("d", self._socket.recv(8))
        return float(when)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        Path(self.path).unlink()
