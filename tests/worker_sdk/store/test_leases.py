"""A worker's side of the moves, and its waits on the bells."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from cluster import everywhere
from eventually import eventually
from factories import enqueue, make_server, run_field
from proxy import Proxy
from taglane.errors import LibraryMissing, ServerUnavailable
from taglane.model.names import new_run_id
from taglane.store import functions, keys
from taglane.store.leases import Fetched, Leases
from taglane.store.logs import Logs
from taglane.store.server import Server
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane_scheduler.embedded import EmbeddedServer

LONG = 30.0
"""Seconds: a wait that lasts as long was not ended by what was to end it."""


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def acme(store: Server) -> Iterator[Server]:
    """With the tenant's own credential: what a worker has."""
    server = Server(Tenants(store).create("acme").url)
    yield server
    server.close()


def make_leases(server: Server, worker: str = "w1", tags: str = "acme", tasks: tuple[str, ...] = ()) -> Leases:
    leases = Leases(server, "acme", worker)
    leases.hello({"host": "h"}, tags.split(), list(tasks))
    return leases


def fetch_ids(leases: Leases, most: int = 10) -> list[str]:
    answer = leases.fetch(most, ["acme"], idle=True)
    assert answer is not None
    return [delivery.run for delivery in answer[1]]


def ignore(move: str, answer: Any) -> None:
    """Hear nothing."""


def test_a_delivery_is_the_run(acme: Server) -> None:
    """All that a worker needs of a run comes with its lease."""
    run_id = enqueue(acme)
    leases = make_leases(acme)

    answer = leases.fetch(5, ["acme"], idle=True)

    assert answer is not None
    wait, (delivery,), _ = answer
    assert -1 == wait
    assert (run_id, 1, 1, "acme", "acme", "", None, 0, "", "", "shop.tasks.report") == (
        delivery.run,
        delivery.token,
        delivery.attempt,
        delivery.tenant,
        delivery.tag,
        delivery.job,
        delivery.due,
        delivery.rescues,
        delivery.ended,
        delivery.of,
        delivery.task,
    )
    assert b'{"b":"[[],{},{}]"}' == delivery.envelope


def test_fetch_says_when_a_delayed_run_is_due(acme: Server) -> None:
    """So that a worker without work wakes for it."""
    acme.call("enqueue", "acme", new_run_id("acme"), "a.b", "acme", 0, "{}", "+60000", "", "", "")

    answer = make_leases(acme).fetch(5, ["acme"], idle=True)

    assert answer is not None
    assert 50_000 < answer[0] <= 60_000
    assert [] == answer[1]


def test_an_unknown_worker_gets_nothing(acme: Server) -> None:
    """One that was given up for dead learns it; after another hello it is served."""
    run_id = enqueue(acme)
    leases = make_leases(acme)
    acme.call("rescue", "acme", "w1", "0")

    assert leases.fetch(5, ["acme"], idle=True) is None
    leases.hello_again()
    assert [run_id] == fetch_ids(leases)


@pytest.mark.one_server("through a proxy, which a node does not announce")
def test_a_lost_reply_is_asked_for_again(server: EmbeddedServer, store: Server, acme: Server) -> None:
    """The same question, word for word, gets the same runs: none is held by a worker that doesn't know of it."""
    made = [enqueue(store) for _ in range(3)]
    with Proxy(server.port) as proxy:
        leases = make_leases(Server(acme.url.replace(f":{server.port}/", f":{proxy.port}/")))
        proxy.lose_reply_to(b"taglane_fetch")
        with pytest.raises(ServerUnavailable):
            leases.fetch(2, ["acme"], idle=True)
        more = enqueue(store)

        assert made[:2] == fetch_ids(leases, 99)
        assert [made[2], more] == fetch_ids(leases, 99)


def test_say_hands_each_answer_on(acme: Server) -> None:
    """In the order of the calls, whether it is one or many; nothing to say asks nothing."""
    run_ids = [enqueue(acme) for _ in range(2)]
    leases = make_leases(acme)
    fetch_ids(leases)
    heard: list[tuple[str, Any]] = []

    leases.say([("finish", [run_ids[0], 1, "succeeded", 5, "", ""])], lambda *each: heard.append(each))
    leases.say(
        [("finish", [run_ids[0], 1, "succeeded", 5, "", ""]), ("renew", ["w1", 0, 0]), ("died", [run_ids[1], 1])],
        lambda *each: heard.append(each),
    )
    leases.say([], lambda *each: heard.append(each))

    assert [("finish", [1]), ("finish", [0]), ("renew", [[], [], 1]), ("died", [1, 0])] == heard


