"""Decides how much to hold: enough that no slot waits for the network, little enough that no run waits for a slot."""

from __future__ import annotations

HORIZON = 0.1
"""Seconds of work to hold beyond what is being executed."""

SHARED_HORIZON = 0.01
"""The same in a shared pool: whoever comes meanwhile, however short its queue, stands behind all of it."""

AHEAD = 0.005
"""Seconds of work that a pool with a queue of its own is given beyond what it executes."""

AHEAD_AT_MOST = 32

STALE = 2.0
"""Seconds after which a run that we hold and don't get to goes back to its queue, for another worker."""

FRESH = 0.8
"""The part of a lease after which a worker that could not renew starts nothing more of what it holds."""


class Pace:
    """Follows how long runs take. Pure.

    Args:
        batch: the most runs to hold.
    """

    def __init__(self, batch: int) -> None:
        self.horizon = HORIZON
        """Seconds of work to hold."""
        self._batch = batch
        self._mean = 0.02

    def learn(self, seconds: float) -> None:
        """Take in how long a run took."""
        self._mean += (seconds - self._mean) * 0.1

    def slow_down(self, seconds: float) -> None:
        """Expect runs to take at least that long, until they prove shorter."""
        self._mean = max(self._mean, seconds)

    def wanted(self, window: int) -> int:
        """How many runs to hold for *window* slots, beside those that execute: at least one."""
        return max(1, min(self._batch, self._runs_in(self.horizon, window)))

    def ahead(self, window: int) -> int:
        """How many runs to give to the pool beyond its *window* slots."""
        return min(AHEAD_AT_MOST, self._runs_in(AHEAD, window))

    def _runs_in(self, seconds: float, window: int) -> int:
        return int(seconds * window / max(self._mean, 1e-4))
