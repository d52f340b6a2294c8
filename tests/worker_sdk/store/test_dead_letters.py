"""Dead letters: what is listed, replayed, dropped and forgotten, and what a run's record says of its attempts."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from factories import HandWorker, enqueue, make_job, run_field, run_ids, server_time
from taglane.errors import BadName, DeadLetterNotFound, Refused
from taglane.model.envelope import of_call
from taglane.model.names import new_run_id
from taglane.store import keys
from taglane.store.dead_letters import BATCH, DeadLetters
from taglane.store.jobs import Jobs
from taglane.store.runs import PAGE, Runs

if TYPE_CHECKING:
    from redis import Redis
    from taglane.store.server import Server

ERROR = json.dumps({"e": {"exc_type": "ValueError", "exc_message": ["no"]}, "tb": "Traceback …"})
DAY = 86_400_000


@pytest.fixture
def letters(acme: Server) -> DeadLetters:
    return DeadLetters(acme)


def give_up(server: Server, tenant: str = "acme") -> list[str]:
    """Fetch what waits, and end it as a worker does whose job's retries are used up."""
    held = HandWorker(server, tenant).hello().fetch(1_000)
    for run_id, token in held:
        server.call("finish", tenant, run_id, token, "dead", 5, ERROR, "")
    return [run_id for run_id, _ in held]


def make_dead(server: Server, tenant: str = "acme") -> str:
    run_id = enqueue(server, tenant)
    assert [run_id] == give_up(server, tenant)
    return run_id


def set_died(redis: Redis, *run_ids: str) -> None:
    """Let these have died in this order, an instant apart."""
    now = server_time(redis)
    for number, run_id in enumerate(run_ids):
        redis.zadd(keys.dead(run_id.partition(".")[0]), {run_id: now - 1_000 + number})


# -- listing -----------------------------------------------------------------------------------------------------------


def test_list_is_of_dead_letters_the_last_first(letters: DeadLetters, acme: Server, redis: Redis) -> None:
    """Other runs are none, however they ended; the limit counts letters."""
    made = [make_dead(acme) for _ in range(3)]
    set_died(redis, *made)
    enqueue(acme)
    HandWorker(acme).hello().finish(HandWorker(acme).hello().fetch(), "failed")

    assert made[::-1] == [run.id for run in letters.list()]
    assert made[:0:-1] == [run.id for run in letters.list("acme", limit=2)]
    assert {("dead", "ValueError: no", 1)} == {(run.state, run.error, run.attempt) for run in letters.list()}


def test_list_filters_by_job(letters: DeadLetters, acme: Server, store: Server) -> None:
    """A letter of a run that no job made is of no job."""
    jobs = Jobs(store, 10_000)
    jobs.put_many([make_job("a"), make_job("b")])
    of_a, _, _ = jobs.trigger("acme", "a"), jobs.trigger("acme", "b"), enqueue(acme)
    give_up(acme)

    assert [of_a] == [run.id for run in letters.list(job="a")]
    assert [] == letters.list(job="c")


def test_list_goes_over_pages_and_tenants(letters: DeadLetters, acme: Server, store: Server) -> None:
    """A tenant's list is its own; the operator's is of all."""
    for _ in range(PAGE + 2):
        enqueue(acme)
    give_up(acme)
    theirs = make_dead(store, "globex")

    assert PAGE + 2 == len(letters.list(limit=10_000))
    assert PAGE + 3 == len(DeadLetters(store).list(limit=10_000))
    assert [theirs] == [run.id for run in DeadLetters(store).list("globex")]
    with pytest.raises(Refused):
        letters.list("globex")


def test_get_has_what_it_was_called_with(letters: DeadLetters, acme: Server, redis: Redis) -> None:
    """What can't be read of it is None, and the rest is there."""
    run_id = new_run_id("acme")
    acme.call("enqueue", "acme", run_id, "a.b", "acme", 0, of_call({"x": 1}), "", "", "", "")
    give_up(acme)

    found = letters.get(run_id)
    assert ([], {"x": 1}, "Traceback …") == (found.args, found.params, found.run.traceback)

    for spoiled in ("{", "[]", '{"b": 5}', '{"b": "[1]"}', '{"b": "[{},[],{}]"}', "[" * 5_000):
        redis.hset(keys.run("acme", run_id), "envelope", spoiled)
        assert (None, None, run_id) == (
            letters.get(run_id).args,
            letters.get(run_id).params,
            letters.get(run_id).run.id,
        )


