"""Knows the server's time by our monotonic clock, and decides whether what the server says of it is to be believed.

Pure: the caller reads the clocks. A server whose clock jumps would have us fire what is not due, or miss what is. So a
time that is far from our reckoning is believed only when our own wall clock bears it out: a machine that slept looks
like that, and a pair of clocks that were both put right. When our wall clock alone jumps, nothing happens at all.
"""

from __future__ import annotations

from dataclasses import dataclass

APART_MS = 5_000
"""How far, ms, the server's time may be from our reckoning."""

PROMPT_MS = 1_000
"""How long, ms, the answer may have taken from which we begin to reckon."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the server said the time was, ms: it was so at some moment between *sent* and *read*.

    Those are s on our monotonic clock; *wall*, ms, is what our wall clock showed when it was read. However long one of
    the two processes stood still in between, that is no jump of a clock.
    """

    server: int
    sent: float
    read: float
    wall: float

    @property
    def took(self) -> float:
        """How long, ms, the answer took."""
        return (self.read - self.sent) * 1000


class ServerClock:
    """The server's clock as one process reckons it. The first prompt reading is the truth, and each that is believed.

    It outlives connections: a server that comes back with another time is not believed either.
    """

    def __init__(self) -> None:
        self.apart_ms: float | None = None
        """By how much the server's clock is off, where it is not believed; None while all is well."""

        self._ahead = self._ahead_of_wall = 0.0
        self._begun = False

    def take(self, reading: Reading) -> float:
        """Take in one reading; return by how much, ms, a jump of over 5 s was that we believe, else 0.

        Whether it is believed, `apart_ms` says. Small moves are followed: two good clocks drift apart, in weeks.
        """
        ahead, ahead_of_wall = reading.server - reading.read * 1000, reading.server - reading.wall
        if not self._begun:
            self._ahead, self._ahead_of_wall = ahead, ahead_of_wall
            self._begun = reading.took <= PROMPT_MS
            return 0.0
        reckoned = _nearest(self._ahead, ahead, reading.took)
        borne_out = _nearest(self._ahead_of_wall, ahead_of_wall, reading.took)
        moved = reckoned - self._ahead
        if abs(borne_out - self._ahead_of_wall) <= APART_MS:
            self._ahead_of_wall = borne_out
        elif abs(moved) > APART_MS:
            self.apart_ms = moved
            return 0.0
        self.apart_ms, self._ahead = None, reckoned
        return moved if abs(moved) > APART_MS else 0.0

    def now(self, at: float) -> float:
        """Return the server's time, ms, at *at*, s, on our monotonic clock; off by what an answer takes, at most."""
        return at * 1000 + self._ahead


def _nearest(known: float, earliest: float, width: float) -> float:
    """Return what comes nearest to *known* of all that a reading leaves possible."""
    return min(max(known, earliest), earliest + width)
