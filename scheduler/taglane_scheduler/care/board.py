"""Holds how all tenants stood when they were last read, so that many pages ask the server little.

Each step reads those that somebody looks at, and a slice of the others in turn: its work is bounded, however many
tenants there are, and so is the age of what is held. For one thread: who shares it among several puts a lock around it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

from taglane_scheduler.care.attention import Attention, attention, of_tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taglane.model.standing import TenantStanding
    from taglane.store.standings import Standings

    from taglane_scheduler.care.attention import Alert

SLICE = 250
"""Tenants that one step reads, beside those that are asked for: about 20 ms of the server's time."""

NAMES_S = 5.0
"""How long the list of all tenants is believed."""

Sort = Literal["attention", "tenant", "queued", "oldest", "running", "failed", "workers"]


@dataclass(frozen=True, slots=True)
class Totals:
    """Several tenants together."""

    tenants: int = 0
    """How many there are; the sums are over those that were read by now."""
    read: int = 0
    queued: int = 0
    delayed: int = 0
    running: int = 0
    workers: int = 0
    stalled: int = 0
    dead: int = 0
    succeeded: int = 0
    """Within the last hour."""
    failed: int = 0
    """Within the last hour: failed, died or expired."""
    oldest: int | None = None


class Board:
    """The last reading of every tenant.

    Args:
        standings: what reads them.
        tenants: gives the names of all tenants that there are now.
        clock: monotonic, s.
    """

    def __init__(
        self,
        standings: Standings,
        tenants: Callable[[], Sequence[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._standings = standings
        self._tenants = tenants
        self._clock = clock
        self._names_until = float("-inf")
        self._turn: dict[str, None] = {}  # whoever was read longest ago comes first
        self._known: dict[str, TenantStanding] = {}
        self._grave: dict[str, tuple[Attention, ...]] = {}
        self._ended: dict[str, tuple[int, int]] = {}  # within the last hour: well, and not

    def step(self, wanted: Iterable[str] = ()) -> None:
        """Read the tenants that are *wanted* anew, and of all others those that were not read for the longest.

        Raises:
            ServerUnavailable: no answer; what was read before stays.
        """
        if self._clock() >= self._names_until:
            self._adopt(self._tenants())
            self._names_until = self._clock() + NAMES_S
        asked = dict.fromkeys(tenant for tenant in wanted if tenant in self._turn)
        asked |= dict.fromkeys(islice((tenant for tenant in self._turn if tenant not in asked), SLICE))
        for standing in self._standings.read(list(asked)):
            del self._turn[standing.tenant]
            self._turn[standing.tenant] = None
            self._known[standing.tenant] = standing
            self._ended[standing.tenant] = standing.succeeded, standing.failed
            if grave := tuple(of_tenant(standing)):
                self._grave[standing.tenant] = grave
            else:
                self._grave.pop(standing.tenant, None)

    def fill(self) -> None:
        """Read all tenants that were not read yet: for who begins, and can wait for it.

        Raises:
            ServerUnavailable: no answer.
        """
        self.step()
        while not self.is_full:
            self.step()

    @property
    def is_full(self) -> bool:
        """Whether nobody is missing: everybody has been read once, that is known of."""
        return len(self._known) == len(self._turn)

    def get(self, tenant: str) -> TenantStanding | None:
        """Return how a tenant stood when it was last read; None for one that was not read yet."""
        return self._known.get(tenant)

    def page(
        self,
        *,
        sort: Sort = "attention",
        pattern: str = "",
        start: int = 0,
        limit: int = 50,
        among: Iterable[str] | None = None,
    ) -> tuple[list[TenantStanding], int]:
        """Return some tenants, sorted, and how many fit: their names hold *pattern*, and they are *among* these."""
        names = self._known if among is None else [name for name in among if name in self._known]
        found = [self._known[name] for name in names if pattern in name]
        found.sort(key=lambda each: (*self._rank(each, sort), each.tenant))
        return found[start : start + limit], len(found)

    def totals(self, among: Iterable[str] | None = None) -> Totals:
        """Return the sums over all tenants, or over these."""
        names = self._turn if among is None else list(among)
        found = [self._known[name] for name in names if name in self._known]
        return Totals(
            tenants=len(names),
            read=len(found),
            queued=sum(each.queued for each in found),
            delayed=sum(each.delayed for each in found),
            running=sum(each.running for each in found),
            workers=sum(each.workers for each in found),
            stalled=sum(each.stalled for each in found),
            dead=sum(each.dead for each in found),
            succeeded=sum(self._ended[each.tenant][0] for each in found),
            failed=sum(self._ended[each.tenant][1] for each in found),
            oldest=max((each.oldest for each in found if each.oldest is not None), default=None),
        )

    def attention(
        self, alerts: Iterable[Alert] = (), most: int = 200, among: Iterable[str] | None = None
    ) -> list[Attention]:
        """Return what needs attention of all tenants, or of these, the gravest first, *most* of it."""
        names = self._grave if among is None else [name for name in among if name in self._grave]
        return attention((), alerts, known=(each for name in names for each in self._grave[name]))[:most]

    def _adopt(self, names: Sequence[str]) -> None:
        """Forget tenants that are gone, and put new ones in front."""
        there = set(names)
        for name in [name for name in self._turn if name not in there]:
            del self._turn[name]
            self._known.pop(name, None)
            self._ended.pop(name, None)
            self._grave.pop(name, None)
        new = {name: None for name in names if name not in self._turn}
        self._turn = {**new, **self._turn}

    def _rank(self, each: TenantStanding, sort: Sort) -> tuple[int, ...]:
        match sort:
            case "attention":
                return (-len(self._grave.get(each.tenant, ())), -(each.oldest or 0), -each.queued)
            case "tenant":
                return ()
            case "queued":
                return (-each.queued - each.delayed,)
            case "oldest":
                return (-(each.oldest if each.oldest is not None else -1),)
            case "running":
                return (-each.running,)
            case "failed":
                succeeded, failed = self._ended[each.tenant]
                return (-failed, -succeeded)
            case "workers":
                return (-each.workers,)