def test_what_is_no_dead_letter(letters: DeadLetters, acme: Server, store: Server) -> None:
    """Each error names the command that shows more."""
    waiting = enqueue(acme)

    for ask in (letters.get, letters.replay, letters.drop):
        with pytest.raises(DeadLetterNotFound, match="is queued, and no dead letter: see  taglane run show"):
            ask(waiting)
        with pytest.raises(DeadLetterNotFound, match="taglane dead list"):
            ask("acme.unknown")
        with pytest.raises(BadName):
            ask("{acme}")
        with pytest.raises(Refused):
            ask("globex.1")
    with pytest.raises(DeadLetterNotFound):
        DeadLetters(store).drop("nightly-7")


# -- replaying ---------------------------------------------------------------------------------------------------------


def test_a_replay_is_one_run_for_all_who_ask(letters: DeadLetters, acme: Server, redis: Redis) -> None:
    """At once or one after the other; both runs name each other, and the letter is off the list."""
    run_id = make_dead(acme)

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(lambda _: letters.replay(run_id), range(8)))
    (again,) = made

    assert [] == letters.list()
    assert {run_id, again} == set(run_ids(redis))
    assert [again] == [run for run, _ in HandWorker(acme, id="w2").hello().fetch()]
    assert (again, run_id) == (run_field(redis, run_id, "replayed"), run_field(redis, again, "of"))


def test_a_replay_whose_reply_was_lost(letters: DeadLetters, acme: Server) -> None:
    """The caller asks again with the same id, and it is the same run."""
    run_id = make_dead(acme)

    assert ["acme.new", "acme.new"] == [letters.replay(run_id, new_id="acme.new") for _ in range(2)]
    assert "acme.new" == letters.replay(run_id)


def test_a_replay_begins_anew(letters: DeadLetters, acme: Server, redis: Redis) -> None:
    """Attempts, deaths and their record are the old run's; what it is called with, job and tag are the same."""
    run_id = enqueue(acme)
    for number in range(3):
        worker = HandWorker(acme, id=f"w{number}").hello()
        ((_, token),) = worker.fetch()
        acme.call("died", "acme", run_id, token)

    again = Runs(acme).get(letters.replay(run_id))

    assert ("queued", 0, 0, ()) == (again.state, again.attempt, again.deaths, again.tries)
    assert run_field(redis, run_id, "envelope") == run_field(redis, again.id, "envelope")
    assert (3, 3) == (letters.get(run_id).run.deaths, len(letters.get(run_id).run.tries))


def test_a_replays_message_counts_its_tries_anew(letters: DeadLetters, acme: Server, redis: Redis) -> None:
    """What Celery has counted in it would else end the new run at its first error; one that is unreadable is kept."""
    tried, spoiled = enqueue(acme), enqueue(acme)
    redis.hset(
        keys.run("acme", tried), "envelope", '{"b":"[[],{\\"retries\\":3},{}]","h":{"retries":3,"x":{"retries":3}}}'
    )
    redis.hset(keys.run("acme", spoiled), "envelope", "{")
    give_up(acme)

    assert 2 == letters.replay_all("acme")

    made = [Runs(acme).get(run_id).replayed or "" for run_id in (tried, spoiled)]
    assert '{"b":"[[],{\\"retries\\":3},{}]","h":{"x":{"retries":3}}}' == run_field(redis, made[0], "envelope")
    assert "{" == run_field(redis, made[1], "envelope")


def test_a_replay_that_dies_is_a_letter_of_its_own(letters: DeadLetters, acme: Server) -> None:
    """And can be replayed in its turn."""
    first = make_dead(acme)
    second = letters.replay(first)
    give_up(acme)

    assert [second] == [run.id for run in letters.list()]
    assert letters.replay(second) not in {first, second}


