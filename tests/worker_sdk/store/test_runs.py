from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from eventually import eventually
from factories import HandWorker, enqueue, listeners, make_job, run_field, run_ids
from taglane.errors import BadName, NotReplayable, Refused, RunNotFound, RunTimeout, ServerUnavailable
from taglane.model.names import new_run_id
from taglane.store import keys
from taglane.store.endings import RECHECK
from taglane.store.jobs import Jobs
from taglane.store.runs import PAGE, NewRun, Runs

if TYPE_CHECKING:
    from redis import Redis
    from taglane.store.server import Server


@pytest.fixture
def runs(acme: Server) -> Runs:
    return Runs(acme)


def new_run(run_id: str = "", **fields: Any) -> NewRun:
    return NewRun(id=run_id or new_run_id("acme"), task="a.b", tag="acme", envelope='{"b":"[[],{},{}]"}', **fields)


def finish(server: Server, state: str = "succeeded", result: str = '{"r":7}') -> list[str]:
    """Fetch what waits, and end it so."""
    held = HandWorker(server).hello().fetch(100)
    for run_id, token in held:
        server.call("finish", "acme", run_id, token, state, 5, result, "")
    return [run_id for run_id, _ in held]


def set_made(redis: Redis, *run_ids: str) -> None:
    """Let these runs have been made in this order, an instant apart."""
    for number, run_id in enumerate(run_ids):
        redis.zadd(keys.runs(run_id.partition(".")[0]), {run_id: 1_000 + number})


def commands(redis: Redis, name: str) -> int:
    """How often the server was asked this."""
    found: Any = redis.info("commandstats")
    return int(found.get(f"cmdstat_{name}", {"calls": 0})["calls"])


# -- making and reading ------------------------------------------------------------------------------------------------


def test_make_answers_each(runs: Runs, redis: Redis) -> None:
    """In order; asked again with the same ids, because the reply was lost, there are no more runs than before."""
    new = [new_run() for _ in range(3)]

    assert [(run.id, True) for run in new] == runs.make("acme", new)
    assert [(run.id, False) for run in new] == runs.make("acme", new)
    assert 3 == len(run_ids(redis))


def test_get(runs: Runs) -> None:
    """What is kept, with or without the tenant being named; what is not kept is not found."""
    ((run_id, _),) = runs.make("acme", [new_run()])

    assert runs.get(run_id) == runs.get(run_id, "acme")
    assert ("queued", "a.b") == (runs.get(run_id).state, runs.get(run_id).task)
    with pytest.raises(RunNotFound, match=r"acme\.unknown"):
        runs.get("acme.unknown")


def test_ids_without_a_tenant(runs: Runs, store: Server) -> None:
    """An id that somebody chose is of the credential's tenant; the operator has to say whose it is."""
    runs.make("acme", [new_run("nightly-7")])
    finish(store)
    operator = Runs(store)

    assert "succeeded" == runs.get("nightly-7").state == runs.wait("nightly-7").state
    assert "ended" == runs.cancel("nightly-7")
    assert "acme" == operator.get("nightly-7", "acme").tenant
    for ask in (operator.get, operator.wait, operator.cancel, operator.replay):
        with pytest.raises(RunNotFound):
            ask("nightly-7")


def test_an_id_that_looks_like_another_tenants(runs: Runs) -> None:
    """The credential decides what can be read, whatever an id claims."""
    with pytest.raises(Refused):
        runs.get("globex.1")
    with pytest.raises(BadName):
        runs.get("{globex}:run:x")


@pytest.mark.parametrize("spoil", ["queued_at", "attempts", "deaths"])
def test_a_spoiled_record(runs: Runs, acme: Server, redis: Redis, caplog: pytest.LogCaptureFixture, spoil: str) -> None:
    """It is an error to ask for it alone, and hides no other run in a list."""
    first, second = enqueue(acme), enqueue(acme)
    redis.hset(keys.run("acme", first), spoil, b"\xff")

    with pytest.raises(ServerUnavailable, match="can't be read"):
        runs.get(first)
    assert [second] == [run.id for run in runs.list("acme")]
    assert f"key_unreadable key={keys.run('acme', first)}" in caplog.text


def test_a_tenant_that_spoils_its_keys_hides_nobody(store: Server, acme: Server, redis: Redis) -> None:
    """A key that is no hash, or no list of runs at all, is that tenant's loss."""
    first, second = enqueue(acme), enqueue(acme)
    other = enqueue(store, "globex")
    redis.delete(keys.run("acme", first))
    redis.set(keys.run("acme", first), "x")

    assert {second, other} == {run.id for run in Runs(store).list()}
    with pytest.raises(ServerUnavailable):
        Runs(store).get(first)

    redis.delete(keys.runs("acme"))
    redis.set(keys.runs("acme"), "x")
    assert [other] == [run.id for run in Runs(store).list()]


# -- listing -----------------------------------------------------------------------------------------------------------


