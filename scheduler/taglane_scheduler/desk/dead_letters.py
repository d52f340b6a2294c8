"""The desk's dead letters: list, show, replay, drop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.model.run import RunInfo
    from taglane.store.dead_letters import DeadLetter

    from taglane_scheduler.desk.desk import Desk

READ = 200
"""Tenants that are asked anew, each time, how they stand."""


class DeadLetterDesk:
    """What one principal may do with dead letters. Every method raises as the store does, and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._letters = desk.services.stores.dead_letters

    def list(self, tenant: str, *, job: str | None = None, limit: int = 50) -> list[RunInfo]:
        """Return a tenant's dead letters, those that died last first."""
        self._desk.tenant(tenant, "read", "reading dead letters")
        return self._letters.list(tenant, job=job, limit=limit)

    def counts(self) -> Sequence[tuple[str, int]]:
        """Return how many dead letters each tenant has that has any, the most first; of very many, as of late."""
        desk = self._desk
        tenants = desk.tenants_in_reach()
        standings = desk.services.stores.standings.read(tenants) if len(tenants) <= READ else desk.standing.all()
        found = [(each.tenant, each.dead) for each in standings if each.dead]
        return sorted(found, key=lambda each: (-each[1], each[0]))

    def get(self, run_id: str, tenant: str | None = None) -> DeadLetter:
        """Return one dead letter."""
        owner = self._desk.tenant_of_run(run_id, tenant, "read", "reading dead letters")
        return self._letters.get(run_id, owner)

    def replay(self, run_id: str, tenant: str | None = None) -> str:
        """Run a dead letter again; return the new run's id."""
        owner = self._desk.tenant_of_run(run_id, tenant, "operate", "replaying dead letters")
        made = self._letters.replay(run_id, owner)
        self._desk.note("dead-replay", owner, run=run_id, new=made)
        return made

    def drop(self, run_id: str, tenant: str | None = None) -> None:
        """Delete a dead letter for good."""
        owner = self._desk.tenant_of_run(run_id, tenant, "write", "dropping dead letters")
        self._letters.drop(run_id, owner)
        self._desk.note("dead-drop", owner, run=run_id)

    def replay_all(self, tenant: str, job: str | None = None) -> int:
        """Run again all that a tenant has of dead letters, or all of one job; return how many."""
        self._desk.tenant(tenant, "operate", "replaying dead letters")
        count = self._letters.replay_all(tenant, job=job)
        self._desk.note("dead-replay", tenant, job=job or "", runs=count)
        return count

    def drop_all(self, tenant: str, job: str | None = None) -> int:
        """Delete for good all that a tenant has of dead letters, or all of one job; return how many."""
        self._desk.tenant(tenant, "write", "dropping dead letters")
        count = self._letters.drop_all(tenant, job=job)
        self._desk.note("dead-drop", tenant, job=job or "", runs=count)
        return count
