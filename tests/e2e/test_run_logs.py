"""What tasks say is in the logs of their runs, whichever pool executes them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import server_time
from processes import SchedulerProcess, WorkerProcess
from taglane import Taglane
from taglane.store import functions
from taglane.store.logs import Logs
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taglane.model.log_line import LogLine
    from taglane_scheduler.embedded import ServerBinary


@dataclass
class Place:
    """A worker whose tasks talk, the client of its tenant, and what the operator reads."""

    lane: Taglane
    logs: Logs
    worker: WorkerProcess
    tag: str
    folder: Path

    def run(self, task: str, **params: Any) -> str:
        return self.lane.enqueue(f"talky.celery.{task}", tag=self.tag, params=params).id

    def said(self, run_id: str) -> list[LogLine]:
        """All that a run has logged, once it has ended."""
        self.lane.runs.wait(run_id, 30)
        return self.logs.read(run_id).lines


@pytest.fixture(scope="module")
def running(binary: ServerBinary) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(binary=binary) as server:
        operator = Server(server.url)
        functions.load(operator.redis)
        operator.close()
        yield server


@pytest.fixture(scope="module", params=["solo", "threads", "prefork", "shared"])
def place(request: pytest.FixtureRequest, running: EmbeddedServer, tmp_path_factory: Any) -> Iterator[Place]:
    operator = Server(running.url)
    name = f"t-{request.param}"
    url = Tenants(operator).create(name).url
    tag, of_worker, pool = name, url, request.param
    keeper = None
    if pool == "shared":
        tag, of_worker, pool = "shared.small", running.url, "solo"
        keeper = SchedulerProcess(running.url)
        keeper.start()
    env = {"TAGLANE_LOG_LINES": "100"}
    with WorkerProcess(of_worker, [tag], "talky.celery", pool, 2, env) as worker:
        worker.wait_ready()
        lane = Taglane(url)
        yield Place(lane, Logs(lane.server), worker, tag, tmp_path_factory.mktemp("gates"))
        lane.close()
    if keeper is not None:
        keeper.__exit__()
    operator.close()


def test_whatever_a_task_says_is_in_its_log(place: Place) -> None:
    """Once, in its order, with where it came from; what is not the run's is not."""
    lines = place.said(place.run("talk"))

    assert [(line.stream, line.level, line.logger, line.text[:40].splitlines()[0]) for line in lines] == [
        ("log", "INFO", "talky", "logged 1"),
        ("stdout", "", "", "printed 2"),
        ("stderr", "", "", "erred"),
        ("log", "WARNING", "talky.celery", "of a task"),
        ("log", "ERROR", "talky.alone", "alone"),
        ("log", "INFO", "talky", "%d (its arguments can't be shown: TypeEr"),
        ("log", "INFO", "talky", "%s (its arguments can't be shown: Runtim"),
        ("log", "INFO", "talky", "x" * 40),
        ("log", "INFO", "talky", "? and \x00"),
        ("log", "INFO", "talky.chatty", "chatty"),
        ("stdout", "", "", "30%"),
        ("log", "INFO", "talky", "from a thread"),
        ("log", "ERROR", "talky", "with a traceback"),
        ("stdout", "", "", "unfinished"),
    ]
    assert len(lines[7].text) == 8_192
    assert lines[12].text.endswith("invalid literal for int() with base 10: 'caught'")
    assert all(a.at <= b.at for a, b in pairwise(lines))


def test_a_failure_is_told_with_its_traceback(place: Place) -> None:
    """Celery's own word of it; not that a task has succeeded, which would be a line of each run."""
    run = place.run("fail")
    place.lane.server.redis.ping()
    eventually(lambda: place.lane.run(run).state == "failed")
    (line,) = place.logs.read(run).lines

    assert (line.level, line.logger) == ("ERROR", "celery.app.trace")
    assert "ValueError: it fails" in line.text
    assert "/taglane/runtime/" not in line.text
    assert place.said(place.run("nothing")) == []


def test_each_attempt_says_which_it_is(place: Place) -> None:
    """The lines of a retry stand behind those of what it tries again."""
    lines = place.said(place.run("twice"))

    assert [(line.attempt, line.text) for line in lines] == [(1, "attempt 1"), (2, "attempt 2")]


def test_lines_come_while_a_run_goes(place: Place) -> None:
    """Within a second; following goes on to the last line."""
    gate = place.folder / "gate"
    run = place.run("wait", gate=str(gate))
    following = place.logs.follow(run, timeout=20)

    first = next(following)
    age = server_time(place.lane.server.redis) - first.at
    gate.touch()

    assert [first.text, *(line.text for line in following)] == ["before", "after"]
    assert age < 1_000
    assert place.lane.run(run).state == "succeeded"


def test_of_many_lines_the_last_are_kept(place: Place) -> None:
    """As many as the settings say; the others are counted, wherever they were dropped."""
    run = place.run("lines", count=2_000)
    lines = place.said(run)

    assert [line.text for line in lines] == [f"line {number}" for number in range(1_900, 2_000)]
    assert place.logs.read(run).dropped == 1_900


def test_a_full_server_costs_lines_and_no_run(place: Place, running: EmbeddedServer) -> None:
    """What is logged then is dropped and counted, and the run succeeds all the same."""
    gate = place.folder / "full"
    run = place.run("wait", gate=str(gate))
    assert next(place.logs.follow(run, timeout=20)).text == "before"
    operator = Server(running.url)
    operator.redis.config_set("maxmemory", 1)
    try:
        gate.touch()
        eventually(lambda: place.lane.run(run).state == "succeeded")
        eventually(lambda: place.logs.read(run).dropped == 1)
    finally:
        operator.redis.config_set("maxmemory", 0)
        operator.close()

    assert [line.text for line in place.logs.read(run).lines] == ["before"]
