"""A wall clock that a test sets forward or back while a process runs: libfaketime, loaded into that process.

Its monotonic clock is left alone, as it is when a machine's time is set.
"""

from __future__ import annotations

import os
from pathlib import Path

from processes import APPS

LIBRARY = "libfaketimeMT.so.1"
FOLDERS = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib64/faketime")


def find_library() -> Path | None:
    """Return where libfaketime is, as Debian and Fedora install it."""
    return next((path for path in (Path(folder) / LIBRARY for folder in FOLDERS) if path.exists()), None)


class FakedClock:
    """The wall clock of every process that is started with its `environment`: right, until it is set."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        """What a process takes that is to have this clock; so do its children."""
        return {
            "LD_PRELOAD": str(find_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": f"{APPS}{os.pathsep}{Path(__file__).parent / 'faked_sleep'}",
        }

    def set(self, seconds: int) -> None:
        """Let it be so many seconds off."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)
