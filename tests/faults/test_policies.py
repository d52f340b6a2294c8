"""What becomes of runs that fail, last too long, are cancelled, or that their worker leaves behind: in every pool."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from cluster import everywhere
from eventually import eventually
from taglane import RunFailed
from taglane.model.envelope import of_call
from taglane.model.names import new_run_id
from taglane.model.retry import Retry
from taglane.runtime.farewell import EX_OVERDUE
from taglane.runtime.step import EX_TENANT_GONE
from taglane.store import keys
from taglane.store.runs import NewRun, Runs
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from scene import Scene
    from taglane.client import Run

POOLS = ("prefork", "threads", "solo")


def make(
    scene: Scene,
    task: str,
    params: dict[str, Any] | None = None,
    *,
    retry: Retry | None = None,
    timeout: int | None = None,
    soft_timeout: int | None = None,
) -> Run:
    """A run such as a job's fire makes: with a retry policy, and time limits in ms."""
    envelope = of_call(params or {}, retry=retry, timeout=timeout, soft_timeout=soft_timeout)
    run = NewRun(new_run_id("acme"), f"faulty.celery.{task}", "acme", envelope, depends=False)
    Runs(scene.lane.server).make("acme", [run])
    return scene.lane.run(run.id)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("task", ["fail", "fail_when_called"])
def test_a_run_is_tried_again_by_its_jobs_policy(scene: Scene, pool: str, task: str) -> None:
    """It waits in the server between the tries, and its result is that of the try that succeeds."""
    run = make(scene, task, {"times": 2}, retry=Retry(attempts=5, delay=50))
    with scene.worker(pool):
        assert "try 3" == run.wait(timeout=30).result
    assert 3 == scene.starts()[run.id]
    assert 3 == run.info.attempt


@pytest.mark.parametrize("pool", POOLS)
def test_a_run_that_fails_to_the_last_try_is_a_dead_letter(scene: Scene, pool: str) -> None:
    """It keeps the error and the traceback of that try; replayed, it has all its tries again."""
    run = make(scene, "fail", retry=Retry(attempts=3, delay=20))
    with scene.worker(pool):
        with pytest.raises(RunFailed) as caught:
            run.wait(timeout=30)
        replayed = scene.lane.run(scene.lane.runs.replay(run.id))
        eventually(lambda: replayed.state == "dead", 30, "not given up again")
    assert ("dead", "Busy: try 3") == (caught.value.state, caught.value.error)
    assert "raise {" in (caught.value.traceback or "")
    assert {run.id: 3, replayed.id: 3} == scene.starts()
    assert scene.operator.redis.zscore(keys.dead("acme"), replayed.id) is not None


@pytest.mark.parametrize("pool", POOLS)
def test_an_error_that_the_policy_does_not_name_fails_at_once(scene: Scene, pool: str) -> None:
    """It is no dead letter: nobody has given anything up."""
    run = make(scene, "fail", {"kind": "ValueError"}, retry=Retry(attempts=3, delay=20, on=("Busy",)))
    with scene.worker(pool):
        eventually(lambda: run.info.is_ended, 30, "it did not end")
    assert ("failed", "ValueError: try 1") == (run.state, run.info.error)


@pytest.mark.parametrize("pool", POOLS)
def test_a_tasks_own_policy_goes_first(scene: Scene, pool: str) -> None:
    """The tries of both count: when Celery's own are spent, those that the job has more of follow."""
    own = make(scene, "fail_by_its_own_policy")
    both = make(scene, "fail_by_its_own_policy", retry=Retry(attempts=5, delay=20))
    with scene.worker(pool):
        eventually(lambda: own.info.is_ended and both.info.is_ended, 30, "they did not end")
    assert ("failed", "dead") == (own.state, both.state)
    assert {own.id: 3, both.id: 5} == scene.starts()


def test_tries_outlive_a_worker(scene: Scene) -> None:
    """Between two tries all that is known of them is in the server."""
    run = make(scene, "fail", {"times": 1}, retry=Retry(attempts=2, delay=300, jitter=False))
    with scene.worker("solo") as first:
        eventually(lambda: run.state == "retrying", 30, "it was not tried")
        first.kill()
    with scene.worker("solo"):
        assert "try 2" == run.wait(timeout=30).result


