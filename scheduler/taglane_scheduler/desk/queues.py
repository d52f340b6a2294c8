"""The desk's queues and workers: list them, empty a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.model.names import check_tag, tag_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.queues import QueueInfo
    from taglane.store.workers import WorkerInfo

    from taglane_scheduler.desk.desk import Desk


class QueueDesk:
    """What one principal may do with queues. Every method may raise TenantNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stores = desk.services.stores

    def list(self, tenant: str) -> Sequence[QueueInfo]:
        """Return what waits of a tenant, by tag."""
        self._desk.tenant(tenant, "read", "reading queues")
        return self._stores.queues.list(tenant)

    def workers(self, tenant: str) -> Sequence[WorkerInfo]:
        """Return a tenant's own workers."""
        self._desk.tenant(tenant, "read", "reading workers")
        return self._stores.workers.list(tenant)

    def pool_workers(self) -> Sequence[WorkerInfo]:
        """Return the workers of the shared pools, which are the operator's."""
        self._desk.principal.require_all("read", "the workers of shared pools")
        return [worker for pool in self._stores.pools.list() for worker in pool.workers]

    def purge(self, tenant: str, tag: str, *, delayed: bool = False) -> int:
        """Cancel what is queued for a tag of a tenant, and what is *delayed*; return how many runs."""
        self._desk.tenant(tenant, "operate", "purging a queue")
        tag_for(tenant, check_tag(tag))
        count = self._stores.queues.purge(tenant, tag, delayed=delayed)
        self._desk.note("purge", tenant, tag=tag, runs=count)
        return count
