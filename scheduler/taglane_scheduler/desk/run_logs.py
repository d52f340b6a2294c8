"""The desk's logs of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taglane.store.logs import LogPage

    from taglane_scheduler.desk.desk import Desk


class LogDesk:
    """What one principal may read of the logs of runs. Every method raises RunNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._logs = desk.services.stores.logs

    def read(self, run_id: str, tenant: str | None = None, *, after: str = "", count: int = 500) -> LogPage:
        """Return the lines behind a cursor, *count* at most."""
        owner = self._desk.tenant_of_run(run_id, tenant, "read", "reading logs")
        return self._logs.read(run_id, owner, after=after, count=count)

    def tail(self, run_id: str, tenant: str | None = None, *, count: int = 500) -> LogPage:
        """Return the last lines, *count* at most."""
        owner = self._desk.tenant_of_run(run_id, tenant, "read", "reading logs")
        return self._logs.tail(run_id, owner, count=count)
