"""What waits, with the one who was to wake it dead: each row of the table in docs/design.md."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from celery import chord
from eventually import eventually
from processes import SchedulerProcess
from proxy import Proxy
from taglane.model.envelope import of_call
from taglane.model.names import new_run_id
from taglane.runtime.app import create_app
from taglane.runtime.fetcher import WAIT
from taglane.settings import load_settings
from taglane.store import keys
from taglane.store.server import Server
from taglane_scheduler.firing import loop as loop_module
from taglane_scheduler.services import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scene import Scene

SLACK = 10.0
"""Seconds that a busy machine may add to any of these."""
STARTS = 30.0
"""Seconds until a worker that was started executes something."""


@pytest.fixture
def scheduler(scene: Scene) -> Iterator[SchedulerProcess]:
    with SchedulerProcess(scene.server.url, {"TAGLANE_LEASE": "2s"}) as process:
        process.wait_ready()
        yield process


def take_the_token(scene: Scene, *, at: str = "") -> str:
    """Make a run whose bell token is taken in the same instant, by one that does nothing with it; answers its id."""
    run_id = new_run_id("acme")
    with scene.operator.redis.pipeline(transaction=True) as together:
        server = Server(scene.url, redis=together)
        server.call("enqueue", "acme", run_id, "faulty.celery.work", "acme", 0, of_call({}), at, "", "", "")
        together.lpop(keys.bell("acme", "acme"))
        assert [[run_id.encode(), 1], b"1"] == together.execute()
    return run_id


def state_of(scene: Scene, run_id: str) -> str:
    return scene.lane.run(run_id).state


def test_a_run_whose_bell_token_died_with_its_taker_is_served(scene: Scene) -> None:
    """Whoever took the token and fell leaves the run to the end of another worker's wait."""
    with scene.worker("solo") as worker:
        worker.wait_ready()
        run_id = take_the_token(scene)
        eventually(lambda: state_of(scene, run_id) == "succeeded", WAIT + SLACK, "nobody looked into the queue")


def test_a_delayed_run_needs_no_scheduler(scene: Scene) -> None:
    """When the worker that was told of it has died, another learns of it at the end of its wait."""
    with scene.worker("solo") as worker:
        worker.wait_ready()
        run_id = take_the_token(scene, at="+1000")
        eventually(lambda: state_of(scene, run_id) == "succeeded", 1 + WAIT + SLACK, "its time went by")


@pytest.mark.usefixtures("scheduler")
def test_a_delayed_run_needs_no_worker(scene: Scene) -> None:
    """When the worker whose fetch knew of it has died, the scheduler queues it at its time."""
    with scene.worker("solo") as worker:
        worker.wait_ready()
        run = scene.lane.enqueue("faulty.celery.work", tenant="acme", delay=2)
        worker.kill()
        assert "scheduled" == run.state
        eventually(lambda: run.state == "queued", 2 + SLACK, "its time went by")


@pytest.mark.usefixtures("scheduler")
def test_an_expiry_needs_no_worker(scene: Scene) -> None:
    """A run that nobody fetches expires at its time."""
    run = scene.lane.enqueue("faulty.celery.work", tenant="acme", expires=1)
    eventually(lambda: run.state == "expired", 1 + SLACK, "it still waits")


@pytest.mark.usefixtures("scheduler")
def test_a_lease_whose_worker_died_needs_no_other_worker(scene: Scene) -> None:
    """The scheduler takes over what the tenant's only worker held, and tells the next one that comes."""
    run = scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"seconds": 60.0})
    with scene.worker("solo") as worker:
        eventually(lambda: scene.starts()[run.id], STARTS, "nothing started")
        worker.kill()
    leases = keys.leases("acme")
    eventually(lambda: not scene.operator.redis.exists(leases), 2 + SLACK, "the dead worker holds it still")
    assert "queued" == run.state


def test_a_lease_whose_worker_died_needs_no_scheduler(scene: Scene) -> None:
    """Another worker of the tenant, idle for long, takes over and executes what a dead one held."""
    gate = scene.folder / "gate"
    with scene.worker("solo") as first, scene.worker("solo") as second:
        first.wait_ready()
        second.wait_ready()
        run = scene.lane.enqueue("faulty.celery.wait_for_file", tenant="acme", params={"path": str(gate)})
        eventually(lambda: run.state == "running", STARTS, "nothing started")
        holder = next(worker for worker in (first, second) if (known := worker.info()) and known.id == run.info.worker)
        holder.kill()
        gate.touch()
        eventually(lambda: run.state == "succeeded", 2 + SLACK, "nobody took it over")


