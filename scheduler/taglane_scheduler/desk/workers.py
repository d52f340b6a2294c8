"""The desk's workers: who works for which tenants, and what each holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taglane.store.pools import PoolInfo
    from taglane.store.workers import WorkerInfo

    from taglane_scheduler.desk.desk import Desk


class WorkerDesk:
    """What one principal may know of workers. Every method may raise TenantNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stores = desk.services.stores

    @property
    def lease(self) -> int:
        """For how long, ms, a worker may be silent before others take its runs."""
        return self._desk.services.settings.lease

    def list(self, tenants: Sequence[str]) -> Sequence[WorkerInfo]:
        """Return the workers of these tenants, by tenant and id: those of one that the principal does not see raise."""
        for tenant in tenants:
            self._desk.principal.require_sight(tenant)
        self._desk.principal.require("read", "reading workers")
        return self._stores.workers.list_of(tenants)

    def holding(self, workers: Sequence[WorkerInfo]) -> Mapping[tuple[str, str], Sequence[str]]:
        """Return some runs that each of these holds, by tenant and id."""
        return self._stores.workers.holding(workers)

    def drain(self, tenant: str, worker: str) -> None:
        """Let a tenant's worker take no more, and end when it has done what it holds.

        Raises:
            WorkerNotFound: there is none of that id.
        """
        self._desk.tenant(tenant, "operate", "draining workers")
        self._stores.workers.drain(tenant, worker)
        self._desk.note("worker-drain", tenant, worker=worker)

    def pools(self) -> Sequence[PoolInfo]:
        """Return the shared pools with their workers, which are the operator's."""
        self._desk.principal.require_all("read", "the workers of shared pools")
        return self._stores.pools.list()
