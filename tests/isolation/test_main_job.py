"""All that a tenant is meant to do, with its own credential and real processes: the server refuses none of it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, chain, chord, group
from celery import canvas as celery_canvas
from celery.app import base as celery_base
from celery.app import task as celery_task
from eventually import eventually
from processes import BIN, SchedulerProcess, WorkerProcess
from taglane.errors import Refused, RunFailed
from taglane.runtime.app import create_app
from taglane.store.server import Server
from taglane_scheduler.tenancy.audit import Audit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scene import Scene
    from taglane import Taglane

POOLS = ("prefork", "threads", "solo")
SOON = 20.0


@pytest.fixture
def scheduler(scene: Scene) -> Iterator[SchedulerProcess]:
    with SchedulerProcess(scene.server.url, {"TAGLANE_LEASE": "2s"}) as process:
        process.wait_ready()
        yield process


@pytest.fixture
def app(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """A Celery application that sends as the tenant."""
    for module in (celery_base, celery_task, celery_canvas):
        monkeypatch.setattr(module, "uuid", module.uuid)
    return create_app("sender", scene.url)


def worker(scene: Scene, pool: str) -> WorkerProcess:
    environment = {"CALLS_FOLDER": str(scene.folder), "TAGLANE_LEASE": "2s"}
    return WorkerProcess(scene.url, ["acme", "acme.q"], "calls.app", pool, 2, environment)


def command(scene: Scene, *words: str) -> subprocess.CompletedProcess[str]:
    """`taglane` with the tenant's credential."""
    environment = {**os.environ, "TAGLANE_URL": scene.url}
    return subprocess.run([BIN / "taglane", *words], env=environment, capture_output=True, text=True, check=False)


def refused(scene: Scene) -> list[Any]:
    """What the server has refused, as it says itself, and as the audit log keeps it."""
    denied = [entry for entry in Audit(scene.operator).list() if entry.action == "denied"]
    return [*scene.operator.redis.acl_log(), *denied]


def runs_of_the_client(lane: Taglane) -> None:
    """Enqueued, delayed, keyed, many, expired, cancelled, failed, retried; found and listed."""
    add = {"x": 2, "y": 3}
    assert 5 == lane.enqueue("calls.tasks.add", params=add).wait(timeout=SOON).result
    assert 5 == lane.enqueue("calls.tasks.add", params=add, tag="acme.q", delay=0.3).wait(timeout=SOON).result
    first, again = (lane.enqueue("calls.tasks.add", params=add, key="once", priority=3) for _ in range(2))
    assert first.id == again.id
    many = lane.enqueue_many("calls.tasks.add", params=[{"x": n, "y": 0} for n in range(50)])
    assert list(range(50)) == [run.wait(timeout=SOON).result for run in many]
    waiting = lane.enqueue("calls.tasks.add", params=add, tag="acme.nobody")
    assert "cancelled" == waiting.cancel()
    going = lane.enqueue("calls.tasks.hold", params={"gate": "never"})
    eventually(lambda: going.state == "running", SOON)
    going.cancel()
    with pytest.raises(RunFailed):
        going.wait(timeout=SOON)
    failed = lane.enqueue("calls.tasks.fail")
    with pytest.raises(RunFailed):
        failed.wait(timeout=SOON)
    with pytest.raises(RunFailed):
        failed.retry().wait(timeout=SOON)
    expired = lane.enqueue("calls.tasks.add", params=add, tag="acme.nobody", expires=0.2)
    eventually(lambda: expired.state == "expired", SOON)
    assert len(lane.runs.list()) > 20


def calls_of_celery(app: Celery, scene: Scene) -> None:
    """Results, retries, chains, groups, chords, progress, custom states, revoke, and a saved group."""

    def call(name: str, *args: Any, **options: Any) -> Any:
        return app.send_task(f"calls.tasks.{name}", args, **options)

    def sign(name: str, *args: Any) -> Any:
        return app.signature(f"calls.tasks.{name}", args)

    assert 5 == call("add", 2, 3, countdown=0.2).get(timeout=SOON)
    assert 3 == call("retry_until", "retries", 3).get(timeout=SOON)[0]
    assert 3 == call("flaky", "flaky", 3).get(timeout=SOON)
    with pytest.raises(KeyError):
        call("retry_in_vain", "vain").get(timeout=SOON)
    assert 50 == chain(sign("add", 2, 3), sign("multiply", 10)).apply_async().get(timeout=SOON)
    saved = group([sign("add", n, 1) for n in range(3)]).apply_async()
    saved.save()
    assert [1, 2, 3] == saved.get(timeout=SOON)
    assert 6 == chord([sign("add", n, 1) for n in range(3)], sign("total")).apply_async().get(timeout=SOON)
    progress = call("with_progress", "gate")
    eventually(lambda: progress.state == "PROGRESS", SOON)
    (scene.folder / "gate").touch()
    assert "done" == progress.get(timeout=SOON)
    revoked = call("hold", "never")
    eventually(lambda: revoked.state == "STARTED", SOON)
    revoked.revoke(terminate=True)
    eventually(revoked.ready, SOON)
    assert 2 == len(call("parent", [1, 2]).get(timeout=SOON))
    progress.forget()