@pytest.mark.parametrize("what", ["replay", "drop"])
def test_all_of_a_tenant_or_a_job(letters: DeadLetters, acme: Server, store: Server, what: str) -> None:
    """In batches, and counted; another tenant's and another job's stay."""
    jobs = Jobs(store, 10_000)
    jobs.put(make_job("a"))
    of_a = {jobs.trigger("acme", "a") for _ in range(BATCH + 1)}
    others = {enqueue(acme) for _ in range(2)}
    give_up(acme)
    theirs = make_dead(store, "globex")
    do = letters.replay_all if what == "replay" else letters.drop_all

    assert (len(of_a), 0) == (do("acme", job="a"), do("acme", job="a"))
    assert others == {run.id for run in letters.list(limit=10_000)}
    assert (2, 0) == (do("acme"), do("acme"))
    assert [theirs] == [run.id for run in DeadLetters(store).list()]
    waiting = {run.of for run in Runs(acme).list(state="queued", limit=10_000)}
    assert (of_a | others if what == "replay" else set()) == waiting
    with pytest.raises(Refused):
        do("globex") if what == "replay" else letters.list("globex")


# -- dropping and forgetting -------------------------------------------------------------------------------------------


def test_a_dropped_letter_is_gone(letters: DeadLetters, acme: Server, redis: Redis) -> None:
    """With its run; once more it is not found."""
    run_id = make_dead(acme)

    letters.drop(run_id)

    assert 0 == redis.exists(keys.run("acme", run_id), keys.dead("acme"), keys.runs("acme"))
    with pytest.raises(DeadLetterNotFound):
        letters.drop(run_id)


def test_a_replayed_letter_can_not_be_dropped(letters: DeadLetters, acme: Server) -> None:
    """It is history by now: the error says where it went on."""
    run_id = make_dead(acme)
    again = letters.replay(run_id)

    with pytest.raises(DeadLetterNotFound, match=f"it was replayed: see  taglane run show {again}"):
        letters.drop(run_id)
    assert "dead" == Runs(acme).get(run_id).state


@pytest.mark.parametrize("all_of_them", [False, True])
@pytest.mark.parametrize("way", ["gone", "something else", "spoiled"])
def test_a_letter_that_can_not_be_read_is_dropped(
    letters: DeadLetters, acme: Server, redis: Redis, way: str, *, all_of_them: bool
) -> None:
    """By its id, or with all of its tenant: no list shows it, and it must not stand there for thirty days."""
    run_id, other = make_dead(acme), enqueue(acme)
    key = keys.run("acme", run_id)
    if way == "spoiled":
        redis.hset(key, "attempts", "many")
    else:
        redis.delete(key)
    if way == "something else":
        redis.set(key, "spoiled")
    assert [] == letters.list()

    if all_of_them:
        assert 1 == letters.drop_all("acme")
    else:
        letters.drop(run_id)

    assert 0 == redis.exists(key, keys.dead("acme"))
    assert [other] == run_ids(redis)
    with pytest.raises(DeadLetterNotFound):
        letters.drop(run_id)


def test_drop_takes_dead_letters_alone(acme: Server) -> None:
    """Whatever else it is asked for stays."""
    waiting = enqueue(acme)

    assert [0, 0] == [acme.call("drop", "acme", run_id) for run_id in (waiting, "acme.unknown")]
    assert "queued" == Runs(acme).get(waiting).state


def test_letters_are_kept_for_thirty_days(letters: DeadLetters, acme: Server, redis: Redis) -> None:
    """Longer than other ended runs; then they go with their runs."""
    young, old = make_dead(acme), make_dead(acme)
    now = server_time(redis)
    redis.zadd(keys.dead("acme"), {young: now - 29 * DAY, old: now - 31 * DAY})

    make_server_call_look(redis)

    assert [young] == [run.id for run in letters.list()]
    assert [young] == run_ids(redis)


