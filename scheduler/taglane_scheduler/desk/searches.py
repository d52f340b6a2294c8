"""The desk's search for runs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.model.query import RunQuery
    from taglane.store.search import RunPage

    from taglane_scheduler.desk.desk import Desk


class SearchDesk:
    """What one principal may find. Every method raises BadQuery, TenantNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._search = desk.services.stores.run_search

    def page(self, query: RunQuery, *, after: str = "", limit: int = 50) -> RunPage:
        """Return the newest runs that a query takes, *limit* at most, behind those of the page *after*."""
        return self._search.page(query, self.tenants(query), after=after, limit=limit)

    def ids(self, query: RunQuery, most: int) -> Sequence[str]:
        """Return the ids of what a query takes, the newest first, *most* of them."""
        return list(islice(self._search.ids(query, self.tenants(query), most), most))

    def tenants(self, query: RunQuery) -> Sequence[str]:
        """Return whose runs a query is about: the one tenant that it names, or all that the principal sees.

        Raises:
            TenantNotFound: the one that it names is not there, or another's.
        """
        self._desk.principal.require("read", "reading runs")
        named = query.tenant if query.tenant and not query.tenant.endswith("*") else None
        return self._desk.tenants_in_reach(named)
