"""The process of a server that a test kills, freezes and starts again: one beside sentinels, or of a cluster."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taglane_scheduler.child_process import ChildProcess


class ServerProcess:
    """What may be done to it; who starts it says how."""

    _process: ChildProcess | None = None

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP."""
        assert self._process is not None
        self._process.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send(signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM, if it runs; it is thawed before."""
        if self._process is not None:
            self.thaw()
        self._end(signal.SIGTERM)

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(by)