def test_ten_thousand_letters_are_kept(letters: DeadLetters, acme: Server, redis: Redis) -> None:
    """Of more, the oldest go, a bounded number a call."""
    last = make_dead(acme)
    now = server_time(redis)
    redis.zadd(keys.dead("acme"), {f"acme.old{number}": now - DAY + number for number in range(11_500)})

    make_server_call_look(redis)
    assert 10_501 == redis.zcard(keys.dead("acme"))
    for _ in range(2):
        make_server_call_look(redis)

    assert 10_000 == redis.zcard(keys.dead("acme"))
    assert [last] == [run.id for run in letters.list()]
    assert None is redis.zscore(keys.dead("acme"), "acme.old1500")
    assert None is not redis.zscore(keys.dead("acme"), "acme.old1501")


def test_thousands_of_ends_in_one_call_forget_a_bounded_number(acme: Server, redis: Redis) -> None:
    """A call that ends more may forget more, and no more than can be spelled in one command."""
    redis.zadd(keys.ended("acme"), {f"acme.old{number}": number for number in range(9_000)})
    unknown = [part for number in range(5_000) for part in (f"acme.no{number}", 1, "succeeded", "5", "", "")]

    answer = acme.call("finish", "acme", *unknown)

    assert [0] * 5_000 == answer
    assert 6_000 == redis.zcard(keys.ended("acme"))


def make_server_call_look(redis: Redis) -> None:
    """What a scheduler does every few seconds."""
    redis.execute_command("FCALL", "taglane_look", 1, keys.prefix("acme"), 16)  # type: ignore[no-untyped-call]


def test_a_replaced_run_is_forgotten_after_a_day(acme: Server, redis: Redis) -> None:
    """The last of those that replace it may never come; one that comes in time has its id."""
    lost, found = enqueue(acme), enqueue(acme)
    HandWorker(acme).hello().finish(HandWorker(acme).hello().fetch(), "replaced")
    acme.call("enqueue", "acme", found, "a.b", "acme", 0, of_call({}), "", "", "", "")
    redis.zadd(keys.ended("acme"), {lost: server_time(redis) - DAY - 1})

    assert [lost.encode()] == redis.zrange(keys.ended("acme"), 0, -1)
    make_server_call_look(redis)

    assert [found] == run_ids(redis)
    assert "queued" == Runs(acme).get(found).state


# -- a run's attempts --------------------------------------------------------------------------------------------------


def start(server: Server, worker: HandWorker, run_id: str, token: int) -> None:
    server.call("renew", "acme", worker.id, 1, 1, run_id, token, 5, "", run_id, token)


def fetch_one(server: Server, worker_id: str) -> tuple[HandWorker, str, int]:
    worker = HandWorker(server, id=worker_id).hello()
    ((run_id, token),) = worker.fetch()
    return worker, run_id, token


def try_again(server: Server, run_id: str, token: int, why: str) -> None:
    assert 1 == server.call("retry", "acme", run_id, token, "", of_call({}), why, "a.b", "acme", 0)


def test_a_run_that_ends_at_once_has_no_tries(acme: Server, redis: Redis) -> None:
    """A single attempt is told by the run itself, and costs no field."""
    run_id = enqueue(acme)
    worker, _, token = fetch_one(acme, "w1")
    start(acme, worker, run_id, token)
    worker.finish([(run_id, token)])

    found = Runs(acme).get(run_id)

    assert (None, ()) == (run_field(redis, run_id, "tries"), found.tries)
    (only,) = found.attempts
    assert (1, "w1", "succeeded", found.started_at, found.finished_at) == (
        only.attempt, only.worker, only.how, only.started_at, only.ended_at
    )  # fmt: skip


def test_a_killed_worker_stays_on_record(acme: Server) -> None:
    """After a rescue the run shows both attempts, each with its worker and its times."""
    run_id = enqueue(acme)
    worker, _, token = fetch_one(acme, "w1")
    start(acme, worker, run_id, token)
    began = Runs(acme).get(run_id).started_at
    acme.call("rescue", "acme", "w1", acme.redis.hget(keys.worker("acme", "w1"), "beat"))
    assert None is Runs(acme).get(run_id).started_at

    worker, _, token = fetch_one(acme, "w2")
    worker.finish([(run_id, token)])

    found = Runs(acme).get(run_id)
    first, second = found.attempts
    assert ((first,), began) == (found.tries, first.started_at)
    assert (1, "w1", "died", "its worker died") == (first.attempt, first.worker, first.how, first.error)
    assert (2, "w2", "succeeded", None) == (second.attempt, second.worker, second.how, second.error)
    assert first.ended_at is not None
    assert first.ended_at <= (second.ended_at or 0)