def test_say_raises_when_one_has_no_answer(store: Server) -> None:
    """Then nothing is heard, and all of it is to be said again: tokens make that harmless."""
    leases = make_leases(store)
    heard: list[str] = []

    with pytest.raises(LibraryMissing):
        leases.say([("beat", ["w1"]), ("nonsense", [])], lambda move, _: heard.append(move))

    assert [] == heard


@pytest.mark.parametrize("tag", ["acme", "acme.io"])
def test_a_wait_ends_when_a_bell_rings(acme: Server, redis: Redis, tag: str) -> None:
    """Of any of its tags; at once."""
    leases = make_leases(acme)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, leases, ["acme", "acme.io"], LONG)
        eventually(lambda: is_waiting(redis))
        run = new_run_id("acme")
        acme.call("enqueue", "acme", run, "a.b", tag, 0, "{}", "", "", "", "")
        fetched = waiting.result(5)

    assert fetched is not None
    assert [run] == [delivery.run for delivery in fetched.deliveries]
    assert 0 == redis.llen(keys.bell("acme", tag))


def wait(leases: Leases, tags: list[str], seconds: float) -> Fetched | None:
    """Fetch one run when a bell rings, or after so many seconds."""
    return leases.fetch(1, tags, idle=True, wait=seconds)


def is_waiting(redis: Redis) -> bool:
    """Whether a client of the server's is blocked."""
    return bool(redis.info("clients")["blocked_clients"])


def test_a_wait_ends_by_itself(acme: Server) -> None:
    """After its seconds, give or take; one that is nearly nothing asks nothing."""
    leases = make_leases(acme)
    start = time.monotonic()

    wait(leases, ["acme"], 0.05)
    wait(leases, ["acme"], 0.0)

    assert 0.04 < time.monotonic() - start < 5


def test_a_wait_is_broken_off(acme: Server, redis: Redis) -> None:
    """A worker that stops does not wait for the end of the wait; and none begins after that."""
    leases = make_leases(acme)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, leases, ["acme"], LONG)
        eventually(lambda: is_waiting(redis))
        leases.stop_waiting()
        with pytest.raises(ServerUnavailable):
            waiting.result(5)
        pool.submit(wait, leases, ["acme"], LONG).result(5)


def test_a_cut_wait_says_so_and_the_next_one_works(acme: Server, redis: Redis) -> None:
    """A server that goes while one waits is an error at once; afterwards the wait connects anew."""
    leases = make_leases(acme)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, leases, ["acme"], LONG)
        eventually(lambda: is_waiting(redis))
        redis.execute_command("CLIENT", "KILL", "USER", "taglane-acme")  # type: ignore[no-untyped-call]
        with pytest.raises(ServerUnavailable):
            waiting.result(5)
        again = pool.submit(wait, leases, ["acme"], LONG)
        eventually(lambda: is_waiting(redis))
        enqueue(Server(acme.url))
        again.result(5)


def test_beats(acme: Server, redis: Redis) -> None:
    """The counters of all workers; '' for one that has left nothing but its name."""
    make_leases(acme)
    make_leases(acme, "w2")
    acme.call("beat", "acme", "w2")
    redis.sadd(keys.workers("acme"), "w3")

    assert {"w1": "0", "w2": "1", "w3": ""} == {name: beat.counter for name, beat in make_leases(acme).beats().items()}


def test_beats_of_the_next_few(acme: Server) -> None:
    """Those that come after this worker in the order of their names, which goes round."""
    all_of_them = [make_leases(acme, f"w{number}") for number in range(5)]

    assert [["w1", "w2"], ["w4", "w0"]] == [list(all_of_them[number].beats(2)) for number in (0, 3)]


def test_rescue(acme: Server) -> None:
    """Who saw the counter stand still takes over; who saw another counter does not."""
    run_id = enqueue(acme)
    fetch_ids(make_leases(acme))
    other = make_leases(acme, "w2")

    assert (0, 0) == other.rescue("w1", "7")
    assert (1, 0) == other.rescue("w1", "0")
    assert [run_id] == fetch_ids(other)