@pytest.mark.parametrize("pool", POOLS)
def test_those_behind_a_run_hear_of_its_last_try_only(scene: Scene, pool: str) -> None:
    """A link is sent once, by the try that succeeds."""
    link = {"task": "faulty.celery.work", "args": [], "kwargs": {"n": 9}, "options": {}, "immutable": True}
    body = (
        f'[[], {{"times": 1}}, {{"callbacks": [{json.dumps(link)}], "errbacks": null, "chain": null, "chord": null}}]'
    )
    envelope = json.dumps({"b": body, "r": Retry(attempts=3, delay=20).fields()})
    run = NewRun(new_run_id("acme"), "faulty.celery.fail", "acme", envelope)
    Runs(scene.lane.server).make("acme", [run])
    with scene.worker(pool):
        eventually(lambda: scene.states()["succeeded"] == 2, 30, "the link was not run")
    assert 3 == sum(scene.starts().values())


@pytest.mark.parametrize("where", ["sleep", "read", "loop"])
@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_soft_limit_is_raised_in_the_task(scene: Scene, pool: str, where: str) -> None:
    """Also where it waits; its worker goes on."""
    run = make(scene, "wait_in", {"where": where}, soft_timeout=300)
    with scene.worker(pool, 1):
        eventually(lambda: run.state == "failed", 30, "it was not interrupted")
        assert 7 == scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 7}).wait(timeout=30).result
    assert "SoftTimeLimitExceeded: 0.3s" == run.info.error
    assert {run.id: 1} == scene.starts("SoftTimeLimitExceeded")


def test_a_thread_hears_of_its_limits_in_python_only(scene: Scene) -> None:
    """Soft and hard alike are raised at its next step; the worker says once that it can do no more."""
    soft = make(scene, "wait_in", {"where": "loop"}, soft_timeout=300)
    hard = [make(scene, "wait_in", {"where": "loop"}, timeout=300) for _ in range(2)]
    with scene.worker("threads") as worker:
        eventually(lambda: {"failed"} == {run.state for run in [soft, *hard]}, 30, "not interrupted")
        assert 1 == worker.log_text().count("time_limit_is_soft")
    assert "SoftTimeLimitExceeded: 0.3s" == soft.info.error
    assert {"TimeLimitExceeded: 0.3s"} == {run.info.error for run in hard}


@pytest.mark.parametrize("pool", POOLS)
def test_a_soft_limit_is_an_error_that_a_policy_covers(scene: Scene, pool: str) -> None:
    """The next try has the same limit."""
    run = make(scene, "wait_in", {"where": "loop"}, soft_timeout=200, retry=Retry(attempts=2, delay=20))
    with scene.worker(pool):
        eventually(lambda: run.state == "dead", 30, "it was not given up")
    assert {run.id: 2} == scene.starts("SoftTimeLimitExceeded")
    assert ["SoftTimeLimitExceeded: 0.2s"] * 2 == [each.error for each in run.info.attempts]


def test_a_hard_limit_ends_the_run_under_prefork(scene: Scene) -> None:
    """With its child; by its job's policy it is tried again, and given up at last."""
    plain = make(scene, "wait_in", timeout=300)
    again = make(scene, "wait_in", timeout=300, retry=Retry(attempts=2, delay=20))
    other = make(scene, "wait_in", timeout=300, retry=Retry(attempts=2, delay=20, on=("Busy",)))
    with scene.worker("prefork"):
        eventually(lambda: all(run.info.is_ended for run in (plain, again, other)), 40, "not ended")
        assert 7 == scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 7}).wait(timeout=30).result
    assert ("failed", "dead", "failed") == (plain.state, again.state, other.state)
    assert {"TimeLimitExceeded: 0.3s"} == {run.info.error for run in (plain, again, other)}
    assert (1, 2, 1) == tuple(scene.starts()[run.id] for run in (plain, again, other))


def test_a_hard_limit_ends_a_solo_process_and_its_successor_goes_on(scene: Scene) -> None:
    """The run has ended when the process does; what it held beside goes back, uncounted, and is run by the next."""
    plain = make(scene, "wait_in", {"catches": "Stopped"}, timeout=500)
    again = make(scene, "wait_in", timeout=500, retry=Retry(attempts=2, delay=20))
    others = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=[{"n": n} for n in range(20)])
    with scene.worker("auto", 1) as worker:
        assert list(range(20)) == [run.wait(timeout=40).result for run in others]
        eventually(lambda: plain.info.is_ended and again.info.is_ended, 40, "not ended")
        eventually(lambda: worker.log_text().count("worker_process_replaced") == 3, 10, "not replaced each time")
    assert ("failed", "dead") == (plain.state, again.state)
    assert {"TimeLimitExceeded: 0.5s"} == {plain.info.error, again.info.error}
    assert (1, 2) == (scene.starts()[plain.id], scene.starts()[again.id])
    assert {1} == {run.info.attempt for run in others}


