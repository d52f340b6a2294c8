"""Workers that die, or stand still: nothing lost, nothing hung, nothing run twice but what they were cut off in."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cluster import node_of
from eventually import eventually
from taglane.errors import WorkerNotFound
from taglane.runtime.heart_process import is_stopped
from taglane.store.workers import Workers

if TYPE_CHECKING:
    from processes import WorkerProcess
    from scene import Scene

POOLS = ("prefork", "threads", "solo")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("pool", POOLS)
def test_a_killed_workers_runs_are_taken_over(scene: Scene, pool: str) -> None:
    """When a worker and its children are killed, another runs what it held, and only what it was in runs twice."""
    runs = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=[{"n": n} for n in range(300)])
    with scene.worker(pool) as first:
        eventually(lambda: sum(scene.starts().values()) > 40, 30, "the first worker starts nothing")
        for child in children_of(first.pid):
            os.kill(child, signal.SIGKILL)
        first.kill()
        with scene.worker(pool):
            eventually(lambda: scene.states()["succeeded"] == 300, 60, "not all runs succeeded")
    starts = scene.starts()
    assert {run.id for run in runs} == set(starts)
    assert sum(starts.values()) - 300 <= 2 + 2  # what each slot was in; its end may have been on its way


@pytest.mark.parametrize("pool", ["threads", "auto"])
def test_a_drained_worker_does_what_it_holds_and_ends(scene: Scene, pool: str) -> None:
    """It takes nothing more, ends as after SIGTERM, and leaves the rest to others; of several processes all do."""
    gate = scene.folder / "gate"
    first = scene.lane.enqueue("faulty.celery.wait_for_file", tenant="acme", params={"path": str(gate)})
    with scene.worker(pool, concurrency=2) as worker:
        eventually(lambda: scene.starts()[first.id], 30, "nothing started")
        workers = Workers(scene.lane.server)
        busy = next(each for each in workers.list("acme") if workers.holding([each])["acme", each.id])
        workers.drain("acme", busy.id)
        gate.touch()

        assert "done" == first.wait(timeout=30).result
        eventually(lambda: not worker.alive, 30, "it does not end")
        rest = scene.lane.enqueue("faulty.celery.work", tenant="acme")

        assert (0, "queued", []) == (worker.exit_code, rest.state, [*workers.list("acme")])
    with pytest.raises(WorkerNotFound):
        workers.drain("acme", busy.id)


def test_children_die_with_their_parent(scene: Scene) -> None:
    """When a prefork parent alone is killed, its children do not go on while their runs are rescued."""
    gate = scene.folder / "gate"
    runs = scene.lane.enqueue_many("faulty.celery.wait_for_file", tenant="acme", params=[{"path": str(gate)}] * 2)
    with scene.worker("prefork") as first:
        eventually(lambda: len(scene.starts()) == 2, 30, "nothing started")
        children = children_of(first.pid)
        first.kill()
        eventually(lambda: not any(Path(f"/proc/{child}/exe").exists() for child in children), 5, "children live on")
        with scene.worker("prefork"):
            eventually(lambda: sum(scene.starts().values()) == 4, 30, "nobody took the runs over")
            gate.touch()
            assert ["done", "done"] == [run.wait(timeout=30).result for run in runs]
    assert 2 == sum(scene.starts("end").values())


@pytest.mark.parametrize("pool", POOLS)
def test_a_run_longer_than_the_lease_is_not_run_again(scene: Scene, pool: str) -> None:
    """While its worker lives, a run may take longer than the lease."""
    run = scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"seconds": 3.0})
    with scene.worker(pool, lease=1.0), scene.worker(pool, lease=1.0):
        run.wait(timeout=30)
    assert {run.id: 1} == scene.starts()


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_silenced_worker_keeps_its_lease(scene: Scene, pool: str) -> None:
    """A task that never lets go of the interpreter's lock silences its worker's threads, and loses nothing."""
    run = scene.lane.enqueue("faulty.celery.hold_the_lock", tenant="acme", params={"seconds": 4.0})
    with scene.worker(pool, lease=1.0), scene.worker(pool, lease=1.0):
        assert "done" == run.wait(timeout=40).result
    assert {run.id: 1} == scene.starts()


@pytest.mark.parametrize("pool", POOLS)
def test_a_stopped_worker_finishes_nothing_any_more(scene: Scene, pool: str) -> None:
    """A worker stopped for longer than a lease has lost its run: its late finish is refused, nothing is overwritten."""
    gate = scene.folder / "gate"
    run = scene.lane.enqueue("faulty.celery.wait_for_file", tenant="acme", params={"path": str(gate)})
    with scene.worker(pool) as first:
        eventually(lambda: run.state == "running", 30, "not started")
        children = children_of(first.pid)
        holder = run.info.worker
        first.freeze()
        with scene.worker(pool):
            eventually(lambda: scene.starts()[run.id] == 2, 30, "nobody took the run over")
            gate.touch()
            eventually(lambda: run.state == "succeeded", 30, "the second worker did not finish")
            before = run.info
            first.thaw()
            eventually(lambda: "lease_lost" in first.log_text() or "given_up" in first.log_text(), 30, "no word of it")
            eventually(lambda: scene.starts("end")[run.id] == 2, 10, "the first did not end its task")
            follow_up = scene.lane.enqueue("faulty.celery.work", tenant="acme")
            follow_up.wait(timeout=30)
        assert holder != before.worker
        assert before == run.info
        assert children == children_of(first.pid) or pool != "prefork"


def unread_pipes(pids: list[int]) -> set[str]:
    """Which pipes of processes hold something that nobody has read yet."""
    found = set()
    for descriptor in [each for pid in pids for each in Path(f"/proc/{pid}/fd").iterdir()]:
        with suppress(OSError):
            pipe = str(descriptor.readlink())
            if pipe.startswith("pipe:"):
                end = os.open(descriptor, os.O_RDONLY | os.O_NONBLOCK)
                (unread,) = struct.unpack("i", fcntl.ioctl(end, termios.FIONREAD, bytes(4)))
                os.close(end)
                found |= {pipe} if unread else set()
    return found


@pytest.mark.parametrize("who_thaws_first", ["parent", "children"])
def test_what_lay_in_a_frozen_childs_pipe_does_not_begin_after_it(scene: Scene, who_thaws_first: str) -> None:
    """A worker stopped for longer than a lease starts nothing that another has by now, in whichever order it wakes."""
    with scene.worker("prefork", lease=1.0) as first:
        gate = str(scene.folder / "gate")
        before = scene.lane.enqueue_many("faulty.celery.wait_for_file", tenant="acme", params=[{"path": gate}] * 2)
        eventually(lambda: len(scene.starts()) == 2, 30, "not both children are up")
        Path(gate).touch()
        assert ["done", "done"] == [run.wait(timeout=30).result for run in before]
        children = children_of(first.pid)
        eventually(lambda: not unread_pipes(children), 10, "something waits in the pipes")
        for child in children:
            os.kill(child, signal.SIGSTOP)
        eventually(lambda: all(is_stopped(child) for child in children))
        runs = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=[{"n": n} for n in range(2)])
        eventually(lambda: len(unread_pipes(children)) == 2, 30, "not given to the children")
        given = unread_pipes(children)
        first.freeze()
        with scene.worker("prefork", lease=1.0):
            assert [0, 1] == [run.wait(timeout=30).result for run in runs]
        if who_thaws_first == "parent":
            first.thaw()
            eventually(lambda: first.log_text().count("lease_lost") == 2, 30, "it has not learned of it")
        for child in children:
            os.kill(child, signal.SIGCONT)
        eventually(lambda: not given & unread_pipes(children), 30, "the children read nothing")
        first.thaw()
        eventually(lambda: first.log_text().count("run_not_begun") == 2, 30, "it says nothing of them")
        others = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=[{"n": n} for n in range(4)])
        assert [0, 1, 2, 3] == [run.wait(timeout=30).result for run in others]
        assert children == children_of(first.pid)
    assert dict.fromkeys([run.id for run in [*before, *runs, *others]], 1) == scene.starts()
    assert {"succeeded": 8} == scene.states()


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_what_an_idle_worker_is_given_while_it_stands_still_is_anothers_a_lease_later(scene: Scene, pool: str) -> None:
    """It had asked for work, so the server gives it the next run; when it goes on, it begins nothing of that."""
    with scene.worker(pool, lease=1.0) as first:
        before = scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 0})
        assert 0 == before.wait(timeout=30).result
        node = node_of(scene.operator.redis, "acme")
        eventually(lambda: node.info("clients")["blocked_clients"], 10, "it waits for no bell")
        first.freeze()
        run = scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 1})
        with scene.worker(pool, lease=1.0):
            assert 1 == run.wait(timeout=30).result
        first.thaw()
        after = scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 2})
        assert 2 == after.wait(timeout=30).result
    assert {before.id: 1, run.id: 1, after.id: 1} == scene.starts()
    assert {"succeeded": 3} == scene.states()


def test_a_stale_retry_is_refused(scene: Scene) -> None:
    """A worker that has lost its run can't make it wait for another try."""
    gate = scene.folder / "gate"
    run = scene.lane.enqueue("faulty.celery.retry_after_file", tenant="acme", params={"path": str(gate)})
    with scene.worker("prefork", 1, lease=3.0) as first:
        eventually(lambda: run.state == "running", 30, "not started")
        holder = run.info.worker
        first.freeze()
        with scene.worker("prefork", 1, lease=3.0) as second:
            eventually(lambda: run.state == "running" and run.info.worker != holder, 30, "nobody took the run over")
            first.thaw()
            eventually(lambda: "given_up" in first.log_text() or "lease_lost" in first.log_text(), 30, "no word of it")
            second.freeze()  # it holds the run, and would not say so if the first could take it away
            gate.touch()
            eventually(lambda: "retry: Retry" in first.log_text(), 2, "the first did not try to retry")
            before = run.info
            assert "running" == before.state
            assert 2 == before.attempt
            second.thaw()
            assert "second" == run.wait(timeout=30).result
    assert 3 == scene.starts()[run.id]


