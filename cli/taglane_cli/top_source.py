"""Reads what `taglane top` shows: a board of all tenants, alerts, and one tenant's runs. No drawing here."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from taglane.errors import TaglaneError
from taglane.model.query import RunQuery
from taglane_scheduler.care.board import Board, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taglane.model.run import RunInfo
    from taglane.model.standing import TenantStanding
    from taglane.store.search import RunSearch
    from taglane.store.standings import Standings
    from taglane_scheduler.care.attention import Alert, Attention
    from taglane_scheduler.care.board import Sort

MOST_ROWS = 200
"""Tenants on the screen: of more, the filter finds those that somebody looks for."""

MOST_RUNS = 50
ALERTS_S = 10.0
PATIENCE_S = 0.5
"""For how long one look goes on reading tenants that were not read yet."""


@dataclass(frozen=True, slots=True)
class View:
    """What somebody looks at."""

    sort: Sort = "attention"
    pattern: str = ""
    tenant: str = ""
    """The one that is looked at closely; empty for none."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is on the screen."""

    view: View = View()
    totals: Totals = field(default_factory=Totals)
    attention: Sequence[Attention] = ()
    tenants: Sequence[TenantStanding] = ()
    fitting: int = 0
    """How many tenants there are whose names fit."""
    closely: TenantStanding | None = None
    runs: Sequence[RunInfo] = ()
    """What runs of the one that is looked at closely."""
    read_at: float | None = None
    """When the server last answered, on the monotonic clock."""
    trouble: str = ""
    """Why it does not answer now."""


class Source:
    """Reads snapshots. For one thread.

    Args:
        standings: reads tenants.
        search: finds runs.
        tenants: gives the names of all tenants there are.
        alerts: gives what is wrong now.
        where: the server, for people.
        clock: monotonic, s.
    """

    def __init__(  # noqa: PLR0913 - what it reads from
        self,
        standings: Standings,
        search: RunSearch,
        *,
        tenants: Callable[[], Sequence[str]],
        alerts: Callable[[], Sequence[Alert]],
        where: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.where = where
        self._board = Board(standings, tenants, clock)
        self._search = search
        self._alerts_of = alerts
        self._clock = clock
        self._alerts: Sequence[Alert] = ()
        self._alerts_until = float("-inf")
        self._last = Snapshot()

    def read(self, view: View) -> Snapshot:
        """Return what is to be seen now; while the server is gone, what was seen last, and why it is that."""
        try:
            self._last = self._read(view)
        except (TaglaneError, RedisError) as error:
            self._last = replace(self._last, view=view, trouble=str(error))
        return self._last

    def _read(self, view: View) -> Snapshot:
        board, began = self._board, self._clock()
        shown = [each.tenant for each in board.page(sort=view.sort, pattern=view.pattern, limit=MOST_ROWS)[0]]
        board.step([*shown, view.tenant] if view.tenant else shown)
        while (totals := board.totals()).read < totals.tenants and self._clock() - began < PATIENCE_S:
            board.step()
        if self._clock() >= self._alerts_until:
            self._alerts = self._alerts_of()
            self._alerts_until = self._clock() + ALERTS_S
        tenants, fitting = board.page(sort=view.sort, pattern=view.pattern, limit=MOST_ROWS)
        runs: Sequence[RunInfo] = ()
        if view.tenant:
            query = RunQuery(tenant=view.tenant, states=frozenset({"running"}))
            runs = self._search.page(query, [view.tenant], limit=MOST_RUNS).runs
        return Snapshot(
            view=view,
            totals=totals,
            attention=board.attention(self._alerts),
            tenants=tenants,
            fitting=fitting,
            closely=board.get(view.tenant) if view.tenant else None,
            runs=runs,
            read_at=self._clock(),
        )
