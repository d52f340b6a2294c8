"""The thread that brings the server what runs log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster import everywhere
from eventually import eventually
from factories import HandWorker, enqueue, make_run, make_server
from taglane.errors import ServerUnavailable
from taglane.runtime import log_pump
from taglane.runtime.log_pump import LogPump
from taglane.runtime.run_log import BATCH_LINES, Bounds
from taglane.store import keys
from taglane.store.logs import Logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taglane.context import CurrentRun
    from taglane.store.server import Server

BOUNDS = Bounds(lines=5_000, bytes=1_000_000)


@pytest.fixture
def server(url: str) -> Iterator[Server]:
    made = make_server(url)
    yield made
    made.close()


@pytest.fixture
def worker(server: Server) -> HandWorker:
    return HandWorker(server).hello()


def lease(worker: HandWorker) -> CurrentRun:
    enqueue(worker.server)
    ((run_id, token),) = worker.fetch(1)
    return make_run(run_id, token=int(token))


def test_what_is_logged_is_there_soon(server: Server, worker: HandWorker) -> None:
    """Without anybody's doing more than logging; of several runs each has its own."""
    runs = [lease(worker), lease(worker)]
    pump = LogPump(lambda: server, BOUNDS)
    for run in runs:
        pump.open(run).add("INFO", "shop", "log", run.id)

    for run in runs:
        eventually(lambda: [line.text for line in Logs(server).read(run.id).lines] == [run.id])  # noqa: B023


def test_each_run_has_its_turn(server: Server, worker: HandWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that logs more than a call takes keeps nobody else's lines back; those that were served come last again."""
    monkeypatch.setattr(log_pump, "MOST_BYTES", 1)
    loud, quiet = lease(worker), lease(worker)
    pump = LogPump(lambda: server, BOUNDS)
    pump._idle = False  # the test makes the steps  # noqa: SLF001
    log = pump.open(loud)
    for number in range(BATCH_LINES * 3):
        log.add("INFO", "shop", "log", str(number))
    pump.open(quiet).add("INFO", "shop", "log", "quiet")

    assert [pump.step(), pump.step()] == [True, True]

    assert [line.text for line in Logs(server).read(quiet.id).lines] == ["quiet"]
    assert len(Logs(server).read(loud.id, count=5_000).lines) == BATCH_LINES
    assert pump.step()
    assert len(Logs(server).read(loud.id, count=5_000).lines) == 2 * BATCH_LINES


def test_a_run_that_is_anothers_is_told_nothing_more(server: Server, worker: HandWorker) -> None:
    """After the server has said so, its log takes no line."""
    run = lease(worker)
    pump = LogPump(lambda: server, BOUNDS)
    pump._idle = False  # noqa: SLF001
    log = pump.open(make_run(run.id, token=run.token + 1))
    log.add("INFO", "shop", "log", "stale")

    assert pump.step()

    assert log.is_over
    assert Logs(server).read(run.id).lines == []


def test_a_server_that_is_gone_is_asked_again(server: Server, worker: HandWorker) -> None:
    """With the same lines; nothing is lost that fits."""
    run = lease(worker)
    answers = [ServerUnavailable("gone"), None]

    def server_of() -> Server:
        error = answers.pop(0)
        if error is not None:
            raise error
        return server

    pump = LogPump(server_of, BOUNDS)
    pump._idle = False  # noqa: SLF001
    pump.open(run).add("INFO", "shop", "log", "kept")

    assert [pump.step(), pump.step()] == [False, True]
    assert [line.text for line in Logs(server).read(run.id).lines] == ["kept"]


def test_a_full_server_refuses_and_is_told_how_much(server: Server, worker: HandWorker) -> None:
    """The lines are dropped and counted; runs go on."""
    run = lease(worker)
    pump = LogPump(lambda: server, BOUNDS)
    pump._idle = False  # noqa: SLF001
    log = pump.open(run)
    everywhere(server.redis).config_set("maxmemory", 1)
    try:
        log.add("INFO", "shop", "log", "lost")
        assert pump.step()
    finally:
        everywhere(server.redis).config_set("maxmemory", 0)
    log.add("INFO", "shop", "log", "kept")
    assert pump.step()

    page = Logs(server).read(run.id)
    assert ([line.text for line in page.lines], page.dropped) == (["kept"], 1)


def test_a_log_that_its_tenant_has_spoiled_is_given_up(server: Server, worker: HandWorker) -> None:
    """Line by line: no other run's wait for it."""
    spoiled, other = lease(worker), lease(worker)
    server.redis.set(keys.log("acme", spoiled.id), "x")
    pump = LogPump(lambda: server, BOUNDS)
    pump._idle = False  # noqa: SLF001
    for run in (spoiled, other):
        pump.open(run).add("INFO", "shop", "log", run.id)

    assert pump.step()

    assert [line.text for line in Logs(server).read(other.id).lines] == [other.id]


def test_too_much_that_waits_in_a_process_is_noticed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many runs it is of."""
    monkeypatch.setattr(log_pump, "CROWDED", 100)
    pump = LogPump(lambda: server, BOUNDS)
    pump._idle = False  # noqa: SLF001
    log = pump.open(make_run("acme.gone"))
    for _ in range(10):
        log.add("INFO", "shop", "log", "line")
    pump.step()
    assert pump.is_crowded

    log.lose()
    pump.step()
    assert not pump.is_crowded


def test_the_last_lines_are_flushed(server: Server, worker: HandWorker) -> None:
    """By a process that ends at once."""
    run = lease(worker)
    pump = LogPump(lambda: server, BOUNDS)
    pump._idle = False  # noqa: SLF001
    pump.open(run).add("INFO", "shop", "log", "last")

    pump.flush(5)

    assert [line.text for line in Logs(server).read(run.id).lines] == ["last"]