def test_a_poison_run_is_given_up_and_takes_no_neighbours(scene: Scene) -> None:
    """A run that kills its worker each time becomes a dead letter; what was held beside it succeeds."""
    poison = scene.lane.enqueue("faulty.celery.poison", tenant="acme")
    others = scene.lane.enqueue_many("faulty.celery.work", tenant="acme", params=[{"n": n} for n in range(30)])
    deadline = time.monotonic() + 90

    def is_over(worker: WorkerProcess) -> bool:
        return not worker.alive or poison.state == "dead"

    while poison.state != "dead" and time.monotonic() < deadline:
        with scene.worker("solo", lease=1.0) as worker:
            eventually(partial(is_over, worker), 30, "it lives")
    with scene.worker("solo", lease=1.0):
        assert list(range(30)) == [run.wait(timeout=30).result for run in others]
    info = poison.info
    assert "dead" == info.state
    assert "died; deaths: 3" in (info.error or "")
    assert scene.starts()[poison.id] <= 6


def test_a_killed_child_is_one_death_and_its_worker_goes_on(scene: Scene) -> None:
    """Under prefork a task that kills its child is tried again, then given up; the worker serves others all along."""
    poison = scene.lane.enqueue("faulty.celery.poison", tenant="acme")
    with scene.worker("prefork"):
        eventually(lambda: poison.state == "dead", 60, "never given up")
        assert 7 == scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 7}).wait(timeout=30).result
    assert 3 == scene.starts()[poison.id]


@pytest.mark.parametrize("pool", POOLS)
def test_an_early_acknowledgement_means_one_death_is_the_last(scene: Scene, pool: str) -> None:
    """A task with acks_late=False is not run again after its worker died: it is a dead letter at once."""
    run = scene.lane.enqueue("faulty.celery.once", tenant="acme")
    with scene.worker(pool) as first:
        eventually(lambda: run.state == "running", 30, "not started")
        first.kill()
        with scene.worker(pool):
            eventually(lambda: run.state == "dead", 30, "not given up")
    assert {run.id: 1} == scene.starts()
