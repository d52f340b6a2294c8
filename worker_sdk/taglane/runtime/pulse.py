"""What one process of a worker or scheduler says of itself, for who answers `/livez` and `/readyz`: see `health`."""

from __future__ import annotations

import mmap
import struct
import time
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from taglane.runtime.slate import Slate

LIVE_S = 60.0
"""How long ago a loop may have turned last: far longer than what it waits for a server, and most code of a task."""

READY_S = 10.0
"""How long ago the server may have answered last; an idle process asks it every 3 s, if not more often."""


class State(IntEnum):
    """What a process is at."""

    STARTING = 0
    SERVING = 1
    HOLDS_FIRE = 2
    TAKES_NO_WORK = 3


class Pulse:
    """What one process says of itself, in memory that it shares with the process that forked it, which answers for it.

    Each of its three numbers is written alone, by one thread: nobody needs a lock.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, slate: Slate | None = None, *, name: str = ""
    ) -> None:
        self._clock = clock  # the same one in all processes of a machine
        self.name = name
        """What its checks are told by where there are several; without one, its number."""
        self.slate = slate
        """Where a worker shows what it has counted; None where nobody asks."""
        self._memory = mmap.mmap(-1, 24)
        self.begin()

    def begin(self) -> None:
        """Start anew, for a process that is about to start."""
        self._put(16, State.STARTING)
        self._put(8, float("-inf"))
        self.turn()

    def turn(self) -> None:
        """Say that the loop turns."""
        self._put(0, self._clock())

    def answer(self, state: State = State.SERVING) -> None:
        """Say that the server has answered, and what we are at."""
        self._put(16, state)
        self._put(8, self._clock())

    def stop(self) -> None:
        """Say that no more work is taken."""
        self._put(16, State.TAKES_NO_WORK)

    @property
    def state(self) -> State:
        """What the process is at."""
        return State(int(self._get(16)))

    def live_checks(self) -> dict[str, str]:
        """Return what is checked to see whether it lives: `ok`, or what is wrong."""
        return {"loop": _fresh("it turned last", self._clock() - self._get(0), LIVE_S)}

    def ready_checks(self) -> dict[str, str]:
        """Return what is checked to see whether it works."""
        state = self.state
        return {
            "server": _fresh("it answered last", self._clock() - self._get(8), READY_S),
            "work": "ok" if state is State.SERVING else state.name.lower().replace("_", " "),
        }

    def _get(self, offset: int) -> float:
        return float(struct.unpack_from("d", self._memory, offset)[0])

    def _put(self, offset: int, number: float) -> None:
        struct.pack_into("d", self._memory, offset, number)


def _fresh(what: str, age: float, most: float) -> str:
    if age <= most:
        return "ok"
    return "not yet" if age == float("inf") else f"{what} {age:.0f} s ago"