def jobs_on_a_schedule(lane: Taglane) -> None:
    """Fired, retried by their own policy, overlapping, with a fixed delay; the last leaves a dead letter."""
    lane.put_job("tick", task="calls.tasks.add", every="1s", params={"x": 1, "y": 1}, overlap="queue")
    lane.put_job("after", task="calls.tasks.add", after="1s", params={"x": 1, "y": 1})
    lane.put_job("bad", task="calls.tasks.fail", manual=True, retry={"attempts": 2, "delay": "100ms"})
    run = lane.jobs.trigger("acme", "bad")
    for job in ("tick", "after"):
        eventually(lambda job=job: any(r.state == "succeeded" for r in lane.runs.list(job=job)), SOON)  # type: ignore[misc]
    eventually(lambda: lane.run(run).state == "dead", SOON)


def words_of_the_command(scene: Scene) -> None:
    """What a tenant types."""
    jobs = scene.folder / "jobs.yaml"
    jobs.write_text(
        "tenants:\n  acme:\n    jobs:\n      filed: {task: calls.tasks.add, every: 1h, params: {x: 1, y: 1}}\n"
    )
    ended = json.loads(command(scene, "run", "list", "-o", "json").stdout)[0]["id"]
    (dead,) = json.loads(command(scene, "dead", "list", "-o", "json").stdout)
    for line in [
        "job add mine --task calls.tasks.add --manual", "job list", "job show mine", "job pause mine",
        "job resume mine", "job next mine", "job trigger mine", "job delete mine", f"apply -f {jobs}",
        f"diff -f {jobs}",
        'enqueue calls.tasks.add --params {"x":1,"y":2}', "run list", f"run show {ended}", f"run wait {ended}",
        "queue list", "queue purge acme.q -y", "workers", "dead list", f"dead show {dead['id']}", "doctor",
        f"dead drop {dead['id']} -y",
    ]:  # fmt: skip
        done = command(scene, *line.split())
        assert 0 == done.returncode, (line, done.stderr)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("pool", POOLS)
def test_with_its_own_url_a_tenant_does_its_whole_job(
    scene: Scene, scheduler: SchedulerProcess, app: Celery, pool: str
) -> None:
    """Workers that come, go and die, retries, delays, results, chords, cancels, jobs, commands: no single refusal."""
    with worker(scene, pool) as one, worker(scene, pool) as two:
        one.wait_ready()
        two.wait_ready()
        runs_of_the_client(scene.lane)
        calls_of_celery(app, scene)
        jobs_on_a_schedule(scene.lane)
        words_of_the_command(scene)
        held = scene.lane.enqueue("calls.tasks.hold", params={"gate": "later"})
        eventually(lambda: held.info.worker, SOON)
        (one if str(one.pid) in str(held.info.worker) else two).kill()
        (scene.folder / "later").touch()
        held.wait(timeout=SOON + 10)
    assert scheduler.alive
    assert [] == refused(scene)


@pytest.mark.parametrize(
    ("tags", "code", "said"),
    [
        (["globex"], 2, "error: tag 'globex' does not belong to tenant 'acme'"),
        (["acme", "globex.gpu"], 2, "error: tag 'globex.gpu' does not belong to tenant 'acme'"),
        (["acme1"], 2, "error: tag 'acme1' does not belong to tenant 'acme'"),
        (["shared.small"], 4, "error: a worker of the shared pool 'shared.small' takes the operator's credential"),
    ],
)
def test_a_worker_that_asks_for_anothers_tag_ends_at_once(scene: Scene, tags: list[str], code: int, said: str) -> None:
    """One line, an exit code, and no message: what waits there waits on."""
    Server(scene.server.url).call("enqueue", "globex", "globex.1", "shop.task", "globex", 0, "{}", "", "", "", "")
    options = [word for tag in tags for word in ("--tag", tag)]

    done = command(scene, "worker", *options)

    assert code == done.returncode
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)
    assert b"queued" == scene.operator.redis.hget("taglane:{globex}:run:globex.1", "state")


def test_the_server_checks_the_tag_as_well(scene: Scene) -> None:
    """Whatever a worker's own check says: one that passes it over is refused each move."""
    own = Server(scene.url)
    for move, args in {"hello": ("w", "tags", "globex"), "fetch": ("w", 1, 1, "1", "globex")}.items():
        with pytest.raises(Refused):
            own.call(move, "globex", *args)
    own.close()