def test_an_explicit_solo_worker_ends_with_a_hard_limit(scene: Scene) -> None:
    """Nobody starts it again here: its exit code and its log say why it has ended."""
    run = make(scene, "wait_in", timeout=500)
    with scene.worker("solo") as worker:
        eventually(lambda: not worker.alive, 30, "it lives")
        assert "worker_departs" in worker.log_text()
        assert EX_OVERDUE == worker.exit_code
    assert "failed" == run.state


@pytest.mark.parametrize("where", ["sleep", "loop"])
@pytest.mark.parametrize("pool", POOLS)
def test_a_cancel_stops_a_run(scene: Scene, pool: str, where: str) -> None:
    """It ends as cancelled; its worker goes on. A thread hears of it between two steps of Python."""
    run = make(scene, "wait_in", {"where": where, "seconds": 3.0 if pool == "threads" else 60.0})
    with scene.worker(pool, 1) as worker:
        eventually(lambda: run.state == "running", 30, "not started")
        assert "asked" == run.cancel()
        eventually(lambda: run.info.is_ended, 10, "not stopped")
        assert 7 == scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 7}).wait(timeout=30).result
        assert "Traceback" not in worker.log_text()
    assert "cancelled" == run.state
    assert "terminated" in (run.info.error or "")


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_task_may_outlast_a_cancel(scene: Scene, pool: str) -> None:
    """It ends as it ends, and that it was asked to stop is kept."""
    run = make(scene, "wait_in", {"where": "loop", "catches": "Stopped"})
    with scene.worker(pool, 1):
        eventually(lambda: run.state == "running", 30, "not started")
        run.cancel()
        assert "caught Stopped" == run.wait(timeout=20).result
    assert scene.operator.redis.hget(keys.run("acme", run.id), "cancel") is not None


def test_what_waits_in_a_pool_is_cancelled_before_it_starts(scene: Scene) -> None:
    """A thread pool is given a few runs more than it executes."""
    gate = scene.folder / "gate"
    quick = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=[{"seconds": 0.001}] * 300)
    first = scene.lane.enqueue("faulty.celery.wait_for_file", tenant="acme", params={"path": str(gate)})
    behind = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=[{"n": n} for n in range(10)])
    with scene.worker("threads", 1):
        eventually(lambda: first.state == "running", 60, "not started")
        for run in behind:
            run.cancel()
        eventually(lambda: {"cancelled"} == {run.state for run in behind}, 10, "not cancelled")
        gate.touch()
        assert "done" == first.wait(timeout=30).result
    assert {"succeeded"} == {run.state for run in quick}
    assert not {run.id for run in behind} & set(scene.starts())


@pytest.mark.parametrize("pool", [*POOLS, "auto"])
def test_what_outlasts_the_grace_goes_back(scene: Scene, pool: str) -> None:
    """A worker that is told to stop hands back at once what it has not begun; after the grace, uncounted, the rest."""
    gate = scene.folder / "gate"
    running = scene.lane.enqueue("faulty.celery.wait_for_file", tenant="acme", params={"path": str(gate)})
    with scene.worker(pool, 1, lease=15.0, grace="1500ms") as worker:
        eventually(lambda: running.state == "running", 30, "not started")
        waiting = scene.lane.enqueue("faulty.celery.work", tenant="acme")
        worker.send(signal.SIGTERM)
        eventually(lambda: "worker_stopping" in worker.log_text(), 5, "it does not stop")
        eventually(lambda: waiting.state == "queued", 1, "not handed back at once")
        assert "running" == running.state
        eventually(lambda: not worker.alive, 15, "it lives")
        assert 0 == worker.exit_code
        assert ("queued", 0, 0) == (running.state, running.info.attempt, running.info.deaths)
        assert [] == list(scene.lane.server.redis.smembers(keys.workers("acme")))
        assert "Traceback" not in worker.log_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("pool", [*POOLS, "auto"])
