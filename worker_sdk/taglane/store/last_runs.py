"""Reads how the last runs of many jobs ended, in two round trips for a page of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taglane.model.run import STATES
from taglane.store import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.server import Server


@dataclass(frozen=True, slots=True)
class LastRun:
    """One of a job's last runs."""

    id: str
    state: str


class LastRuns:
    """The last runs of the jobs that the server's credential reaches."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def of(self, jobs: Sequence[tuple[str, str]], count: int) -> dict[tuple[str, str], list[LastRun]]:
        """Return the last runs, *count* at most, of each of these jobs, given as tenant and name; the newest first.

        What a tenant has spoiled, and runs that are not kept, are left out.
        """
        with self._server.renamed("reading the last runs of jobs"):
            pipeline = self._server.redis.pipeline(transaction=False)
            for tenant, name in jobs:
                pipeline.lrange(keys.last(tenant, name), -count, -1)
            lists = _readable(pipeline.execute(raise_on_error=False))
            wanted = [
                (job, run_id.decode(errors="replace"))
                for job, ids in zip(jobs, lists, strict=True)
                for run_id in reversed(ids or [])
                if len(run_id) <= 200
            ]
            for (tenant, _), run_id in wanted:
                pipeline.hget(keys.run(tenant, run_id), "state")
            states = _readable(pipeline.execute(raise_on_error=False))
        found: dict[tuple[str, str], list[LastRun]] = {job: [] for job in jobs}
        for (job, run_id), state in zip(wanted, states, strict=True):
            said = (state or b"").decode(errors="replace")
            said = "running" if said == "replaced" else said
            if said in STATES:
                found[job].append(LastRun(run_id, said))
        return found


def _readable(answers: list[Any]) -> list[Any]:
    """Return answers with None for what is of another type than ours; raise what else went wrong."""
    for answer in answers:
        if isinstance(answer, Exception) and not str(answer).startswith("WRONGTYPE"):
            raise answer
    return [None if isinstance(answer, Exception) else answer for answer in answers]
