"""Gathers the figures of all tenants in the background, a portion at a time, so that a scrape reads none of them.

The busiest tenants go by their names, all others together as `OTHER`: a tenant's counts are added to whatever it goes
by at that moment, so the sums grow whoever comes and goes. Who goes by its name is read anew each few seconds; the
others in turn, `RATE` a second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from heapq import nlargest
from typing import TYPE_CHECKING

from taglane.errors import TaglaneError

from taglane_scheduler.metrics.sums import Counts, Growth, add

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from taglane.model.standing import TenantStanding
    from taglane.store.standings import Standings
    from taglane.store.tallies import Tallies

log = logging.getLogger(__name__)

OTHER = "_other"
"""What the tenants that don't go by their names are called: no tenant can be called that."""

EVERY_S = 1.0
"""Between two steps."""

FRESH_S = 5.0
"""How old the figures of a tenant that goes by its name may be."""

RATE = 200
"""Tenants of the others that are read in a second."""

PORTION = 50
"""Tenants of one round trip, a few ms of the server."""

FIRST_S = 2.0
"""How long the first scrape waits, at most, while everything is read for the first time."""

IDLE_S = 900.0
"""So long after the last scrape nothing is gathered any more; the next one begins again where this has ended."""

STAYS = 2.0
"""A tenant keeps its name until another has so many times its activity: names that come and go are of no use."""


@dataclass(slots=True)
class Figures:
    """What is known of one tenant, or of all the others together."""

    sums: Counts = field(default_factory=dict)
    standings: dict[str, TenantStanding] = field(default_factory=dict)
    """How each of them stood when it was last read."""


