"""Counts what one worker process does, by task and tag: what it fetched, began and ended, and how long that took.

What is counted is bounded, whatever the tasks are called and raise: behind `MOST_PLACES` all others share one place.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taglane.runtime.carry import Outcome
    from taglane.runtime.held import Held

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Ends of the buckets of durations, s: those that Prometheus' clients and celery-exporter have."""

MOST_PLACES = 100
"""Pairs of task and tag that are counted apart."""

MOST_ERRORS = 8
"""Kinds of errors that are counted apart, of one of these."""

LONGEST = 100
"""Characters of a name that are kept."""

OTHER = "_other"

_KIND = re.compile(r'"exc_type": ?"([A-Za-z_][\w.]{0,99})"')


@dataclass(slots=True)
class Place:
    """The counts of one task for one tag."""

    received: int = 0
    begun: int = 0
    """Attempts that began and have ended since."""
    going: int = 0
    """Attempts that go on."""
    ended: dict[str, int] = field(default_factory=dict)
    """How often an attempt ended how: see `Outcome.kind`."""
    errors: dict[str, int] = field(default_factory=dict)
    """Of those that failed for good, how often by which kind of error."""
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def add(self, other: Place) -> None:
        """Count what another has counted, too."""
        self.received += other.received
        self.begun += other.begun
        self.going += other.going
        self.seconds += other.seconds
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]
        for mine, theirs in ((self.ended, other.ended), (self.errors, other.errors)):
            for what, times in theirs.items():
                mine[what] = mine.get(what, 0) + times


class Tally:
    """The counts of a process. Each of its methods is called by one thread, or under the holdings' lock."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, str], Place] = {}
        self.fetches = 0
        """Calls that asked for runs."""
        self.lost = 0
        """Leases that the server gave to others."""
        self.reconnects = 0
        """How often the server was gone, and came back."""
        self.slots = 0
        self.held = 0
        self.busy = 0

    def received(self, task: str, tag: str) -> None:
        """Count a run that was fetched."""
        self._place(task, tag).received += 1

    def ended(self, held: Held, outcome: Outcome, ran: float | None) -> None:
        """Count the end of an attempt, after *ran* seconds; None for one that never began."""
        place = self._place(held.delivery.task, held.delivery.tag)
        place.ended[outcome.kind] = place.ended.get(outcome.kind, 0) + 1
        if ran is not None:
            place.begun += 1
            place.seconds += ran
            place.buckets[bisect_left(BOUNDS, ran)] += 1
        if outcome.kind in ("failed", "dead"):
            found = _KIND.search(outcome.result[:400])
            kind = found[1] if found else OTHER
            if kind not in place.errors and len(place.errors) >= MOST_ERRORS:
                kind = OTHER
            place.errors[kind] = place.errors.get(kind, 0) + 1

    def look(self, roster: Iterable[Held]) -> None:
        """Take in what is held now."""
        self.held = self.busy = 0
        for place in self.places.values():
            place.going = 0
        for held in roster:
            self.held += 1
            if held.started_at is not None:
                self.busy += 1
                self._place(held.delivery.task, held.delivery.tag).going += 1

    def add(self, other: Tally, *, is_gone: bool = False) -> None:
        """Count what another process has counted, too; of one that *is_gone*, nothing that was so at a moment alone."""
        self.fetches += other.fetches
        self.lost += other.lost
        self.reconnects += other.reconnects
        if not is_gone:
            self.slots += other.slots
            self.held += other.held
            self.busy += other.busy
        for (task, tag), theirs in other.places.items():
            place = self._place(task, tag)
            place.add(theirs)
            if is_gone:  # what was going on began, and ended with its process
                place.begun += theirs.going
                place.going -= theirs.going

    def dump(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        places = [
            [task, tag, each.received, each.begun, each.going, each.ended, each.errors, each.seconds, each.buckets]
            for (task, tag), each in list(self.places.items())
        ]
        numbers = [self.fetches, self.lost, self.reconnects, self.slots, self.held, self.busy]
        return {"places": places, "numbers": numbers}

    @classmethod
    def load(cls, dumped: dict[str, Any]) -> Tally:
        """Return what `dump` gave of a tally."""
        tally = cls()
        tally.fetches, tally.lost, tally.reconnects, tally.slots, tally.held, tally.busy = dumped["numbers"]
        for task, tag, *counts in dumped["places"]:
            tally.places[task, tag] = Place(*counts)
        return tally

    def _place(self, task: str, tag: str) -> Place:
        found = self.places.get((task, tag))
        if found is not None:
            return found
        key = (task[:LONGEST], tag[:LONGEST])
        if key not in self.places and len(self.places) >= MOST_PLACES:
            key = (OTHER, OTHER)
        return self.places.setdefault(key, Place())