def test_an_attempt_that_perhaps_began_is_on_record(acme: Server) -> None:
    """A worker tells late that a run has started: what it held when it died, it may have executed."""
    run_id = enqueue(acme)
    fetch_one(acme, "w1")
    acme.call("rescue", "acme", "w1", "0")

    (attempt,) = Runs(acme).get(run_id).attempts

    assert ("w1", "died", None) == (attempt.worker, attempt.how, attempt.started_at)
    assert "perhaps not started" in (attempt.error or "")


def test_a_dead_letter_has_all_its_deaths(letters: DeadLetters, acme: Server) -> None:
    """The last one, too, which ended it."""
    run_id = enqueue(acme)
    for number in range(3):
        _, _, token = fetch_one(acme, f"w{number}")
        acme.call("died", "acme", run_id, token)

    run = letters.get(run_id).run

    assert [(1, "w0"), (2, "w1"), (3, "w2")] == [(each.attempt, each.worker) for each in run.attempts]
    assert {("died", "its child process died")} == {(each.how, each.error) for each in run.attempts}


def test_a_retry_keeps_the_error_and_its_traceback(acme: Server) -> None:
    """Cut where they are long, and never inside of a character; asked again it is kept once."""
    run_id = enqueue(acme)
    _, _, token = fetch_one(acme, "w1")
    long = {"e": {"exc_type": "ValueError", "exc_message": ["ä" * 3_000, 5, None]}, "tb": "x" + "ö" * 9_000}
    try_again(acme, run_id, token, json.dumps(long))
    assert 0 == acme.call("retry", "acme", run_id, token, "", of_call({}), "{}", "a.b", "acme", 0)

    (only,) = Runs(acme).get(run_id).tries

    assert ("retry", "ValueError: " + "ä" * 994) == (only.how, only.error)
    assert "x" + "ö" * 3_999 == only.traceback


@pytest.mark.parametrize(
    ("why", "error"),
    [
        ("", None),
        ("{", "{"),
        ("5", "5"),
        ("{}", None),
        ('{"e":"plain"}', "plain"),
        ('{"e":{}}', "Error"),
        ('{"e":{"exc_type":"E"}}', "E"),
        ('{"e":{"exc_type":"E","exc_message":["no",5,null,[1]]}}', "E: no, 5, null, [1]"),
        ('{"e":{"exc_type":"E","exc_message":"no"}}', "E: no"),
        ('{"e":{"exc_type":5,"exc_message":{"a":1}}}', "Error"),
        ('{"e":"\\ud800"}', '{"e":"\\ud800"}'),
        ("[" * 5_000, "[" * 2_000),
    ],
)
def test_whatever_a_retry_says_is_kept_in_words(acme: Server, why: str, error: str | None) -> None:
    """It never keeps the run from its next attempt."""
    run_id = enqueue(acme)
    _, _, token = fetch_one(acme, "w1")

    try_again(acme, run_id, token, why)

    assert [error] == [each.error for each in Runs(acme).get(run_id).tries]


def test_the_record_is_bounded(acme: Server, redis: Redis) -> None:
    """The last twenty attempts are kept, and 64 KB of them."""
    run_id = enqueue(acme)
    worker = HandWorker(acme).hello()
    for _ in range(25):
        ((_, token),) = worker.fetch()
        try_again(acme, run_id, token, '{"e":"no"}')
    assert list(range(6, 26)) == [each.attempt for each in Runs(acme).get(run_id).tries]

    for _ in range(3):
        ((_, token),) = worker.fetch()
        try_again(acme, run_id, token, json.dumps({"e": "\x01" * 5_000, "tb": "\x01" * 9_000}))

    assert len(run_field(redis, run_id, "tries") or "") <= 65_536
    (last,) = Runs(acme).get(run_id).tries
    assert (28, "\x01" * 8_000) == (last.attempt, last.traceback)


