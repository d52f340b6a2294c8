"""The desk's bulk actions: cancel, or run again, all that a query takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.errors import NotFound
from taglane.store.bulk import MOST, BulkProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.model.query import RunQuery

    from taglane_scheduler.desk.bulk_works import BulkWork, What
    from taglane_scheduler.desk.desk import Desk

_ING = {"cancel": "cancelling runs", "retry": "retrying runs"}


class BulkDesk:
    """What one principal may do with many runs at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._works = desk.services.bulk_works

    def start(self, what: What, query: RunQuery, slip: str) -> BulkWork:
        """Begin to cancel, or to run again, all that a query takes; answers at once. *slip* makes a click one.

        Raises:
            RoleNeeded: it takes the role `operate`.
            TenantNotFound: the tenant that the query names is not there, or another's.
        """
        desk = self._desk
        desk.principal.require("operate", _ING[what])
        tenants = desk.searches.tenants(query)
        whose = tenants[0] if len(tenants) == 1 else ""
        bulk = desk.services.stores.bulk

        def do() -> Iterator[BulkProgress]:
            with desk.sitting():
                desk.note(
                    f"bulk-{what}-begun", whose, query=str(query)
                )  # of a console that is killed, all that is told
                progress = BulkProgress()
                steps = (
                    bulk.cancel_all(query, tenants, MOST, f"by {desk.principal.name}")
                    if what == "cancel"
                    else bulk.retry_all(query, tenants, MOST)
                )
                try:
                    for progress in steps:
                        yield progress
                finally:
                    desk.note(f"bulk-{what}", whose, query=str(query), **_told(progress))

        return self._works.start(what, str(query), self._owner, slip, do)

    def get(self, work_id: str) -> BulkWork:
        """Return a work that the principal has begun; NotFound when it is forgotten, or another's."""
        found = self._works.get(work_id, self._owner)
        if found is None:
            raise NotFound("no such work is remembered: look at the runs, and ask again if some are left")
        return found

    def stop(self, work_id: str) -> BulkWork:
        """Break a work off; what it has done is done."""
        found = self.get(work_id)
        found.stop = True
        return found

    @property
    def _owner(self) -> tuple[str, str | None]:
        return self._desk.principal.name, self._desk.principal.tenant


def _told(progress: BulkProgress) -> dict[str, int]:
    return {"done": progress.done, "failed": progress.failed}
