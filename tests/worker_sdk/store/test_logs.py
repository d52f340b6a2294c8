"""A run's log on the server: who may write it, what is kept of it, how it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import TENANT, HandWorker, enqueue, server_time
from taglane.errors import BadParams, RunNotFound, RunTimeout
from taglane.store import keys
from taglane.store.dead_letters import DeadLetters
from taglane.store.logs import LogPage, Logs
from taglane.store.runs import Runs

if TYPE_CHECKING:
    from taglane.store.server import Server


@pytest.fixture
def worker(acme: Server) -> HandWorker:
    """A worker of the tenant, known to the server."""
    return HandWorker(acme).hello()


def lease(worker: HandWorker) -> tuple[str, int]:
    """Make a run and let the worker have it: its id and token."""
    enqueue(worker.server)
    ((run_id, token),) = worker.fetch(1)
    return run_id, int(token)


def write(
    server: Server,
    run: tuple[str, int],
    texts: list[str],
    *,
    attempt: int = 1,
    first: int = 1,
    dropped: int = 0,
    lines: int = 100,
    size: int = 100_000,
    age: int = 0,
) -> int:
    """Say lines of a run as its worker does; 1 when it was heard."""
    said = [f"{age}\tINFO\tlog\tshop\t{text}" for text in texts]
    return int(server.call("log", TENANT, *run, attempt, first, dropped, lines, size, *said))


def texts(page: LogPage) -> list[str]:
    return [line.text for line in page.lines]


def test_lines_are_read_as_they_were_logged(worker: HandWorker, acme: Server) -> None:
    """In their order, with what is known of each; the time is the server's, less the age."""
    run = lease(worker)
    before = server_time(acme.redis)

    assert write(acme, run, ["one", "two\nlines", "späte"], age=5_000) == 1

    page = Logs(acme).read(run[0])
    assert texts(page) == ["one", "two\nlines", "späte"]
    line = page.lines[0]
    assert (line.level, line.logger, line.stream, line.attempt) == ("INFO", "shop", "log", 1)
    assert 0 <= line.at - (before - 5_000) < 1_000
    assert (page.dropped, page.ended, page.last) == (0, False, page.lines[-1].id)


def test_only_who_has_the_lease_is_heard(worker: HandWorker, acme: Server) -> None:
    """An older token writes nothing, nor one of a run that is gone; the end of a run takes the token along."""
    run_id, token = lease(worker)

    assert write(acme, (run_id, token - 1), ["stale"]) == 0
    assert write(acme, ("acme.nothing", 1), ["nowhere"]) == 0
    assert write(acme, (run_id, token), ["mine"]) == 1
    acme.call("hand_back", TENANT, "", run_id, token)
    assert write(acme, (run_id, token), ["late"], first=2) == 0
    assert texts(Logs(acme).read(run_id)) == ["mine"]
    assert not acme.redis.exists(keys.log(TENANT, "acme.nothing"))


def test_what_is_said_twice_is_kept_once(worker: HandWorker, acme: Server) -> None:
    """Lines are numbered within an attempt: a batch that was sent again, or overtaken, adds only what is new."""
    run = lease(worker)
    write(acme, run, ["1", "2"])

    write(acme, run, ["1", "2", "3"])
    write(acme, run, ["2"], first=2)

    assert texts(Logs(acme).read(run[0])) == ["1", "2", "3"]


def test_attempts_share_a_log(worker: HandWorker, acme: Server) -> None:
    """The next attempt goes on behind the one before it, and its lines say so."""
    run_id, token = lease(worker)
    write(acme, (run_id, token), ["first"])
    acme.call("hand_back", TENANT, "", run_id, token)
    ((_, again),) = worker.fetch(1)

    write(acme, (run_id, again), ["second"], attempt=2)

    assert [(line.attempt, line.text) for line in Logs(acme).read(run_id).lines] == [(1, "first"), (2, "second")]


def test_the_last_lines_are_kept(worker: HandWorker, acme: Server) -> None:
    """Of more lines than are to be kept the oldest go, and are counted, with those that were dropped on their way."""
    run = lease(worker)

    for start in range(1, 300, 100):
        write(acme, run, [str(n) for n in range(start, start + 100)], first=start, lines=70)
    write(acme, run, ["last"], first=301, dropped=5, lines=70)
    write(acme, run, [], first=302, dropped=5, lines=70)

    page = Logs(acme).read(run[0])
    assert texts(page) == [*(str(n) for n in range(232, 301)), "last"]
    assert page.dropped == 231 + 5


def test_bytes_are_bounded_too(worker: HandWorker, acme: Server) -> None:
    """A line counts for a little more than its text; an overlong one is cut, between characters."""
    run = lease(worker)

    write(acme, run, ["ä" * 10_000, *("x" * 1_000 for _ in range(20))], size=5_500)

    page = Logs(acme).read(run[0])
    assert [len(line.text) for line in page.lines] == [1_000] * 5
    assert page.dropped == 16
    write(acme, run, ["ä" * 10_000], first=22)
    (line,) = Logs(acme).tail(run[0], count=1).lines
    assert set(line.text) == {"ä"}
    assert 4_096 < len(line.text) < 4_608


def test_a_page_leads_to_the_next(worker: HandWorker, acme: Server) -> None:
    """Each read goes on behind the last; it says that a run has ended when nothing is left to tell."""
    run = lease(worker)
    write(acme, run, [str(n) for n in range(150)], lines=200)
    worker.finish([run])
    logs = Logs(acme)
    told: list[str] = []
    ends: list[bool] = []
    after = ""

    while not (ends and ends[-1]):
        page = logs.read(run[0], after=after, count=60)
        told, after = told + texts(page), page.last
        ends.append(page.ended)

    assert told == [str(n) for n in range(150)]
    assert ends == [False, False, True]
    assert logs.read(run[0], after=after) == LogPage([], after, 0, ended=True)
    assert texts(logs.tail(run[0], count=2)) == ["148", "149"]


