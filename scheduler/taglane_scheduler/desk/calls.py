"""The desk's calls: what a run was called with, covered by rule, and a new run of it with other params."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from taglane_scheduler.desk.redact import redacted, restored

if TYPE_CHECKING:
    from taglane.store.calls import Call

    from taglane_scheduler.desk.desk import Desk


@dataclass(frozen=True, slots=True)
class CoveredCall:
    """A call as somebody may see it: *covered* says how many values are."""

    call: Call
    covered: int


class CallDesk:
    """What one principal may do with what runs were called with. Every method raises RunNotFound and RoleNeeded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._calls = desk.services.stores.calls

    def get(self, run_id: str, tenant: str | None = None) -> CoveredCall:
        """Return what a run was called with; what speaks of secrets is covered."""
        owner = self._desk.tenant_of_run(run_id, tenant, "read", "reading runs")
        found = self._calls.get(run_id, owner)
        (args, params, progress), covered = self.cover([found.args, found.params, found.progress])
        return CoveredCall(replace(found, args=args, params=params, progress=progress), covered)

    def uncovered(self, run_id: str, tenant: str | None = None) -> Call:
        """Return what a run was called with as it is; the audit log tells who has looked."""
        owner = self._desk.tenant_of_run(run_id, tenant, "write", "reading secrets in params")
        found = self._calls.get(run_id, owner)
        self._desk.note("params-shown", owner, run=run_id)
        return found

    def again(self, run_id: str, params: dict[str, Any], tenant: str | None = None) -> str:
        """Make a run of the same task and tag with other *params*, and return its id.

        What is still covered in them is as it was.
        """
        owner = self._desk.tenant_of_run(run_id, tenant, "write", "running with other params")
        kept = restored(params, self._calls.get(run_id, owner).params or {})
        made = self._calls.again(run_id, kept, owner)
        self._desk.note("run-again", owner, run=run_id, new=made)
        return made

    def cover(self, value: Any) -> tuple[Any, int]:
        """Return *value* with what speaks of secrets covered, and how much that is."""
        return redacted(value, self._desk.services.settings.redact)