@pytest.mark.parametrize("spoiled", [b"\xff\n{", b'{"n":"x"}\n[]\n5', b""])
def test_a_spoiled_record_stops_nothing(acme: Server, redis: Redis, spoiled: bytes) -> None:
    """What is no try is passed over; the next one is kept."""
    run_id = enqueue(acme)
    redis.hset(keys.run("acme", run_id), "tries", spoiled)
    assert () == Runs(acme).get(run_id).tries
    redis.hset(keys.run("acme", run_id), "attempts", "1")
    _, _, token = fetch_one(acme, "w1")

    try_again(acme, run_id, token, "")

    assert [2] == [each.attempt for each in Runs(acme).get(run_id).tries]


# -- what became of a cancel -------------------------------------------------------------------------------------------

REVOKED: dict[str, Any] = {"e": {"exc_type": "TaskRevokedError", "exc_message": ["terminated"]}}


def end_attempt(acme: Server, way: str, run_id: str, token: int) -> None:
    """Let worker w1 let go of a run."""
    match way:
        case "held":
            acme.call("finish", "acme", run_id, token, "cancelled", "", "", "")
        case "executed":
            acme.call("finish", "acme", run_id, token, "cancelled", 5, json.dumps(REVOKED), "")
        case "retry":
            try_again(acme, run_id, token, '{"e":"no"}')
        case "hand_back":
            acme.call("hand_back", "acme", "", run_id, token)
        case "leave":
            acme.call("leave", "acme", "w1")
        case "rescue":
            acme.call("rescue", "acme", "w1", acme.redis.hget(keys.worker("acme", "w1"), "beat"))
        case "died":
            acme.call("died", "acme", run_id, token)
        case "replaced":
            acme.call("finish", "acme", run_id, token, "replaced", 5, "", "")


@pytest.mark.parametrize(
    ("way", "error"),
    [
        ("waits", "cancelled before start: why"),
        ("waits again", "cancelled before its next attempt: why"),
        ("held", "cancelled before start: why"),
        ("executed", "terminated: why"),
        ("retry", "cancelled instead of its next attempt: why"),
        ("hand_back", "cancelled as its worker gave it back: why"),
        ("leave", "cancelled as its worker gave it back: why"),
        ("rescue", "cancelled as its worker died: why"),
        ("died", "cancelled as its child process died: why"),
        ("replaced", "cancelled as others replaced it: why"),
    ],
)
def test_a_cancelled_run_says_what_became_of_it(acme: Server, way: str, error: str) -> None:
    """Its error begins with what happened, and ends with what the caller said."""
    run_id = enqueue(acme)
    runs = Runs(acme)
    if way != "waits":
        worker, _, token = fetch_one(acme, "w1")
        start(acme, worker, run_id, token)
    if way == "waits again":
        try_again(acme, run_id, token, '{"e":"no"}')
    asked = runs.cancel(run_id, "why")
    end_attempt(acme, way, run_id, 0 if way == "waits" else token)
    found = runs.get(run_id)

    assert ("cancelled" if way.startswith("waits") else "asked") == asked
    assert ("cancelled", error) == (found.state, found.error)
    assert "ended" == runs.cancel(run_id, "later")
    assert error == runs.get(run_id).error


def test_a_parked_run_is_cancelled_at_once(acme: Server, redis: Redis) -> None:
    """It waits for the run before it, and leaves that line."""
    run_id = enqueue(acme)
    redis.hset(keys.run("acme", run_id), mapping={"state": "scheduled", "parked": "1", "job": "report"})
    redis.delete(keys.queue("acme", "acme", 0))
    redis.rpush(keys.parked("acme", "report"), "acme.before", run_id, "acme.behind")

    assert "cancelled" == Runs(acme).cancel(run_id, "why")

    assert "cancelled before start: why" == Runs(acme).get(run_id).error
    assert [b"acme.before", b"acme.behind"] == redis.lrange(keys.parked("acme", "report"), 0, -1)