def test_leave_gives_everything_back(acme: Server, redis: Redis) -> None:
    """Uncounted, and the worker is gone."""
    run_id = enqueue(acme)
    leases = make_leases(acme)
    fetch_ids(leases)

    leases.leave()

    assert ("queued", "0") == (run_field(redis, run_id, "state"), run_field(redis, run_id, "attempts"))
    assert 0 == redis.scard(keys.workers("acme"))


def test_who_knows_a_task(acme: Server) -> None:
    """Another worker that serves one of the tags; and what they all know, without Celery's tasks and ours."""
    mine = make_leases(acme, "w1", "acme acme.io", ("a.mine", "celery.chord", "taglane.join"))
    make_leases(acme, "w2", "acme.io", ("a.theirs", "a.mine"))
    make_leases(acme, "w3", "acme.gpu", ("a.elsewhere",))

    everything = ["a.mine", "a.theirs"]
    assert (True, everything) == mine.who_knows("a.theirs", ["acme", "acme.io"])
    assert (True, everything) == mine.who_knows("a.mine", ["acme", "acme.io"])
    assert (False, everything) == mine.who_knows("a.elsewhere", ["acme", "acme.io"])
    assert (False, ["a.mine"]) == mine.who_knows("a.mine", ["acme"])


@pytest.mark.parametrize("fields", [{"tasks": "{"}, {"tasks": "5"}, {"tags": b"\xff"}, {"tasks": b"\xff"}])
def test_a_spoiled_worker_record_knows_nothing(acme: Server, redis: Redis, fields: dict[str, str | bytes]) -> None:
    """What can't be read of one worker does not keep another from asking."""
    make_leases(acme, "w2", "acme", ("a.theirs",))
    mine = make_leases(acme, "w1", "acme", ("a.mine",))
    redis.hset(keys.worker("acme", "w2"), mapping=fields)  # type: ignore[arg-type]

    assert (False, ["a.mine"]) == mine.who_knows("a.theirs", ["acme"])


def test_hello_describes_the_worker(acme: Server, redis: Redis) -> None:
    """What it says of itself can be read as it said it."""
    Leases(acme, "acme", "w1").hello({"host": "h", "slots": 2}, ["acme", "acme.io"], ["a.b"])

    fields: Any = redis.hgetall(keys.worker("acme", "w1"))
    assert {"host": "h", "slots": 2} == json.loads(fields[b"info"])
    assert (b"acme acme.io", ["a.b"]) == (fields[b"tags"], json.loads(fields[b"tasks"]))


def test_functions_reload_does_not_forget_workers(acme: Server, redis: Redis) -> None:
    """An upgrade of the library under a running worker changes nothing for it."""
    run_id = enqueue(acme)
    leases = make_leases(acme)

    redis.function_load(functions.library() + "\n-- newer", replace=True)

    assert [run_id] == fetch_ids(leases)
    leases.say([("finish", [run_id, 1, "succeeded", 5, "", ""])], ignore)
    assert "succeeded" == run_field(redis, run_id, "state")


def test_a_log_that_is_refused_keeps_no_end_from_being_said(
    store: Server, acme: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """By a full server, which is told how many lines that were; or since the tenant has spoiled it. It is said once."""
    leases = make_leases(acme)
    runs = [enqueue(acme) for _ in range(3)]
    answer = leases.fetch(10, ["acme"], idle=True)
    assert answer is not None
    tokens = {delivery.run: delivery.token for delivery in answer.deliveries}
    line = "0\tINFO\tlog\tshop\ttext"
    calls: list[tuple[str, list[Any]]] = [("log", [run, tokens[run], 1, 1, 3, 10, 9_999, line, line]) for run in runs]
    calls += [("finish", [value for run in runs for value in (run, tokens[run], "succeeded", 5, "", "")])]
    store.redis.set(keys.log("acme", runs[2]), "x")

    leases.say(calls[2:3], ignore)
    everywhere(store.redis).config_set("maxmemory", 1)
    try:
        leases.say(calls[:1], ignore)
        leases.say(calls[1:], ignore)
    finally:
        everywhere(store.redis).config_set("maxmemory", 0)

    assert ["succeeded"] * 3 == [run_field(store.redis, run, "state") for run in runs]
    assert [(5, []), (5, [])] == [(page.dropped, page.lines) for page in map(Logs(acme).read, runs[:2])]
    assert 2 >= caplog.text.count("run_logs_lost")
