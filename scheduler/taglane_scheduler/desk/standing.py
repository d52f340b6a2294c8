"""The desk's view of how tenants stand: all of them on one board, or the one that somebody sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane_scheduler.care.attention import attention
from taglane_scheduler.care.board import Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane.model.standing import TenantStanding

    from taglane_scheduler.care.attention import Attention
    from taglane_scheduler.care.board import Board, Sort
    from taglane_scheduler.desk.desk import Desk

SHOWN = 50
"""Lines of what needs attention; of more, it is said that there are more."""

EVERY = 1_000_000
"""More than there are tenants."""


class StandingDesk:
    """How the tenants stand that one principal sees. Every method may raise TenantNotFound and ServerUnavailable.

    Who sees all tenants looks at a board that all share; who sees one asks for that one alone.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    def of(self, tenant: str) -> TenantStanding:
        """Return how one tenant stands now."""
        self._desk.tenant(tenant, "read", "reading how a tenant stands")
        (found,) = self._services.stores.standings.read([tenant])
        return found

    def page(self, sort: Sort, pattern: str, start: int, limit: int) -> tuple[Sequence[TenantStanding], int]:
        """Return some of all tenants, whose names hold *pattern*, sorted, and how many there are of these."""
        self._require_all()

        def pick(board: Board) -> tuple[list[TenantStanding], int]:
            return board.page(sort=sort, pattern=pattern, start=start, limit=limit)

        shown, _ = self._services.board.look(pick)
        return self._services.board.look(pick, [each.tenant for each in shown])

    def all(self, tenant: str | None = None) -> Sequence[TenantStanding]:
        """Return how all tenants stood of late that the principal sees, by name; of *tenant* alone when it is given."""
        owner = tenant or self._desk.principal.tenant
        if owner is not None:
            return [self.of(owner)]
        return self._services.board.look(lambda board: board.page(sort="tenant", limit=EVERY)[0])

    def some(self, tenants: Sequence[str]) -> Mapping[str, TenantStanding]:
        """Return how these tenants stand that were read already; they are read with every look for a while."""
        self._require_all()

        def pick(board: Board) -> dict[str, TenantStanding]:
            return {each.tenant: each for each in map(board.get, tenants) if each is not None}

        return self._services.board.look(pick, tenants)

    def freshen(self, tenants: Sequence[str]) -> None:
        """Let these tenants be read with every look for a while: somebody has them on a page."""
        if self._desk.principal.tenant is None:
            self._services.board.look(lambda _: None, tenants)

    def totals(self) -> Totals:
        """Return the sums over all tenants that the principal sees."""
        owner = self._desk.principal.tenant
        if owner is None:
            return self._services.board.look(lambda board: board.totals())
        found = self.of(owner)
        return Totals(
            tenants=1,
            read=1,
            queued=found.queued,
            delayed=found.delayed,
            running=found.running,
            workers=found.workers,
            stalled=found.stalled,
            dead=found.dead,
            succeeded=found.succeeded,
            failed=found.failed,
            oldest=found.oldest,
        )

    def attention(self) -> Sequence[Attention]:
        """Return what needs attention of the tenants in sight, the gravest first: one more than is shown."""
        owner = self._desk.principal.tenant
        alerts = self._services.alerts.list(owner)
        if owner is None:
            return self._services.board.look(lambda board: board.attention(alerts, SHOWN + 1))
        return attention([self.of(owner)], alerts)[: SHOWN + 1]

    def now(self) -> int:
        """Return the time of the server, ms since 1970: what all times are by."""
        with self._services.server.renamed("asking the time"):
            seconds, micros = self._services.server.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _require_all(self) -> None:
        self._desk.principal.require_all("read", "all tenants")
