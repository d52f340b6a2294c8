"""The desk's runs: show, cancel, retry, enqueue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taglane.model.names import replayed_run_id

if TYPE_CHECKING:
    from taglane.client import Run
    from taglane.model.run import RunInfo

    from taglane_scheduler.desk.desk import Desk


class RunDesk:
    """What one principal may do with runs. Every method raises RunNotFound, RoleNeeded, and what the store raises.

    A run's id says whose it is; *tenant* is for the ids that callers chose themselves.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._runs = desk.services.stores.runs

    def get(self, run_id: str, tenant: str | None = None) -> RunInfo:
        """Return one run."""
        owner = self._desk.tenant_of_run(run_id, tenant, "read", "reading runs")
        return self._runs.get(run_id, owner)

    def wait(self, run_id: str, timeout: float, tenant: str | None = None) -> RunInfo:
        """Return one run once it has ended; RunTimeout after *timeout* seconds."""
        owner = self._desk.tenant_of_run(run_id, tenant, "read", "reading runs")
        return self._runs.wait(run_id, timeout, owner)

    def cancel(self, run_id: str, tenant: str | None = None) -> str:
        """End a run that waits, or ask its worker to stop it; answers ``cancelled``, ``asked`` or ``ended``."""
        owner = self._desk.tenant_of_run(run_id, tenant, "operate", "cancelling runs")
        answer = self._runs.cancel(run_id, f"by {self._desk.principal.name}", owner)
        if answer != "ended":
            self._desk.note("run-cancel", owner, run=run_id)
        return answer

    def retry(self, run_id: str, tenant: str | None = None, before: str | None = None) -> str:
        """Run a run again that did not succeed; return the new run's id.

        *before* is the run that ran it again when the caller last looked, or '': two clicks on one page make one run.
        """
        owner = self._desk.tenant_of_run(run_id, tenant, "operate", "retrying runs")
        new_id = None
        if before is not None and (ended := self._runs.get(run_id, owner).finished_at) is not None:
            new_id = replayed_run_id(owner, f"{run_id} {before}".rstrip(), ended)
        made = self._runs.replay(run_id, owner, new_id)
        self._desk.note("run-retry", owner, run=run_id, new=made)
        return made

    def enqueue(self, task: str, tenant: str, params: dict[str, Any] | None = None, **options: Any) -> Run:
        """Make one run of a task; *options* are the client's: tag, delay, key, expires, priority."""
        self._desk.tenant(tenant, "write", "enqueueing")
        made = self._desk.services.stores.client.enqueue(task, tenant=tenant, params=params, **options)
        self._desk.note("enqueue", tenant, task=task, run=made.id)
        return made
