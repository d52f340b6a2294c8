"""What a run's record says after faults and cancels, with real workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from eventually import eventually
from taglane.errors import RunFailed
from taglane_cli.main import cli

if TYPE_CHECKING:
    from scene import Scene
    from taglane import Run


def taglane(scene: Scene, *args: str) -> Any:
    """What a command answers, as JSON."""
    done = CliRunner().invoke(cli, [*args, "-o", "json"], env={"TAGLANE_URL": scene.url})
    assert 0 == done.exit_code, done.stderr
    return json.loads(done.stdout)


def start_one(scene: Scene) -> Run:
    """Make a run that goes on until there is a file `go`, and wait until the server knows that it has started."""
    run = scene.lane.enqueue("faulty.celery.wait_for_file", tenant="acme", params={"path": str(scene.folder / "go")})
    eventually(lambda: run.info.started_at, 30.0, "it was not seen to start")
    return run


def test_both_attempts_of_a_run_whose_worker_was_killed(scene: Scene) -> None:
    """Each with the worker that it had: the one that died, and the one that took the run over."""
    with scene.worker("solo", 1) as first:
        run = start_one(scene)
        first.kill()
        with scene.worker("solo", 1):
            eventually(lambda: scene.starts()[run.id] == 2, 30.0, "nobody took it over")
            (scene.folder / "go").touch()
            run.wait(30)

    died, succeeded = taglane(scene, "run", "show", run.id)["attempts"]

    assert (1, "died", "its worker died") == (died["attempt"], died["how"], died["error"])
    assert (2, "succeeded", run.info.worker) == (succeeded["attempt"], succeeded["how"], succeeded["worker"])
    assert f"-{first.pid}-" in died["worker"]
    assert died["started_at"] <= died["ended_at"] <= succeeded["ended_at"]


def test_a_dead_letter_can_be_looked_at_and_run_again(scene: Scene) -> None:
    """What killed three processes is kept with all three attempts; the same run again is a letter of its own."""
    run = scene.lane.enqueue("faulty.celery.poison", tenant="acme")
    with scene.worker("prefork", 1):
        with pytest.raises(RunFailed, match="was given up"):
            run.wait(60)
        letter = taglane(scene, "dead", "show", run.id)
        (made,) = taglane(scene, "dead", "replay", run.id)
        with pytest.raises(RunFailed, match="was given up"):
            scene.lane.run(made["id"]).wait(60)

    assert [(1, "died"), (2, "died"), (3, "died")] == [(each["attempt"], each["how"]) for each in letter["attempts"]]
    assert [(made["id"], 3)] == [(each["id"], each["deaths"]) for each in taglane(scene, "dead", "list")]
    assert {run.id: 3, made["id"]: 3} == scene.starts()


def test_a_cancel_of_what_is_executed(scene: Scene) -> None:
    """Whoever asked for it waits, and hears that the task was stopped; the run says so, and why."""
    with scene.worker("prefork", 1):
        run = start_one(scene)
        answer = taglane(scene, "run", "cancel", run.id, "--timeout", "30")
        with pytest.raises(RunFailed, match="terminated: by taglane run cancel"):
            run.wait(30)

    assert {"id": run.id, "cancel": "terminated", "state": "cancelled"} == answer


def test_a_purge_leaves_what_is_executed(scene: Scene) -> None:
    """The worker goes on with what it has; what waits behind it is cancelled."""
    with scene.worker("solo", 1):
        run = start_one(scene)
        waiting = scene.lane.enqueue("faulty.celery.work", tenant="acme", delay=3_600)

        purged = taglane(scene, "queue", "purge", "acme", "--delayed", "-y")
        (scene.folder / "go").touch()

        assert "done" == run.wait(30).result
    assert ({"tenant": "acme", "tag": "acme", "purged": 1}, "cancelled") == (purged, waiting.state)
