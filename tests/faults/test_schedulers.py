"""Schedulers that are killed, stopped, or all gone: each due instant is fired once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from factories import make_job, run_ids, server_time, set_due
from faults.scene_schedulers import schedulers_scene
from processes import SchedulerProcess
from taglane.store import keys
from taglane.store.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene import Scene
    from taglane_scheduler.embedded import ServerBinary

MINUTE = 60_000


@pytest.mark.timeout(180)
def test_each_due_instant_has_one_run(binary: ServerBinary) -> None:
    """Schedulers fall at random, one at least lives: each due instant has exactly one run."""
    result = schedulers_scene(seconds=8, jobs=100, every=2.0, binary=binary)

    assert (800, 0, 0, 0) == (result.fired, result.missed, result.doubled, result.strange)
    assert result.kills + result.stops >= 2


@pytest.mark.parametrize(
    ("misfire", "made_up_for", "states"),
    [("skip", [10], {"skipped"}), ("once", [10], {"queued"}), ("all", range(10, -1, -1), {"queued", "scheduled"})],
)
def test_nobody_was_there_for_ten_minutes(
    scene: Scene, misfire: str, made_up_for: Sequence[int], states: set[str]
) -> None:
    """When all schedulers were down, the first that is back does with what was missed what the job's policy says."""
    redis, jobs = scene.operator.redis, Jobs(scene.operator, 1_000)
    last = server_time(redis) - 5_000
    job = make_job(every="1m", start=last - 20 * MINUTE, misfire=misfire, overlap="allow")
    jobs.put(job)
    set_due(redis, job, last - 10 * MINUTE)

    with SchedulerProcess(scene.server.url) as scheduler:
        scheduler.wait_ready()
        eventually(lambda: jobs.get("acme", job.name).next_due == last + MINUTE)

    runs = [redis.hmget(keys.run("acme", run_id), "due", "state") for run_id in run_ids(redis)]
    assert [last - minutes * MINUTE for minutes in made_up_for] == sorted(int(due) for due, _ in runs)
    assert states == {found.decode() for _, found in runs}
