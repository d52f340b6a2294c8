"""Adds up what ledgers count, which begin anew each day, to sums that only grow. Pure: no server, no clock.

A sum begins with 0 at the first reading, as Prometheus wants it of a counter whose process has just started: what it
was before was counted by another process, or by nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taglane.store.tallies import Tallied

Counts = dict[str, int]
"""What -> how often."""


class Growth:
    """What one tenant's ledgers have counted since the reading before.

    Args:
        new: the tenant was made after we had begun to read: all that was counted of it is growth.
    """

    def __init__(self, *, new: bool = False) -> None:
        self.day = ""
        """The day that was read last, YYYYMMDD."""
        self._last: Mapping[str, int] | None = {} if new else None

    def take(self, read: Tallied) -> Counts:
        """Return what was added since the last reading, across midnight too. What its tenant set back adds nothing."""
        last, same = self._last, read.day == self.day
        self.day, self._last = read.day, read.counts
        if last is None:
            return {}
        if same or not self.day:
            return _added(last, read.counts)
        grown = _added(last, read.before)
        add(grown, read.counts)
        return grown


def add(sums: Counts, more: Mapping[str, int]) -> None:
    """Add counts to sums."""
    for what, times in more.items():
        sums[what] = sums.get(what, 0) + times


def _added(before: Mapping[str, int], after: Mapping[str, int]) -> Counts:
    return {what: times - before.get(what, 0) for what, times in after.items() if times > before.get(what, 0)}
