"""Decides when a worker is dead: its heartbeat counter stood still for a whole lease, on the watcher's own clock.

No clock of another machine is trusted, nor is ours when it was not looking: time counts only between two prompt reads.
After a longer gap (a frozen server or watcher, a suspended machine, a lost connection) a watch starts anew, so the
worst that can happen is that a dead worker is noticed later.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable


def next_after(me: str, workers: Iterable[str], most: int) -> list[str]:
    """Return the *most* workers that come after me in their order, which goes round; I am none of them."""
    ordered = sorted(set(workers) - {me})
    first = bisect(ordered, me)
    return (ordered[first:] + ordered[:first])[:most]


@dataclass(slots=True)
class _Standing:
    counter: str
    since: float
    read: float


class Watch:
    """Watches the counters of many workers. Pure: the caller reads the counters and the clock.

    Args:
        lease: for how long a living worker may be silent, in the unit of every `at`.
    """

    def __init__(self, lease: float) -> None:
        self.lease = lease
        self._gap = lease / 3
        self._standing: dict[Hashable, _Standing] = {}

    def observe(self, worker: Hashable, counter: str, at: float, lease: float = 0.0) -> bool:
        """Take in one reading, *at* the moment when its answer came; return whether the worker is dead.

        A worker whose own *lease* is longer than ours is given that time: it sends its heartbeats accordingly.
        *counter* is compared and never counted: give '' for a worker that has none. Dead stays dead at each further
        reading, until the counter moves or there is a gap.
        """
        known = self._standing.get(worker)
        if known is None or known.counter != counter or not 0 <= at - known.read <= self._gap:
            self._standing[worker] = _Standing(counter, at, at)
            return False
        known.read = at
        return at - known.since >= max(self.lease, lease)

    def stands(self, worker: Hashable, longer: float = 0.0) -> bool:
        """Whether a counter stood still between readings, for *longer* than that."""
        known = self._standing.get(worker)
        return known is not None and known.read - known.since > longer

    def keep(self, workers: Collection[Hashable]) -> None:
        """Forget all workers but these: what is not read any more is not watched."""
        for worker in self._standing.keys() - set(workers):
            del self._standing[worker]

    def restart(self) -> None:
        """Start every watch anew: after an error or a reconnect."""
        self._standing.clear()
