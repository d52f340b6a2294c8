"""Shows what a worker process has counted to the process that forked it, in memory that both share.

The writer writes now and then; the reader checks what it reads by its sum, and takes what it read last where the two
met. What a process counted stays with its reader when a successor takes its place.
"""

from __future__ import annotations

import json
import mmap
import struct
import threading
import time
import zlib
from typing import TYPE_CHECKING

from taglane.runtime.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 524_288
"""Bytes: what a tally takes at most, whose names and places are bounded; pages that are not used cost nothing."""

EVERY_S = 0.5
"""How often it is written, at most."""

_HEAD = struct.Struct("II")


class Slate:
    """One process's place. To be made before the process is forked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = mmap.mmap(-1, SIZE)
        self._clock = clock
        self._write_at = 0.0
        self._last = Tally()
        self._gone = Tally()
        self._lock = threading.Lock()

    def is_due(self) -> bool:
        """Whether it is time to write."""
        return self._clock() >= self._write_at

    def write(self, tally: Tally) -> None:
        """Show a tally. Called by one thread of the process whose place it is."""
        self._write_at = self._clock() + EVERY_S
        text = json.dumps(tally.dump(), separators=(",", ":")).encode()
        if _HEAD.size + len(text) <= SIZE:
            _HEAD.pack_into(self._memory, 0, len(text), zlib.crc32(text))
            self._memory[_HEAD.size : _HEAD.size + len(text)] = text

    def read(self) -> Tally:
        """Return what this place's processes have counted, all together."""
        with self._lock:
            self._last = self._shown() or self._last
            found = Tally()
            found.add(self._gone)
            found.add(self._last)
            return found

    def retire(self) -> None:
        """Keep what the process has counted, for it is gone and another takes its place."""
        with self._lock:
            self._gone.add(self._shown() or self._last, is_gone=True)
            self._last = Tally()
            _HEAD.pack_into(self._memory, 0, 0, 0)

    def _shown(self) -> Tally | None:
        for _ in range(3):
            length, checksum = _HEAD.unpack_from(self._memory)
            if not 0 < length <= SIZE - _HEAD.size:
                return None
            text = self._memory[_HEAD.size : _HEAD.size + length]
            if zlib.crc32(text) == checksum:
                return Tally.load(json.loads(text))
        return None