def test_a_page_is_bounded_in_bytes(worker: HandWorker, acme: Server) -> None:
    """However much its tenant has put there itself; the rest is on the next page."""
    run_id, _ = lease(worker)
    for _ in range(300):
        acme.redis.execute_command("XADD", keys.log(TENANT, run_id), "*", "t", "x" * 20_000)

    page = Logs(acme).read(run_id)

    assert 100 < len(page.lines) < 200
    assert {(len(line.text), line.stream, line.attempt) for line in page.lines} == {(9_216, "log", 0)}
    assert all(line.at == int(line.id.split("-")[0]) for line in page.lines)


def test_following_tells_all_and_ends(worker: HandWorker, acme: Server) -> None:
    """With the end of its run; before that it ends by its timeout alone."""
    run = lease(worker)
    write(acme, run, ["one"])
    logs = Logs(acme)
    lines = logs.follow(run[0], timeout=0)

    assert next(lines).text == "one"
    with pytest.raises(RunTimeout):
        next(lines)

    lines = logs.follow(run[0])
    assert next(lines).text == "one"
    write(acme, run, ["two"], first=2)
    worker.finish([run])
    assert [line.text for line in lines] == ["two"]


def test_what_is_asked_wrongly_is_said(acme: Server) -> None:
    """A run that is not kept, a cursor that is none, a count that is too large."""
    logs = Logs(acme)

    with pytest.raises(RunNotFound):
        logs.read("acme.nothing")
    for after in ("$", "x", "1", "-", "1-2-3", "9" * 30 + "-1"):
        with pytest.raises(BadParams, match="cursor"):
            logs.read("acme.nothing", after=after)
    for count in (0, 5_001):
        with pytest.raises(BadParams, match="1 to 5000"):
            logs.read("acme.nothing", count=count)


def test_a_log_goes_with_its_run(worker: HandWorker, acme: Server, store: Server) -> None:
    """When the history is trimmed, and when a dead letter is dropped; and it would go by itself, too."""
    old, dead = lease(worker), lease(worker)
    for run in (old, dead):
        write(acme, run, ["line"])
    worker.finish([old])
    worker.finish([dead], "dead")
    assert store.redis.pttl(keys.log(TENANT, old[0])) > 30 * 86_400_000

    acme.redis.zadd(keys.ended(TENANT), {old[0]: 1})
    worker.finish([lease(worker)])
    DeadLetters(acme).drop(dead[0])

    assert not store.redis.exists(keys.log(TENANT, old[0]), keys.log(TENANT, dead[0]))
    with pytest.raises(RunNotFound):
        Runs(acme).get(old[0])


def test_what_its_tenant_has_spoiled_is_borne(worker: HandWorker, acme: Server) -> None:
    """Counts that are none begin anew; lines without fields are empty ones."""
    run = lease(worker)
    acme.redis.hset(keys.run(TENANT, run[0]), "log", "x" * 100)
    acme.redis.execute_command("XADD", keys.log(TENANT, run[0]), "*", "z", "z")

    assert write(acme, run, ["one"], lines=1) == 1

    page = Logs(acme).read(run[0])
    assert (texts(page), page.dropped) == (["one"], 1)
    acme.redis.delete(keys.log(TENANT, run[0]))
    acme.redis.set(keys.log(TENANT, run[0]), "x")
    assert texts(Logs(acme).read(run[0])) == texts(Logs(acme).tail(run[0])) == []
    acme.redis.set(keys.run(TENANT, run[0]), "x")
    with pytest.raises(RunNotFound):
        Logs(acme).read(run[0])


def test_of_all_runs_the_last_bytes_are_kept(worker: HandWorker, acme: Server) -> None:
    """Whatever each may keep: the oldest lines go, and are counted; a run that is gone is passed over."""
    runs = [lease(worker) for _ in range(11)]
    gone, *rest = runs
    write(acme, gone, ["gone"])
    acme.redis.delete(keys.run(TENANT, gone[0]), keys.log(TENANT, gone[0]))
    block = ["x" * 8_000] * 250
    for first in (1, 251, 501, 751):
        for run in rest:
            assert write(acme, run, block, first=first, lines=10_000, size=50_000_000) == 1

    pages = [Logs(acme).tail(run_id, count=5_000) for run_id, _ in rest]
    assert {page.dropped for page in pages} == {0, 250}
    assert int(acme.redis.get(keys.logged(TENANT))) <= 64 * 1024 * 1024
    assert not acme.redis.exists(keys.run(TENANT, gone[0]))
    kept = sum(acme.redis.execute_command("XLEN", keys.log(TENANT, run_id)) for run_id, _ in rest)
    assert kept * 8_045 <= 64 * 1024 * 1024
    assert sum(page.dropped for page in pages) + kept == 10_000


def test_what_is_counted_of_all_runs_may_be_spoiled(worker: HandWorker, acme: Server) -> None:
    """It is the tenant's own; lines are kept all the same."""
    run = lease(worker)
    for number, text in enumerate(("nan", "1e300", "-5", "text"), 1):
        acme.redis.set(keys.logged(TENANT), text)
        assert write(acme, run, [text], first=number) == 1
    acme.redis.delete(keys.logs(TENANT))
    acme.redis.set(keys.logs(TENANT), "x")
    write(acme, run, ["last"], first=5)

    assert texts(Logs(acme).read(run[0])) == ["nan", "1e300", "-5", "text", "last"]
