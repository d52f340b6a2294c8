"""Keeps a list that may be too large for memory: packed, and in a file of its own when it has some megabytes."""

from __future__ import annotations

import json
import struct
import zlib
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_MEMORY = 16_777_216
"""Bytes that are held in memory; the file beyond has no name, and is for nobody's eyes but its owner's."""

_LENGTH = struct.Struct("<I")
_LEVEL = 1  # of packing: what many jobs share is a tenth of it, for 3 us a job


class Spool:
    """Values of JSON, added one by one and read again in their order. As a context manager it ends with the block."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._end = 0

    def add(self, value: Any) -> None:
        """Add a value; a tuple is a list when it is read."""
        packed = zlib.compress(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(), _LEVEL)
        self._file.seek(self._end)
        self._file.write(_LENGTH.pack(len(packed)) + packed)
        self._end += _LENGTH.size + len(packed)

    def __iter__(self) -> Iterator[Any]:
        """Read all from the first on; several may be at it at once, but none while more is added."""
        at = 0
        while at < self._end:
            self._file.seek(at)
            (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
            at += _LENGTH.size + length
            yield json.loads(zlib.decompress(self._file.read(length)))

    def close(self) -> None:
        """Forget all."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