def test_list_is_by_when_runs_were_made(runs: Runs, redis: Redis) -> None:
    """The newest first, however long one waits: so a longer list begins like a shorter one."""
    made = []
    for at in ("+60000", "", "+1000", ""):
        ((run_id, _),) = runs.make("acme", [new_run(at=at)])
        made.append(run_id)
    set_made(redis, *made)

    newest_first = made[::-1]
    for limit in range(6):
        assert newest_first[:limit] == [run.id for run in runs.list("acme", limit=limit)]


def test_list_filters(runs: Runs, acme: Server, store: Server) -> None:
    """By job, by state, by both; the limit counts what matches."""
    jobs = Jobs(store, 10_000)
    jobs.put_many([make_job("a"), make_job("b")])
    of_a = [jobs.trigger("acme", "a") for _ in range(3)]
    finish(acme)
    of_b = [jobs.trigger("acme", "b") for _ in range(2)]
    of_a.append(jobs.trigger("acme", "a"))
    set_made(store.redis, *of_a[:3], *of_b, of_a[3])

    def ids(**how: Any) -> list[str]:
        return [run.id for run in runs.list("acme", **how)]

    assert of_a[::-1] == ids(job="a")
    assert of_b[::-1] == ids(job="b")
    assert [of_a[3], *of_b[::-1]] == ids(state="queued")
    assert of_a[2::-1] == ids(job="a", state="succeeded")
    assert of_a[2:0:-1] == ids(job="a", state="succeeded", limit=2)
    assert [] == ids(job="c")
    assert [] == ids(state="dead")


def test_list_goes_over_pages(runs: Runs) -> None:
    """As far as the limit asks, and to the end."""
    new = [new_run() for _ in range(2 * PAGE + 5)]
    runs.make("acme", new)

    assert sorted(run.id for run in new) == sorted(run.id for run in runs.list("acme", limit=10_000))
    assert PAGE + 1 == len(runs.list("acme", limit=PAGE + 1))
    assert 50 == len(runs.list("acme"))


def test_list_of_all_tenants(runs: Runs, store: Server, acme: Server) -> None:
    """The operator's is of all of them, mixed by time; a tenant's is its own."""
    made = [enqueue(store, tenant) for tenant in ("acme", "globex", "acme", "globex")]
    set_made(store.redis, *made)

    assert made[::-1] == [run.id for run in Runs(store).list()]
    assert made[:0:-1] == [run.id for run in Runs(store).list(limit=3)]
    assert [made[2], made[0]] == [run.id for run in runs.list()]
    assert [made[3], made[1]] == [run.id for run in Runs(store).list("globex")]
    with pytest.raises(Refused):
        Runs(acme).list("globex")


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_wait_wakes_at_the_end(runs: Runs, acme: Server, redis: Redis) -> None:
    """At once, and the server is asked no more than before and after: nothing polls."""
    run_id = enqueue(acme)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runs.wait, run_id)
        eventually(lambda: listeners(redis, keys.done("acme", run_id)) == 1)
        before = commands(redis, "hget")
        finish(acme)
        found = waiting.result(RECHECK / 2)

    assert ("succeeded", 7) == (found.state, found.result)
    assert commands(redis, "hget") - before <= 3  # those of the worker's moves, and the waiter's last look
    eventually(lambda: listeners(redis, keys.done("acme", run_id)) == 0)


@pytest.mark.parametrize("state", ["failed", "cancelled", "dead"])
def test_wait_wakes_at_any_end(runs: Runs, acme: Server, redis: Redis, state: str) -> None:
    """However the run ended."""
    run_id = enqueue(acme)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runs.wait, run_id)
        eventually(lambda: listeners(redis, keys.done("acme", run_id)) == 1)
        finish(acme, state)
        assert state == waiting.result(RECHECK / 2).state


def test_wait_for_what_has_ended(runs: Runs, acme: Server, redis: Redis) -> None:
    """No subscription is needed for it."""
    run_id = enqueue(acme)
    finish(acme)
    before = commands(redis, "ssubscribe")

    assert "succeeded" == runs.wait(run_id, timeout=0).state
    assert before == commands(redis, "ssubscribe")


def test_wait_for_what_is_not_there(runs: Runs) -> None:
    """It could never end."""
    with pytest.raises(RunNotFound):
        runs.wait("acme.unknown")


def test_wait_for_so_long(runs: Runs, acme: Server) -> None:
    """The error has the state and the seconds."""
    run_id = enqueue(acme)
    start = time.monotonic()

    with pytest.raises(RunTimeout, match=r"still queued after 0\.1 s") as caught:
        runs.wait(run_id, timeout=0.1)

    assert ("queued", 0.1) == (caught.value.state, caught.value.seconds)
    assert 0.1 <= time.monotonic() - start < RECHECK