@contextmanager
def fallen_in(scene: Scene, job: str) -> Iterator[str]:
    """Let the job's first run start on a worker that is killed in it; the run is dead when that is noticed."""
    with scene.worker("solo") as worker:
        eventually(lambda: scene.lane.runs.list("acme", job=job), STARTS, "the job was not fired")
        run_id = scene.lane.runs.list("acme", job=job)[-1].id
        eventually(lambda: state_of(scene, run_id) == "running", STARTS, "nothing started")
        yield run_id
        worker.kill()
    eventually(lambda: state_of(scene, run_id) == "dead", 2 + SLACK, "its end was never noticed")


@pytest.mark.usefixtures("scheduler")
def test_a_fixed_delay_job_goes_on_after_its_run_died(scene: Scene) -> None:
    """The end that the scheduler gives the run of a dead worker is an end as any other: the next one is due."""
    scene.lane.put_job("report", tenant="acme", task="faulty.celery.once", after="1s")
    with fallen_in(scene, "report"):
        pass
    eventually(lambda: len(scene.lane.runs.list("acme", job="report")) == 2, SLACK, "the job is never due again")


@pytest.mark.usefixtures("scheduler")
def test_a_parked_run_goes_on_after_the_one_before_it_died(scene: Scene) -> None:
    """What waits for a run of its job is queued when that one's worker is found dead."""
    scene.lane.put_job("report", tenant="acme", task="faulty.celery.once", every="1s", overlap="queue")
    with fallen_in(scene, "report") as first:
        eventually(lambda: len(scene.lane.runs.list("acme", job="report")) >= 2, STARTS, "the job was fired once")
        scene.lane.jobs.pause("acme", "report")
    others = [run.id for run in scene.lane.runs.list("acme", job="report") if run.id != first]
    queue = keys.queue("acme", "acme", 0)
    eventually(lambda: scene.operator.redis.lrange(queue, 0, -1) == [others[-1].encode()], SLACK, "it is parked still")


@pytest.mark.usefixtures("scheduler")
def test_a_chord_ends_after_one_of_its_parts_died(scene: Scene) -> None:
    """A part that ends as a dead letter ends the chord: whoever waits for the body hears of it."""
    app = create_app("caller", url=scene.url)
    with scene.worker("prefork") as worker:
        parts = [app.signature("faulty.celery.work"), app.signature("faulty.celery.once")]
        body = chord(parts, app=app)(app.signature("faulty.celery.work"))
        eventually(lambda: sum(scene.starts().values()) == 2, STARTS, "the parts did not start")
        eventually(lambda: scene.states()["succeeded"] == 1, STARTS, "the first part did not end")
        worker.kill()
    eventually(lambda: scene.states()["dead"] == 1, 2 + SLACK, "the second part was never given up")
    with scene.worker("prefork"):
        eventually(body.ready, STARTS, "the chord never ends")
    assert body.failed()


@pytest.mark.one_server("through a proxy, which a node does not announce")
def test_a_job_whose_wake_was_lost_is_found_by_the_sweep(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscription that stays, and loses a message, costs the time to the next sweep."""
    monkeypatch.setattr(loop_module, "SWEEP_MS", 2_000)
    with Proxy(scene.server.port) as proxy:
        services = build(load_settings(url=scene.server.url.replace(f":{scene.server.port}/", f":{proxy.port}/")))
        stopping, ready = threading.Event(), threading.Event()
        thread = threading.Thread(target=services.loop.run, args=(stopping, ready.set))
        thread.start()
        try:
            assert ready.wait(STARTS)
            proxy.swallow(b"pmessage")
            scene.lane.put_job("report", tenant="acme", task="faulty.celery.work", every="1s")
            eventually(lambda: scene.lane.runs.list("acme", job="report"), 2 + SLACK, "the job was never fired")
            assert proxy.swallows > 0
        finally:
            stopping.set()
            thread.join(SLACK)
            services.close()
        assert not thread.is_alive()
