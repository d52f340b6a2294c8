"""A tenant that is deleted, and a password that ends, while real workers of it run."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from processes import SchedulerProcess
from taglane.runtime.step import EX_REFUSED, EX_TENANT_GONE
from taglane.store import keys
from taglane.store.server import Server
from taglane.store.workers import Workers
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processes import WorkerProcess
    from scene import Scene

POOLS = ("prefork", "threads", "solo", "auto")


@pytest.fixture
def scheduler(scene: Scene) -> Iterator[SchedulerProcess]:
    with SchedulerProcess(scene.server.url, {"TAGLANE_LEASE": "2s"}) as process:
        process.wait_ready()
        yield process


def hold(scene: Scene) -> Any:
    """A run that goes on until it is let go."""
    run = scene.lane.enqueue("faulty.celery.wait_for_file", params={"path": str(scene.folder / "go")})
    eventually(lambda: scene.starts()[run.id], 30, "it does not start")
    return run


def ready(scene: Scene, pool: str) -> None:
    """Wait until the worker is there; of the default pool these are two, children of the process that was started."""
    count = 2 if pool == "auto" else 1
    eventually(lambda: len(Workers(scene.operator).list("acme")) == count, 30, "no hello")


def end(worker: WorkerProcess) -> int | None:
    """Wait for the end of a worker that was told nothing; answers its exit code."""
    eventually(lambda: not worker.alive, 30, "it lives")
    return worker.exit_code


@pytest.mark.parametrize("pool", POOLS)
def test_workers_of_a_deleted_tenant_stop(scene: Scene, scheduler: SchedulerProcess, pool: str) -> None:
    """With the tenant's own credential, in the middle of a run: they say what happened, and leave nothing behind."""
    with scene.worker(pool, patience="1s", grace="1s") as worker:
        ready(scene, pool)
        hold(scene)

        Tenants(scene.operator).delete("acme")

        assert EX_REFUSED == end(worker)
        text = worker.log_text()
        assert "credential_refused_for_good tenant=acme" in text
        assert "deleted, or given a new password? (taglane tenant show acme)" in text
        assert_no_traceback_of_ours(text)
    assert scheduler.alive
    assert_nothing_is_left(scene)


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_whose_password_ends_stops_and_its_run_goes_on_elsewhere(
    scene: Scene, scheduler: SchedulerProcess, pool: str
) -> None:
    """A clear message, an exit code, and nothing lost: who has the new password takes the run over."""
    assert scheduler.alive
    with scene.worker(pool, patience="1s", grace="1s") as old:
        ready(scene, pool)
        run = hold(scene)

        made = Tenants(scene.operator).rotate("acme", overlap=0)

        with scene.worker("solo", url=made.url) as new:
            new.wait_ready()
            assert EX_REFUSED == end(old)
            assert "credential_refused_for_good tenant=acme" in old.log_text()
            assert_no_traceback_of_ours(old.log_text())
            eventually(lambda: scene.starts()[run.id] == 2, 30, "nobody takes it over")
            (scene.folder / "go").touch()
            eventually(lambda: scene.operator.redis.hget(keys.run("acme", run.id), "state") == b"succeeded", 20)


def test_a_process_that_is_started_again_too_late_says_so(scene: Scene) -> None:
    """One of the default pool's dies, and its successor is let in no more: no traceback, and the same exit code."""
    with scene.worker("auto", patience="60s") as worker:
        ready(scene, "auto")
        victim = Workers(scene.operator).list("acme")[0].pid
        assert victim
        Tenants(scene.operator).rotate("acme", overlap=0)

        os.kill(victim, signal.SIGKILL)

        assert EX_REFUSED == end(worker)
        text = worker.log_text()
        assert "hello_failed error=the server refused the login" in text
        assert "Traceback" not in text


def test_through_an_overlap_workers_change_over_without_a_loss(scene: Scene) -> None:
    """Old and new work side by side; at its end the old ones stop by themselves, and the new ones come back."""
    tenants = Tenants(scene.operator)
    with scene.worker("solo", patience="1s") as old:
        old.wait_ready()
        made = tenants.rotate("acme", overlap=60_000)
        with scene.worker("solo", url=made.url) as new:
            new.wait_ready()
            work = scene.lane.enqueue_many("faulty.celery.work", params=[{"n": n} for n in range(50)])
            assert list(range(50)) == [run.wait(timeout=30).result for run in work]
            assert old.alive
            let_it_be_over(scene)
            tenants.sweep()

            assert EX_REFUSED == end(old)
            own = Server(made.url)
            run = own.call(
                "enqueue", "acme", "acme.last", "faulty.celery.work", "acme", 0, '{"b":"[[],{},{}]"}', *[""] * 4
            )
            assert run
            eventually(lambda: scene.operator.redis.hget(keys.run("acme", "acme.last"), "state") == b"succeeded", 30)
            assert new.alive
            own.close()


def let_it_be_over(scene: Scene) -> None:
    """As if the time had passed: the record's end lies in the past."""
    text = scene.operator.redis.hget(keys.TENANTS, "acme").decode()
    (end_,) = Tenants(scene.operator).get("acme").passwords[:1]
    scene.operator.redis.hset(keys.TENANTS, "acme", text.replace(str(end_.until), "1"))


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_tenant_is_deleted_whole_while_all_goes_on(scene: Scene, scheduler: SchedulerProcess, pool: str) -> None:
    """Under a scheduler that fires each second, and workers with both kinds of credential: no key, no user and no job
    is left, also a while after; and the name is good for a new tenant at once."""
    for number in range(20):
        scene.lane.put_job(f"j{number}", task="faulty.celery.work", every="1s")
    with (
        scene.worker(pool, patience="1s", grace="1s") as one,
        scene.worker(pool, url=scene.operator.url, patience="1s", grace="1s") as two,
    ):
        one.wait_ready()
        two.wait_ready()
        eventually(lambda: scene.states()["succeeded"] > 20, 30, "nothing is fired")

        Tenants(scene.operator).delete("acme")

        assert_nothing_is_left(scene)
        assert {EX_REFUSED, EX_TENANT_GONE} == {end(one), end(two)}
    assert scheduler.alive
    assert_nothing_is_left(scene)

    again = Server(Tenants(scene.operator).create("acme").url)
    assert again.redis.ping()
    assert [] == list(scene.operator.redis.scan_iter("*{acme}*"))
    again.close()


def assert_nothing_is_left(scene: Scene) -> None:
    """No key, no user, no name in the record."""
    assert [] == list(scene.operator.redis.scan_iter("*{acme}*"))
    assert [] == [user for user in scene.operator.redis.acl_users() if "acme" in str(user)]
    assert [] == Tenants(scene.operator).names()


def assert_no_traceback_of_ours(text: str) -> None:
    """Celery shows one of a child of prefork that was killed when the grace was over."""
    assert "Traceback" not in text or "WorkerLostError" in text