class Gathering:
    """The figures of all tenants. `step` is for one thread; what it has found may be read by any.

    Args:
        tallies: reads ledgers.
        standings: reads how tenants stand.
        tenants: gives the names of all tenants that there are now.
        most: how many go by their names.
        clock: monotonic, s.
    """

    def __init__(
        self,
        tallies: Tallies,
        standings: Standings,
        tenants: Callable[[], Sequence[str]],
        *,
        most: int = 200,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tallies = tallies
        self._standings = standings
        self._tenants = tenants
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._figures: dict[str, Figures] = {OTHER: Figures()}
        self._growth: dict[str, Growth] = {}
        self._activity: dict[str, tuple[float, float]] = {}
        self._turn: deque[str] = deque()
        self._fresh: set[str] = set()
        self._passes = 0
        self._read_named_at = self._budget_at = clock()
        self._read_named_at -= FRESH_S
        self._asked_at: float | None = None
        self._wakes = threading.Condition()
        self.seconds = 0.0
        """How long the steps have taken, all together."""
        self.failures = 0
        """Steps in which the server did not answer."""

    @property
    def is_complete(self) -> bool:
        """Whether each tenant has been read once."""
        return self._passes > 0

    def step(self) -> int:
        """Read those that go by their names, if it is time, and some of the others; return how many tenants.

        Raises:
            ServerUnavailable: no answer; the next step reads them again.
        """
        began = self._clock()
        count = 0
        if began >= self._read_named_at + FRESH_S:
            named = [name for name in self._figures if name != OTHER]
            count += self._read(named)
            self._read_named_at, self._fresh = began, set(named)
        budget = min(10 * RATE, int((began - self._budget_at) * RATE)) if self.is_complete else 10 * RATE
        self._budget_at = began
        if not self._turn:
            self._begin_pass()
        portion = [self._turn.popleft() for _ in range(min(budget, len(self._turn)))]
        try:
            count += self._read([name for name in portion if name not in self._fresh])
        except TaglaneError:
            self._turn.extendleft(reversed(portion))
            raise
        if not self._turn and portion:
            self._end_pass()
        self.seconds += self._clock() - began
        return count

    def run(self, stopping: threading.Event) -> None:
        """Step, from the first scrape on, as long as somebody scrapes; until *stopping* is set."""
        fails = 0
        while not stopping.is_set():
            if self._asked_at is None or self._clock() > self._asked_at + IDLE_S:
                with self._wakes:
                    self._wakes.wait(EVERY_S)
                continue
            try:
                self.step()
                fails = 0
            except TaglaneError as error:
                self.failures += 1
                fails += 1
                if fails == 1:  # said once, not each second
                    log.warning("metrics_not_gathered error=%s", error)
            with self._wakes:
                self._wakes.notify_all()
            stopping.wait(EVERY_S if self.is_complete else 0.01)

    def ask(self) -> dict[str, Figures]:
        """Return what is known by now, by what it goes by; `OTHER` is always there. The first asks for it to begin."""
        self._asked_at = self._clock()
        if not self.is_complete:
            with self._wakes:
                self._wakes.notify_all()
                self._wakes.wait_for(lambda: self.is_complete, FIRST_S)
        with self._lock:
            return {name: Figures(dict(each.sums), dict(each.standings)) for name, each in self._figures.items()}

    def standings(self) -> list[TenantStanding]:
        """Return how each tenant stood when it was last read."""
        with self._lock:
            return [each for figures in self._figures.values() for each in figures.standings.values()]

    def _read(self, tenants: Sequence[str]) -> int:
        for start in range(0, len(tenants), PORTION):
            some = tenants[start : start + PORTION]
            tallied = self._tallies.read({name: self._grows(name).day for name in some})
            standing = self._standings.read(some)
            with self._lock:
                for name, read in tallied.items():
                    grown = self._grows(name).take(read)
                    add(self._of(name).sums, grown)
                    self._note_activity(name, grown.get("made", 0))
                for each in standing:
                    # Of many tenants, what no figure is made of would take ten times the memory of the rest.
                    self._of(each.tenant).standings[each.tenant] = replace(each, recent=(), failing=())
        return len(tenants)

    def _note_activity(self, tenant: str, made: int) -> None:
        """Keep how many runs are made a minute: of late, and before."""
        now = self._clock()
        before, at = self._activity.get(tenant, (0.0, now))
        rate = 60 * made / max(now - at, EVERY_S)
        self._activity[tenant] = ((before + rate) / 2, now)

    def _grows(self, tenant: str) -> Growth:
        return self._growth.setdefault(tenant, Growth(new=self.is_complete))

    def _of(self, tenant: str) -> Figures:
        return self._figures.get(tenant) or self._figures[OTHER]

    def _begin_pass(self) -> None:
        names = self._tenants()
        self._forget(self._growth.keys() - set(names))
        if len(names) <= self._most:
            with self._lock:
                for name in names:
                    self._name(name)
        self._turn.extend(names)
        if not names:
            self._passes += 1

    def _end_pass(self) -> None:
        """Let those go by their names that have the most to do."""
        self._passes += 1
        with self._lock:
            standings = dict(self._all_standings())
            scores = {name: self._score(name, standings.get(name)) for name in self._growth}
            busiest = nlargest(self._most, scores, key=lambda name: (scores[name], name in self._figures))
            for name in [name for name in self._figures if name != OTHER and name not in busiest]:
                self._figures[OTHER].standings |= self._figures.pop(name).standings
            for name in busiest:
                self._name(name)

    def _score(self, name: str, standing: TenantStanding | None) -> float:
        waits = standing.queued + standing.delayed + standing.running if standing else 0
        return (self._activity.get(name, (0.0, 0.0))[0] + waits) * (STAYS if name in self._figures else 1.0)

    def _name(self, tenant: str) -> None:
        """Let a tenant go by its name from now on. The lock is held."""
        if tenant not in self._figures:
            self._figures[tenant] = Figures()
            standing = self._figures[OTHER].standings.pop(tenant, None)
            if standing is not None:
                self._figures[tenant].standings[tenant] = standing

    def _forget(self, tenants: Iterable[str]) -> None:
        with self._lock:
            for name in tenants:
                self._growth.pop(name, None)
                self._activity.pop(name, None)
                self._figures.pop(name, None)
                self._figures[OTHER].standings.pop(name, None)

    def _all_standings(self) -> Mapping[str, TenantStanding]:
        return {name: each for figures in self._figures.values() for name, each in figures.standings.items()}
