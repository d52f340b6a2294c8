"""The last runs of many jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factories import make_job
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.last_runs import LastRuns

if TYPE_CHECKING:
    from taglane.store.server import Server


def test_the_last_runs_of_jobs_are_told_the_newest_first(store: Server) -> None:
    """What a tenant has spoiled, and what is not kept, is left out, and hides nothing else."""
    jobs = Jobs(store, 10_000)
    for name in ("report", "sync"):
        jobs.put(make_job(name))
    made = [jobs.trigger("acme", "report") for _ in range(4)]
    store.redis.delete(keys.run("acme", made[3]))
    store.redis.hset(keys.run("acme", made[2]), "state", "<b>")
    store.redis.set(keys.last("acme", "sync"), "mine")

    found = LastRuns(store).of([("acme", "report"), ("acme", "sync"), ("globex", "none")], 3)

    assert [made[1]] == [each.id for each in found["acme", "report"]]
    assert ["queued"] == [each.state for each in found["acme", "report"]]
    assert [] == found["acme", "sync"] == found["globex", "none"]
