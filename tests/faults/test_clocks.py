"""Wall clocks that jump by an hour, either way: the server's, a worker's, a scheduler's own."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import make_job, run_ids, server_time
from faults.faked_clock import FakedClock, find_library
from processes import SchedulerProcess, WorkerProcess
from scene import LEASE, Scene
from taglane import Taglane
from taglane.store import keys
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    find_library() is None, reason="libfaketime sets the clocks, and is not here: apt-get install faketime"
)

HOUR = 3_600
JUMPS = pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["ahead", "back"])


@dataclass
class Clocks:
    """Whose clock is whose."""

    server: FakedClock
    worker: FakedClock
    scheduler: FakedClock


@pytest.fixture
def clocks(tmp_path: Path) -> Clocks:
    return Clocks(*(FakedClock(tmp_path / name) for name in ("server", "worker", "scheduler")))


@pytest.fixture
def scene(clocks: Clocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with ExitStack() as stack:
        with monkeypatch.context() as patched:
            for name, value in clocks.server.environment.items():
                patched.setenv(name, value)
            server = stack.enter_context(EmbeddedServer())  # Valkey: under libfaketime Debian's Redis does not start
        operator = Server(server.url)
        tenant = Tenants(operator).create("acme")
        lane = Taglane(tenant.url)
        yield Scene(server, operator, tenant.url, lane, tmp_path, b"")
        lane.close()
        operator.close()


def scheduler_of(scene: Scene, clocks: Clocks) -> SchedulerProcess:
    return SchedulerProcess(scene.server.url, clocks.scheduler.environment, ["--health", "0"])


def worker_of(scene: Scene, clocks: Clocks, pool: str) -> WorkerProcess:
    environment = {"FAULTY_LOG": str(scene.log), "TAGLANE_LEASE": f"{round(LEASE * 1000)}ms"}
    return WorkerProcess(scene.url, ["acme"], "faulty.celery", pool, 2, {**environment, **clocks.worker.environment})


def asked(scheduler: SchedulerProcess, path: str) -> tuple[int, dict[str, str]]:
    """The status and the checks that a scheduler's endpoint answers."""
    address = re.findall(r"scheduler_starting health=(\S+)", scheduler.log_text())[0]
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, json.loads(answer.read())["checks"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["checks"]


def ticks(scene: Scene) -> list[tuple[int, int]]:
    """The due instant and the moment of queueing, ms, of each run of the job that is due each second."""
    found = []
    for run_id in run_ids(scene.operator.redis):
        job, due, queued_at = scene.operator.redis.hmget(keys.run("acme", run_id), "job", "due", "queued_at")
        if job == b"tick":
            found.append((int(due), int(queued_at)))
    return sorted(found)


def put_tick(scene: Scene) -> None:
    """Put a job that is due each second, whose runs no worker takes."""
    tick = make_job("tick", task="faulty.celery.work", tag="acme.nobody", every="1s", overlap="allow")
    Jobs(scene.operator, 1_000).put(tick)


def assert_complete(found: list[tuple[int, int]]) -> None:
    """Each due instant from the first to the last has exactly one run, and none was made early."""
    dues = [due for due, _ in found]
    assert list(range(dues[0], dues[-1] + 1, 1_000)) == dues
    assert [] == [due for due, queued_at in found if queued_at < due]


def assert_nothing_was_lost(scene: Scene, *processes: WorkerProcess | SchedulerProcess) -> None:
    """No lease was lost, no worker given up, and no run was started twice."""
    for process in processes:
        assert [] == re.findall("lease_lost|given_up|worker_rescued|Traceback", process.log_text())
    assert {1} == set(scene.starts().values())


@pytest.mark.parametrize(("jump", "pool"), [(HOUR, "prefork"), (-HOUR, "threads")])
def test_the_servers_clock_jumps(scene: Scene, clocks: Clocks, jump: int, pool: str) -> None:
    """Schedulers fire nothing until it is right again, and then all that was due; no living worker loses a lease.

    What is delayed after the jump waits as long as it was told to.
    """
    gate = scene.folder / "gate"
    with scheduler_of(scene, clocks) as scheduler, worker_of(scene, clocks, pool) as worker:
        scheduler.wait_ready()
        worker.wait_ready()
        put_tick(scene)
        long = scene.lane.enqueue("faulty.celery.wait_for_file", tenant="acme", params={"path": str(gate)})
        eventually(lambda: len(ticks(scene)) >= 2 and long.state == "running")

        clocks.server.set(jump)
        eventually(lambda: "clock_apart" in scheduler.log_text())
        before = ticks(scene)
        assert (503, "holds fire") == (asked(scheduler, "/readyz")[0], asked(scheduler, "/readyz")[1]["work"])
        assert 200 == asked(scheduler, "/livez")[0]
        began = time.monotonic()
        delayed = scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 7}, delay="1s")
        assert 7 == delayed.wait(timeout=20).result
        assert 1 <= time.monotonic() - began < 20
        Event().wait(LEASE * 1.5)  # that nothing happens meanwhile is what is tested
        assert before == ticks(scene)

        clocks.server.set(0)
        eventually(lambda: "clock_agrees" in scheduler.log_text())
        now = server_time(scene.operator.redis)
        eventually(lambda: ticks(scene)[-1][0] > now)
        assert 200 == asked(scheduler, "/readyz")[0]
        gate.touch()
        assert "done" == long.wait(timeout=20).result
        assert_nothing_was_lost(scene, scheduler, worker)
    assert_complete(ticks(scene))


