"""Shares one board between all who look at it: many pages at once cost the server as much as one."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taglane_scheduler.care.board import Board

T = TypeVar("T")

FRESH_S = 0.9
"""For how long a reading is shown before the next look reads again."""

PATIENCE_S = 0.15
"""For how long one look goes on reading tenants that were not read yet: soon after the start nobody is missing."""

WANTED_S = 5.0
"""For how long a tenant that somebody looked at is read with every step."""


class SharedBoard:
    """A board for many threads: whoever looks when the last reading is no longer fresh makes the next one.

    Args:
        board: what it shares.
        clock: seconds that never go back.
    """

    def __init__(self, board: Board, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._clock = clock
        self._lock = Lock()
        self._read_at: float | None = None
        self._wanted: dict[str, float] = {}

    def look(self, say: Callable[[Board], T], wanted: Iterable[str] = ()) -> T:
        """Return what *say* finds on the board, on which the *wanted* tenants are not older than a second.

        *say* is called while nobody else is at the board: it only picks, and asks no server.

        Raises:
            ServerUnavailable: the board was not fresh, and the server gives no answer.
        """
        with self._lock:
            now = self._clock()
            wanted = [*wanted]
            new = any(self._board.get(name) is None for name in wanted)
            self._wanted |= dict.fromkeys(wanted, now)
            if new or self._read_at is None or now - self._read_at >= FRESH_S:
                self._wanted = {name: at for name, at in self._wanted.items() if now - at < WANTED_S}
                self._board.step(self._wanted)
                while not self._board.is_full and self._clock() - now < PATIENCE_S:
                    self._board.step()
                self._read_at = self._clock()
            return say(self._board)