def test_many_wait_at_once(runs: Runs, acme: Server) -> None:
    """Threads share one `Runs`; each gets its own run's end, and the connections are used again."""
    made = [enqueue(acme) for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        for expected in ("7", "8"):
            waiting = [pool.submit(runs.wait, run_id, 20) for run_id in made]
            finish(acme, result=f'{{"r":{expected}}}')
            assert made == [each.result(20).id for each in waiting]
            made = [enqueue(acme) for _ in range(12)]


def test_a_cut_connection_does_not_end_a_wait(runs: Runs, acme: Server, redis: Redis) -> None:
    """A waiter whose connection is cut, once or often, listens again, and misses no end that fell in between."""
    run_id = enqueue(acme)
    channel = keys.done("acme", run_id)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runs.wait, run_id)
        for _ in range(2):
            eventually(lambda: listeners(redis, channel) == 1)
            redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]
            eventually(lambda: listeners(redis, channel) == 1)
        assert not waiting.done()
        redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]
        finish(acme)
        assert "succeeded" == waiting.result(RECHECK / 2).state


def test_a_wait_after_all_connections_were_cut(runs: Runs, acme: Server, redis: Redis) -> None:
    """A listener that is kept for the next wait may be dead by then: it is replaced."""
    with pytest.raises(RunTimeout):
        runs.wait(enqueue(acme), timeout=0.01)
    redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]
    finish(acme)
    run_id = enqueue(acme)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runs.wait, run_id)
        eventually(lambda: listeners(redis, keys.done("acme", run_id)) == 1)
        finish(acme)
        assert "succeeded" == waiting.result(RECHECK).state


# -- stopping, and again -----------------------------------------------------------------------------------------------


def test_cancel(runs: Runs, acme: Server, redis: Redis) -> None:
    """What waits ends with the reason; what is held is for its worker to stop; the rest says so."""
    queued, later = (runs.make("acme", [new_run(at=at)])[0][0] for at in ("", "+60000"))
    held = enqueue(acme)
    redis.lrem(keys.queue("acme", "acme", 0), 1, queued)
    HandWorker(acme).hello().fetch()

    assert ["cancelled", "cancelled", "asked"] == [runs.cancel(each, "no more") for each in (queued, later, held)]
    assert ["ended", "ended", "asked"] == [runs.cancel(each) for each in (queued, later, held)]
    assert ("cancelled", "cancelled before start: no more") == (runs.get(later).state, runs.get(later).error)
    assert {held.encode()} == redis.smembers(keys.cancels("acme", "worker-1"))
    with pytest.raises(RunNotFound):
        runs.cancel("acme.unknown")


def test_cancelled_runs_are_not_served(runs: Runs, acme: Server) -> None:
    """Though their ids stay in the queue until a worker comes by."""
    made = [enqueue(acme) for _ in range(3)]
    runs.cancel(made[1])

    assert [made[0], made[2]] == finish(acme)


def test_replay(runs: Runs, acme: Server, redis: Redis) -> None:
    """A failed run can be made again, as it was, linked to what it repeats; and again."""
    run_id = enqueue(acme)
    finish(acme, "failed", '{"e":"no"}')

    again = runs.replay(run_id)

    assert (run_id, "queued", "shop.tasks.report") == (runs.get(again).of, runs.get(again).state, runs.get(again).task)
    assert "failed" == runs.get(run_id).state
    assert run_field(redis, run_id, "envelope") == run_field(redis, again, "envelope")
    assert again != runs.replay(run_id)


def test_a_dead_letter_is_replayed_once(runs: Runs, acme: Server, redis: Redis) -> None:
    """Who asks again gets the run that is there; the letter is off the list of the dead."""
    run_id = enqueue(acme)
    finish(acme, "dead", '{"e":"no"}')
    assert 1 == redis.zcard(keys.dead("acme"))

    assert runs.replay(run_id) == runs.replay(run_id)
    assert 0 == redis.zcard(keys.dead("acme"))


def test_what_can_not_be_replayed(runs: Runs, acme: Server) -> None:
    """What succeeded, what still goes, what is not there: each error says what to do."""
    done = enqueue(acme)
    finish(acme)
    waiting = enqueue(acme)

    with pytest.raises(NotReplayable, match="is succeeded and its params are not kept"):
        runs.replay(done)
    with pytest.raises(NotReplayable, match=f"is queued and goes on.*taglane run wait {waiting}"):
        runs.replay(waiting)
    with pytest.raises(RunNotFound):
        runs.replay("acme.unknown")


def test_a_lost_reply_of_a_replay(runs: Runs, acme: Server, redis: Redis) -> None:
    """Who asks again with the same new id gets the run that is there; another id is another run."""
    run_id = enqueue(acme)
    finish(acme, "failed", '{"e":"no"}')

    assert ["acme.new", "acme.new"] == [runs.replay(run_id, new_id="acme.new") for _ in range(2)]
    assert {run_id, "acme.new"} == set(run_ids(redis))
    assert ("acme.new", run_id) == (runs.get(run_id).replayed, runs.get("acme.new").of)