@JUMPS
def test_a_restarted_scheduler_takes_the_servers_clock_for_the_truth(scene: Scene, clocks: Clocks, jump: int) -> None:
    """So the operator decides. An hour ahead it fires what was missed, by the job's policy; an hour back, nothing."""
    with scheduler_of(scene, clocks) as scheduler:
        scheduler.wait_ready()
        put_tick(scene)
        eventually(lambda: len(ticks(scene)) >= 2)
        clocks.server.set(jump)
        eventually(lambda: "clock_apart" in scheduler.log_text())
        before = ticks(scene)

        scheduler.term()
        scheduler.start()
        scheduler.wait_ready()

        assert 200 == asked(scheduler, "/readyz")[0]
        if jump > 0:
            late = 60_000
            eventually(lambda: ticks(scene)[-1][0] > before[-1][0] + HOUR * 1_000 - late)
            made_up_for, *others = ticks(scene)[len(before) :]
            assert made_up_for[1] - made_up_for[0] > late
            assert_complete(others)
        else:
            Event().wait(3)  # that nothing happens meanwhile is what is tested
            assert before == ticks(scene)
        assert "clock_apart" not in scheduler.log_text()


@JUMPS
def test_a_schedulers_own_wall_clock_jumps(scene: Scene, clocks: Clocks, jump: int) -> None:
    """Nothing happens at all: it goes by the server's time, and by its monotonic clock in between."""
    with scheduler_of(scene, clocks) as scheduler:
        scheduler.wait_ready()
        put_tick(scene)
        eventually(lambda: len(ticks(scene)) >= 2)

        clocks.scheduler.set(jump)
        seen = len(ticks(scene))
        eventually(lambda: len(ticks(scene)) >= seen + 4)

        assert 200 == asked(scheduler, "/readyz")[0]
        assert "clock_" not in scheduler.log_text()
    assert_complete(ticks(scene))
    assert max(queued_at - due for due, queued_at in ticks(scene)) < 10_000


@JUMPS
def test_both_clocks_are_put_right(scene: Scene, clocks: Clocks, jump: int) -> None:
    """A jump that the scheduler's own wall clock has made too is believed, and the scheduler goes on by it."""
    with scheduler_of(scene, clocks) as scheduler:
        scheduler.wait_ready()
        put_tick(scene)
        eventually(lambda: len(ticks(scene)) >= 2)

        clocks.scheduler.set(jump)
        clocks.server.set(jump)
        eventually(lambda: "clock_moved" in scheduler.log_text())

        assert 200 == asked(scheduler, "/readyz")[0]
        assert "clock_apart" not in scheduler.log_text()
        if jump > 0:
            now = server_time(scene.operator.redis)
            eventually(lambda: ticks(scene)[-1][0] > now)


@pytest.mark.parametrize(("jump", "pool"), [(HOUR, "prefork"), (-HOUR, "solo")])
def test_a_workers_clock_jumps(scene: Scene, clocks: Clocks, jump: int, pool: str) -> None:
    """It keeps its leases, runs nothing twice, and what it delays from then on waits as long as it was told to."""
    gate = scene.folder / "gate"
    with worker_of(scene, clocks, pool) as worker:
        worker.wait_ready()
        run = scene.lane.enqueue("faulty.celery.retry_after_file", tenant="acme", params={"path": str(gate)})
        eventually(lambda: run.state == "running")

        clocks.worker.set(jump)
        Event().wait(LEASE * 1.5)  # that nothing happens meanwhile is what is tested
        assert {run.id: 1} == scene.starts()

        gate.touch()
        assert "second" == run.wait(timeout=20).result
        later: Any = scene.lane.enqueue("faulty.celery.work", tenant="acme", params={"n": 7})
        assert 7 == later.wait(timeout=20).result
        assert [] == re.findall("lease_lost|given_up|worker_rescued", worker.log_text())
    assert Counter({run.id: 2, later.id: 1}) == scene.starts()
