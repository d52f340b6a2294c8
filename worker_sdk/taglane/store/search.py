"""Searches the kept runs of one tenant or of many, a page at a time. Script: search."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from taglane.model.query import matches
from taglane.store import keys
from taglane.store.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taglane.model.query import RunQuery
    from taglane.model.run import RunInfo
    from taglane.store.server import Server


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some of the runs that a query takes, the newest first."""

    runs: list[RunInfo]
    next: str = ""
    """What to ask the next page with; empty when there is none. Fit for a URL."""
    back_to: int | None = None
    """How far back, ms since 1970, this page has looked: when it has found little, the next goes on from there."""


class RunSearch:
    """Finds runs of the tenants that the server's credential reaches."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._runs = Runs(server)

    def page(self, query: RunQuery, tenants: Sequence[str], *, after: str = "", limit: int = 50) -> RunPage:
        """Return the newest runs that *query* takes of these tenants, *limit* at most, behind the page *after*.

        The work of one page is bounded: where few of very many runs match it may end before it is full.
        """
        start = int(after or 0)
        found = list(islice(self._all(query, tenants), start, start + limit + 1))
        return RunPage(found[:limit], str(start + limit) if len(found) > limit else "")

    def ids(self, query: RunQuery, tenants: Sequence[str], most: int) -> Iterator[str]:
        """Yield the ids of what *query* takes of these tenants, the newest first, *most* of them."""
        return (run.id for run in islice(self._all(query, tenants), most))

    def _all(self, query: RunQuery, tenants: Sequence[str]) -> Iterator[RunInfo]:
        with self._server.renamed("asking the time"):
            seconds, micros = self._server.redis.time()
        now = seconds * 1000 + micros // 1000
        for tenant in tenants:
            if matches(query.tenant, tenant):
                yield from (run for run in self._runs.newest(keys.runs, tenant) if query.takes(run, now))
