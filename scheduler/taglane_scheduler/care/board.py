"""Holds how all tenants stood when they were last read, so that many pages ask the server little. For one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from taglane_scheduler.care.attention import Attention, attention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taglane.model.standing import TenantStanding
    from taglane.store.standings import Standings

    from taglane_scheduler.care.attention import Alert

SLICE = 200
"""Tenants that one step reads, beside those that are asked for."""

Sort = Literal["attention", "tenant", "queued", "oldest", "running", "failed", "workers"]


@dataclass(frozen=True, slots=True)
class Totals:
    """All tenants together."""

    tenants: int = 0
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
    """

    def __init__(self, standings: Standings, tenants: Callable[[], Sequence[str]]) -> None:
        self._standings = standings
        self._tenants = tenants
        self._known: dict[str, TenantStanding] = {}

    def step(self, wanted: Iterable[str] = ()) -> None:
        """Read the tenants that are *wanted* anew, and of all others those that were not read for the longest."""
        names = self._tenants()
        gone = self._known.keys() - set(names)
        for name in gone:
            del self._known[name]
        self._known |= {each.tenant: each for each in self._standings.read([*names])}

    def get(self, tenant: str) -> TenantStanding | None:
        """Return how a tenant stood when it was last read; None for one that was not read yet."""
        return self._known.get(tenant)

    def page(
        self, *, sort: Sort = "attention", pattern: str = "", start: int = 0, limit: int = 50, only: Iterable[str] = ()
    ) -> tuple[list[TenantStanding], int]:
        """Return some tenants, sorted, and how many there are; *pattern* is a part of the names."""
        found = [each for each in self._known.values() if pattern in each.tenant]
        return found[start : start + limit], len(found)

    def totals(self, tenants: Iterable[str] | None = None) -> Totals:
        """Return the sums over all tenants, or over these."""
        return Totals(len(self._known))

    def attention(self, alerts: Iterable[Alert] = (), most: int = 200) -> list[Attention]:
        """Return what needs attention of all tenants, the gravest first, *most* of it."""
        return attention(self._known.values(), alerts)[:most]