def test_a_worker_that_is_told_twice_ends_at_once(scene: Scene, pool: str, number: signal.Signals) -> None:
    """Also by Ctrl-C: what it executes goes back, and nothing is printed that looks like a fault."""
    gate = scene.folder / "gate"
    run = scene.lane.enqueue("faulty.celery.wait_for_file", tenant="acme", params={"path": str(gate)})
    with scene.worker(pool, 1, lease=15.0, grace="60s") as worker:
        eventually(lambda: run.state == "running", 30, "not started")
        worker.send(number)
        eventually(lambda: "worker_stopping" in worker.log_text(), 5, "it does not stop")
        worker.send(number)
        eventually(lambda: not worker.alive, 10, "it lives")
        assert 0 == worker.exit_code
        assert "Traceback" not in worker.log_text()
    assert ("queued", 0) == (run.state, run.info.attempt)


@pytest.mark.parametrize("pool", POOLS)
def test_what_ends_within_the_grace_is_finished(scene: Scene, pool: str) -> None:
    """A worker that is told to stop waits for it."""
    gate = scene.folder / "gate"
    run = scene.lane.enqueue("faulty.celery.wait_for_file", tenant="acme", params={"path": str(gate)})
    with scene.worker(pool, 1) as worker:
        eventually(lambda: run.state == "running", 30, "not started")
        worker.send(signal.SIGTERM)
        eventually(lambda: "worker_stopping" in worker.log_text(), 5, "it does not stop")
        gate.touch()
        eventually(lambda: not worker.alive, 15, "it lives")
        assert 0 == worker.exit_code
    assert "done" == run.result


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("large", "EncodeError: the result takes 2000008 bytes, over the limit of 1048576 (TAGLANE_RESULT_LIMIT)"),
        ("object", "EncodeError: Object of type object is not JSON serializable"),
        ("nan", "EncodeError: Out of range float values are not JSON compliant"),
        ("deep", "EncodeError: it is nested too deep"),
        ("odd error", "ValueError: <object object at"),
        ("unpicklable error", "onetwo"),
        ("large error", "... (3000000 characters)"),
        ("local error", "made on the spot"),
    ],
)
def test_a_result_that_is_hard_to_carry_fails_its_run_only(scene: Scene, pool: str, what: str, error: str) -> None:
    """It says what is wrong with it; those that end beside it are well."""
    run = make(scene, "give", {"what": what})
    others = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=[{"n": n} for n in range(10)])
    with scene.worker(pool):
        assert list(range(10)) == [each.wait(timeout=30).result for each in others]
        eventually(lambda: run.info.is_ended, 10, "it did not end")
    assert "failed" == run.state
    assert error in (run.info.error or "")
    assert 1 == scene.starts()[run.id]


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(("code", "said"), [(3, "3"), (None, ""), ("enough", "'enough'")])
def test_a_task_that_exits_fails(scene: Scene, pool: str, code: Any, said: str) -> None:
    """It takes no worker along: the same process goes on."""
    run = make(scene, "leave", {"code": code})
    with scene.worker(pool, 1) as worker:
        eventually(lambda: run.info.is_ended, 30, "it did not end")
        scene.lane.enqueue("faulty.celery.work", tenant="acme").wait(timeout=30)
        assert worker.alive
    assert ("failed", 0) == (run.state, run.info.deaths)
    assert f"TaskExited: the task called sys.exit({said})" == run.info.error
    assert 1 == len({line.split()[2] for line in scene.log.read_text().splitlines()})


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_what_the_server_never_takes_does_not_hold_up_the_rest(scene: Scene, pool: str) -> None:
    """A result beyond what the server reads at once fails its run; all that was said beside it is heard."""
    everywhere(scene.operator.redis).config_set("proto-max-bulk-len", 1_048_576)
    run = make(scene, "give", {"what": "large"})
    others = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=[{"n": n} for n in range(10)])
    with scene.worker(pool, result_limit="10000000") as worker:
        assert list(range(10)) == [each.wait(timeout=30).result for each in others]
        eventually(lambda: run.info.is_ended, 30, "it did not end")
        assert "end_refused" in worker.log_text()
    assert "failed" == run.state
    assert (run.info.error or "").startswith("EndRefused: the server took no word of its end, of 2000")


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_of_a_tenant_that_is_deleted_ends(scene: Scene, pool: str) -> None:
    """With the operator's credential it would else enter the tenant's keys again."""
    with scene.worker(pool, url=scene.operator.url, lease=2.0) as worker:
        worker.wait_ready()
        Tenants(scene.operator).delete("acme")
        eventually(lambda: not worker.alive, 20, "it lives")
        assert EX_TENANT_GONE == worker.exit_code
        assert 1 == worker.log_text().count("tenant_gone")
    assert [] == list(everywhere(scene.operator.redis).scan_iter("taglane:{acme}:*"))
