from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from factories import HandWorker, make_job, make_server, run_field, run_ids, server_time, set_due
from snapshot import snapshot
from taglane.errors import BadParams, BadSchedule, Conflict, JobNotFound, JobTooNew, ServerUnavailable
from taglane.model.job import Job
from taglane.model.schedule import Every
from taglane.store import jobs as store_jobs
from taglane.store import keys
from taglane.store.job_plan import Put, prepare
from taglane.store.jobs import Jobs
from taglane.store.server import Server
from taglane.store.stored_job import StoredJob, UnreadJob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis import Redis

LIMIT = 1_024


@pytest.fixture
def store(url: str) -> Iterator[Server]:
    server = make_server(url)
    yield server
    server.close()


@pytest.fixture
def jobs(store: Server) -> Jobs:
    return Jobs(store, LIMIT)


def test_put_creates(jobs: Jobs, redis: Redis) -> None:
    """A new job is created at revision 1, and due strictly after now."""
    before = server_time(redis)

    put = jobs.put(make_job(every="2s"))

    assert "created" == put.change
    assert 1 == put.revision
    assert put.next_due is not None
    assert before < put.next_due <= server_time(redis) + 2_000
    assert put.next_due == jobs.get("acme", "report").next_due


def test_put_unchanged_writes_nothing(jobs: Jobs, redis: Redis) -> None:
    """Putting the same definition again, as applying a file does, leaves every byte as it is."""
    first = jobs.put(make_job(every="2s", params={"a": 1, "b": 2}))
    before = snapshot(redis)

    again = jobs.put(make_job(every="2s", params={"b": 2, "a": 1}, now=1))

    assert Put("unchanged", 1, first.next_due) == again
    assert before == snapshot(redis)


def test_update_keeps_the_pending_due(jobs: Jobs, redis: Redis) -> None:
    """New params reach the next fire, and don't move it: not even when it is late."""
    jobs.put(make_job(every="1h"))
    set_due(redis, make_job(), 1_000)

    put = jobs.put(make_job(every="1h", params={"a": 1}))

    assert Put("updated", 2, 1_000) == put
    assert 1_000 == redis.zscore(keys.due("acme"), "report")
    assert {"a": 1} == jobs.get("acme", "report").job.params


def test_new_schedule_moves_the_due(jobs: Jobs, redis: Redis) -> None:
    """A job that got another schedule is due by it, from now on."""
    jobs.put(make_job(every="1h"))

    put = jobs.put(make_job(every="2s"))

    assert "updated" == put.change
    assert put.next_due is not None
    assert put.next_due <= server_time(redis) + 2_000


def test_grid_hangs_on_the_servers_time(jobs: Jobs, redis: Redis) -> None:
    """A fixed rate counts from the server's time at its creation, whatever clock the caller has; an update keeps it."""
    before = server_time(redis)
    jobs.put(make_job(every="2s", now=5))
    created = jobs.get("acme", "report").job.schedule

    jobs.put(make_job(every="2s", now=7, params={"a": 1}))

    assert isinstance(created, Every)
    assert created.anchor is not None
    assert before <= created.anchor <= server_time(redis)
    assert created == jobs.get("acme", "report").job.schedule


def test_after_begins_a_delay_from_now(jobs: Jobs, redis: Redis) -> None:
    """A fixed delay is first due its delay after now, in whole seconds."""
    put = jobs.put(make_job(after="5s"))

    assert put.next_due is not None
    assert 0 == put.next_due % 1_000
    assert 3_000 < put.next_due - server_time(redis) <= 5_000


def test_past_instants_are_refused(jobs: Jobs, redis: Redis) -> None:
    """A job that could never be due is refused, and nothing is written: not even of the others put with it."""
    with pytest.raises(BadSchedule, match=r"^at: 2020-01-01T00:00:00Z lies in the past: it would never be due$"):
        jobs.put_many([make_job("good"), make_job(at="2020-01-01T00:00:00Z")])
    with pytest.raises(
        BadSchedule, match=r"^job 'report': the end of 'every 5s, until 2020-01-01T00:00:00Z' lies in the"
    ):
        jobs.put(make_job(every="5s", end="2020-01-01T00:00:00Z"))

    assert [] == redis.keys("taglane:*")


def test_at_that_has_passed_can_be_applied_again(jobs: Jobs, redis: Redis) -> None:
    """A file with a one-time job that has fired can be applied again, and its params changed."""
    instant = server_time(redis) + 60_000
    jobs.put(make_job(at=instant))
    redis.zrem(keys.due("acme"), "report")

    assert Put("unchanged", 1, None) == jobs.put(make_job(at=instant))
    assert Put("updated", 2, None) == jobs.put(make_job(at=instant, params={"a": 1}))


def test_payload_limit(jobs: Jobs, redis: Redis) -> None:
    """Params over the limit are refused with both sizes; the limit is in bytes, not characters."""
    with pytest.raises(BadParams) as caught:
        jobs.put(make_job(params={"text": "ü" * 600}))

    size = len(
        json.dumps(
            {"b": json.dumps([[], {"text": "ü" * 600}, {}], separators=(",", ":"), ensure_ascii=False)},
            separators=(",", ":"),
            ensure_ascii=False,
        ).encode()
    )
    assert f"params of job 'report' take {size} bytes: the limit is 1024 (TAGLANE_PAYLOAD_LIMIT)" == str(caught.value)
    assert [] == redis.keys("taglane:*")


def test_put_wakes_the_schedulers(jobs: Jobs, redis: Redis) -> None:
    """Who puts a job says when it is due on the tenant's wake channel."""
    with redis.pubsub(ignore_subscribe_messages=True) as listener:  # type: ignore[no-untyped-call]
        listener.subscribe(keys.wake("acme"))
        listener.get_message(timeout=5)

        put = jobs.put(make_job(every="2s"))

        message = listener.get_message(timeout=5)
    assert message is not None
    assert str(put.next_due) == message["data"].decode()


def test_put_many_mixes(jobs: Jobs) -> None:
    """Each job of many gets its own answer, in order, whatever happens to the others."""
    jobs.put_many([make_job("a"), make_job("b")])

    puts = jobs.put_many([make_job("a"), make_job("b", params={"x": 1}), make_job("c", tenant="globex")])

    assert [("unchanged", 1), ("updated", 2), ("created", 1)] == [(put.change, put.revision) for put in puts]


def test_many_jobs_are_put_a_batch_at_a_time(jobs: Jobs, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer at its job's place; who waits is told of each batch."""
    monkeypatch.setattr(store_jobs, "BATCH", 3)
    told: list[int] = []

    jobs.put_many([make_job(f"j{number}") for number in range(0, 8, 2)])
    puts = jobs.put_many([make_job(f"j{number}", tenant="acme") for number in range(8)], told.append)

    assert ["unchanged", "created"] * 4 == [put.change for put in puts]
    assert [3, 3, 2] == told
    assert 8 == redis.zcard(keys.jobs("acme"))


def test_all_batches_are_checked_before_the_first_is_written(
    jobs: Jobs, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of many jobs is wrong: nothing of the others is there."""
    monkeypatch.setattr(store_jobs, "BATCH", 3)
    good = [make_job(f"j{number}") for number in range(8)]

    with pytest.raises(BadParams):
        jobs.put_many([*good, make_job(params={"text": "x" * 2_000})])
    with pytest.raises(BadSchedule):
        jobs.put_many([*good, make_job(at="2020-01-01T00:00:00Z")], ready=lambda: pytest.fail("it is not"))

    assert [] == redis.keys("taglane:*")


def test_who_puts_is_told_when_all_is_checked(jobs: Jobs, redis: Redis) -> None:
    """Once, and before the first is written."""
    seen: list[int] = []

    jobs.put_many([make_job("a"), make_job("b")], ready=lambda: seen.append(redis.dbsize()))

    assert ([0], 2) == (seen, redis.zcard(keys.jobs("acme")))


def test_the_jobs_of_many_tenants_are_listed(jobs: Jobs, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """By tenant as asked, and by name; those that can't be read beside them; who waits is told how many tenants."""
    monkeypatch.setattr(store_jobs, "BATCH", 2)
    jobs.put_many(make_job(name, tenant=tenant) for tenant in ("a", "b", "c") for name in ("z", "y", "x"))
    redis.hset(keys.job("b", "y"), "definition", "{")
    redis.delete(keys.job("b", "x"))
    told: list[int] = []

    found = jobs.list_many(["c", "none", "b"], told.append)

    assert {"c": ["x", "y", "z"], "none": [], "b": ["z"]} == {
        tenant: [stored.job.name for stored in good] for tenant, (good, _) in found.items()
    }
    assert [UnreadJob("b", "x"), UnreadJob("b", "y")] == found["b"][1]
    assert [2, 1] == told


def test_a_list_of_jobs_that_is_none_is_named(jobs: Jobs, redis: Redis) -> None:
    """A tenant can make something else of its own key: the error says which tenant."""
    redis.set(keys.jobs("b"), "x")

    with pytest.raises(ServerUnavailable, match="reading the jobs of tenant b"):
        jobs.list_many(["a", "b"])


def test_many_jobs_are_deleted(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several tenants; those that are gone already are passed over."""
    monkeypatch.setattr(store_jobs, "BATCH", 2)
    jobs.put_many(make_job(name, tenant=tenant) for tenant in ("a", "b") for name in ("x", "y"))

    jobs.delete_many([("a", "x"), ("a", "none"), ("b", "x"), ("b", "y")])

    assert [["y"], []] == [[stored.job.name for stored in jobs.list(tenant)] for tenant in ("a", "b")]


def test_list_is_by_name_and_by_tenant(jobs: Jobs) -> None:
    """A tenant's list holds its own jobs alone, sorted; a tenant without jobs has an empty one."""
    jobs.put_many([make_job("b"), make_job("a"), make_job("c", tenant="globex")])

    assert ["a", "b"] == [stored.job.name for stored in jobs.list("acme")]
    assert [] == jobs.list("initech")


def test_unreadable_records(jobs: Jobs, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """A record that the tenant spoiled hides no other job; asking for it says what to do, and a put mends it."""
    jobs.put_many([make_job("a"), make_job("b")])
    redis.hset(keys.job("acme", "a"), "definition", "{}")

    assert ["b"] == [stored.job.name for stored in jobs.list("acme")]
    assert "job_unreadable tenant=acme job=a" in caplog.text
    with pytest.raises(ServerUnavailable, match="can't be read: put the job again"):
        jobs.get("acme", "a")
    jobs.put(make_job("a"))
    assert "a" == jobs.get("acme", "a").job.name


def test_pause_and_resume(jobs: Jobs, redis: Redis) -> None:
    """A paused job has no due; a resumed one is due after now, whatever it missed; a put does not resume it."""
    jobs.put(make_job(every="2s"))

    paused = jobs.pause("acme", "report")
    put = jobs.put(make_job(every="4s"))
    unpaused = jobs.resume("acme", "report")

    assert (True, None) == (paused.paused, paused.next_due)
    assert None is put.next_due
    assert not unpaused.paused
    assert unpaused.next_due is not None
    assert unpaused.next_due > server_time(redis) - 1_000


def test_resume_of_a_job_that_runs(jobs: Jobs, redis: Redis) -> None:
    """Resuming a job that is not paused skips no fire that is late."""
    jobs.put(make_job(every="2s"))
    set_due(redis, make_job(), 1_000)

    assert 1_000 == jobs.resume("acme", "report").next_due


def test_trigger(jobs: Jobs, redis: Redis) -> None:
    """A trigger makes a run now, with the job's params or those that are given, even of a paused job."""
    jobs.put(make_job(params={"region": "eu"}))
    jobs.pause("acme", "report")

    own, given = jobs.trigger("acme", "report"), jobs.trigger("acme", "report", {"region": "us"})

    assert {own, given} == set(run_ids(redis))
    assert '{"b":"[[],{\\"region\\":\\"eu\\"},{}]"}' == run_field(redis, own, "envelope")
    assert '{"b":"[[],{\\"region\\":\\"us\\"},{}]"}' == run_field(redis, given, "envelope")
    assert own == jobs.get("acme", "report").last_run  # it still goes: that one is waited for


def test_trigger_checks_params(jobs: Jobs, redis: Redis) -> None:
    """A trigger's params are checked like a job's."""
    jobs.put(make_job())

    with pytest.raises(BadParams, match="the limit is 1024"):
        jobs.trigger("acme", "report", {"text": "x" * 2_000})
    with pytest.raises(BadParams, match="has the key 1"):
        jobs.trigger("acme", "report", {1: 2})  # type: ignore[dict-item]
    assert [] == run_ids(redis)


def test_retry_and_limits_travel_in_the_envelope(jobs: Jobs, redis: Redis) -> None:
    """With a job's fires as with its triggers, which may have params of their own and keep the rest."""
    job = make_job(params={"a": 1}, retry={"attempts": 5, "delay": "10s"}, timeout="5m", soft_timeout="90s")
    jobs.put(job)

    own, given = jobs.trigger("acme", "report"), jobs.trigger("acme", "report", {"a": "ü"})

    expected = {"h": {"timelimit": [300, 90]}, "r": {"attempts": 5, "delay": 10_000}}
    assert {"b": '[[],{"a":1},{}]', **expected} == json.loads(run_field(redis, own, "envelope") or "")
    assert {"b": '[[],{"a":"ü"},{}]', **expected} == json.loads(run_field(redis, given, "envelope") or "")
    assert job == jobs.get("acme", "report").job


def test_a_job_of_a_newer_version(jobs: Jobs, store: Server, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """It is named, nothing of it is lost by whoever knows less, its neighbours are listed, and it fires as it is."""
    jobs.put_many([make_job(every="2s"), make_job("plain")])
    newer = json.dumps({**json.loads(make_job(every="2s", now=1).definition), "quota": 5})
    redis.hset(keys.job("acme", "report"), mapping={"definition": newer, "envelope": '{"b":"[[],{},{}]","q":5}'})
    set_due(redis, make_job(), 1_000)
    before = snapshot(redis)
    told = r"a newer Taglane wrote job 'report' of tenant 'acme' \(the field 'quota' is not known here\)"

    for ask in (jobs.get, jobs.pause, jobs.resume):
        with pytest.raises(JobTooNew, match=told):
            ask("acme", "report")
    with pytest.raises(JobTooNew, match=told):
        jobs.put_many([make_job("other"), make_job(every="4s")])
    assert ["plain"] == [stored.job.name for stored in jobs.list("acme")]
    assert "job_unreadable tenant=acme job=report why=a newer Taglane" in caplog.text
    assert [UnreadJob("acme", "report", "the field 'quota'")] == jobs.list_all("acme")[1]
    assert before == snapshot(redis)

    assert [1] == store.call("fire", "acme", "report", 1_000, 1, 2_000, "acme.fired")
    triggered = jobs.trigger("acme", "report", {"a": 1})
    assert '{"b":"[[],{},{}]","q":5}' == run_field(redis, "acme.fired", "envelope")
    assert {"b": '[[],{"a":1},{}]', "q": 5} == json.loads(run_field(redis, triggered, "envelope") or "")
    jobs.delete("acme", "report")


def test_parked_runs_are_counted(jobs: Jobs, store: Server, redis: Redis) -> None:
    """How many wait for the job's last one; a spoiled list hides no job."""
    jobs.put(make_job(every="2s", overlap="queue"))
    for number in range(3):
        set_due(redis, make_job(), 1_000 + number)
        store.call("fire", "acme", "report", 1_000 + number, 1, "", f"acme.{number}")
    assert 2 == jobs.get("acme", "report").parked

    redis.delete(keys.parked("acme", "report"))
    redis.set(keys.parked("acme", "report"), "spoiled")

    assert 0 == jobs.get("acme", "report").parked


def test_what_nobody_serves_is_known_to_look(jobs: Jobs, store: Server, redis: Redis) -> None:
    """With what its job says of that, and whether its runs expire anyway; of what is served nothing more is said."""
    HandWorker(store).hello()
    for name, fields in (("a", {}), ("b", {"tag": "acme.gpu"}), ("c", {"tag": "acme.io", "no_worker": "skip"})):
        jobs.put(make_job(name, every="2s", expires="1h" if name == "b" else None, **fields))
        set_due(redis, make_job(name), 1_000)

    listed = {entry[0]: entry[6:] for entry in store.call("look", "acme", 10)[4]}

    assert {b"a": [], b"b": [b"acme.gpu", b"", b"1"], b"c": [b"acme.io", b"skip", b""]} == listed
    jobs.put(make_job("c", every="2s"))
    assert redis.hget(keys.job("acme", "c"), "no_worker") is None


def test_misfire_is_known_to_look(jobs: Jobs, store: Server, redis: Redis) -> None:
    """The scheduler plans by it without reading a definition; the default takes no room."""
    for name, misfire in (("a", "once"), ("b", "skip")):
        jobs.put(make_job(name, every="2s", misfire=misfire))
        set_due(redis, make_job(name), 1_000)

    listed = {entry[0]: entry[5] for entry in store.call("look", "acme", 10)[4]}

    assert {b"a": b"", b"b": b"skip"} == listed
    jobs.put(make_job("b", every="2s"))
    assert redis.hget(keys.job("acme", "b"), "misfire") is None


def test_delete_keeps_the_runs(jobs: Jobs, store: Server, redis: Redis) -> None:
    """A deleted job is gone with its due; a run that it made is still served."""
    jobs.put(make_job(every="2s"))
    run_id = jobs.trigger("acme", "report")

    jobs.delete("acme", "report")

    assert [] == jobs.list("acme")
    assert 0 == redis.zcard(keys.due("acme"))
    assert [run_id] == [run for run, _ in HandWorker(store).hello().fetch()]


def test_recreated_job_starts_over(jobs: Jobs) -> None:
    """A job that was deleted and made again begins at revision 1, not paused."""
    jobs.put(make_job(every="2s"))
    jobs.pause("acme", "report")
    jobs.delete("acme", "report")

    jobs.put(make_job(every="2s"))

    stored = jobs.get("acme", "report")
    assert (1, False, None) == (stored.revision, stored.paused, stored.last_run)


# -- many callers at once ----------------------------------------------------------------------------------------------

WEEK = 604_800


def is_due_as_it_says(redis: Redis) -> bool:
    """Whether the job is due at an instant of the schedule that it has: never, when it is paused or not there."""
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.hmget(keys.job("acme", "report"), "definition", "paused")
        pipeline.zscore(keys.due("acme"), "report")
        (definition, paused), due = pipeline.execute()
    if definition is None or paused:
        return due is None
    schedule = Job.from_definition("acme", "report", definition).schedule
    assert isinstance(schedule, Every)
    return due is not None and 0 == int(due) % schedule.interval


@pytest.mark.parametrize("others", [("delete",), ("other schedule",), ("pause", "resume", "other schedule", "delete")])
def test_callers_at_once_never_part_a_job_from_its_due(jobs: Jobs, redis: Redis, others: tuple[str, ...]) -> None:
    """Who changes the params leaves the due of the schedule that he saw alone: if it is another by then, or the job is
    gone, he looks again."""

    def change(what: str) -> list[bool]:
        agreed = []
        for number in range(150):
            try:
                match what:
                    case "delete":
                        jobs.delete("acme", "report")
                    case "pause":
                        jobs.pause("acme", "report")
                    case "resume":
                        jobs.resume("acme", "report")
                    case "other schedule":
                        every = f"{WEEK + number}s"  # so far away that none is due here, and no two share an instant
                        jobs.put(make_job(every=every, start=0))
                    case _:
                        jobs.put(make_job(every=f"{WEEK}s", start=0, params={what: number}))
            except JobNotFound:
                assert what in {"delete", "pause", "resume"}
            except Conflict:
                pass  # the others were always faster
            agreed.append(is_due_as_it_says(redis))
        return agreed

    with ThreadPoolExecutor(5) as pool:
        agreed = list(pool.map(change, ["params", "too", *others]))

    assert {True} == {each for found in agreed for each in found}


def test_a_job_that_is_named_twice_is_put_twice(jobs: Jobs) -> None:
    """The second of them follows the first."""
    puts = jobs.put_many([make_job(every="1h"), make_job(every="1h", params={"a": 1})])

    assert [("created", 1), ("updated", 2)] == [(put.change, put.revision) for put in puts]
    assert puts[0].next_due == puts[1].next_due == jobs.get("acme", "report").next_due


class Late(Server):
    """Before whatever this one asks, somebody else has changed the job."""

    def call(self, move: str, tenant: str, *args: str | bytes | float) -> Any:
        super().call("pause", tenant, "report", "1", "")
        return super().call(move, tenant, *args)

    def calls(self, moves: Iterable[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        super().call("pause", "acme", "report", "1", "")
        return super().calls(moves)


def test_a_job_that_others_change_all_the_time(jobs: Jobs, redis: Redis, url: str) -> None:
    """It stays as they have it, and the error names it."""
    jobs.put(make_job(every="1h"))
    jobs.pause("acme", "report")
    late = Late(url)
    definition = redis.hget(keys.job("acme", "report"), "definition")

    for ask in (
        lambda: Jobs(late, LIMIT).put(make_job(every="2h")),
        lambda: Jobs(late, LIMIT).resume("acme", "report"),
    ):
        with pytest.raises(Conflict, match="'report' of tenant 'acme' is changed by others all the time"):
            ask()
    late.close()

    assert jobs.get("acme", "report").paused
    assert definition == redis.hget(keys.job("acme", "report"), "definition")


def test_unknown_jobs(jobs: Jobs) -> None:
    """Whatever is asked of a job that is not there says so, and makes nothing."""
    for ask in (jobs.get, jobs.pause, jobs.resume, jobs.trigger, jobs.delete):
        with pytest.raises(JobNotFound, match="tenant 'acme' has no job 'report'"):
            ask("acme", "report")


def test_priority_is_rounded_to_its_step(jobs: Jobs, redis: Redis) -> None:
    """A job's runs wait in the queue of its priority's step."""
    job: Job = make_job(priority=7)
    jobs.put(job)

    jobs.trigger("acme", "report")

    assert 1 == redis.llen(keys.queue("acme", "acme", 6))


def test_what_is_as_of_most_jobs_is_not_kept(jobs: Jobs, redis: Redis) -> None:
    """It would be a fifth of the memory of each; once it is otherwise it is kept, and goes when it is no more."""
    key = keys.job("acme", "report")
    plain = {b"created", b"born", b"revision", b"definition", b"task", b"tag", b"envelope", b"schedule"}
    other = {b"step", b"overlap", b"misfire", b"no_worker", b"expires"}
    seen = []
    for fields in (
        {},
        {"priority": 5, "overlap": "queue", "misfire": "skip", "no_worker": "skip", "expires": "1h"},
        {"overlap": "skip", "misfire": "once", "no_worker": "wait"},
    ):
        jobs.put(make_job(every="1h", **fields))
        seen.append(set(redis.hkeys(key)))

    assert [plain, plain | other, plain] == seen


def test_a_put_wakes_the_schedulers_for_the_first_due_alone(jobs: Jobs, redis: Redis) -> None:
    """They know of that one: of a hundred jobs that are put at once they hear a few times."""
    client: Any = redis  # redis-py leaves this untyped
    with client.pubsub() as heard:
        heard.subscribe(keys.wake("acme"))
        heard.get_message(timeout=5)
        for hours in (5, 7, 3, 9):
            jobs.put(make_job(f"j{hours}", every=f"{hours}h"))
        jobs.put(make_job("j3", every="8h"))
        jobs.put(make_job("j7", every="1h"))
        told = [heard.get_message(timeout=5) for _ in range(3)]
        more = heard.get_message(timeout=0.05)

    first = [jobs.get("acme", name).next_due for name in ("j5", "j7")]
    assert [first[0], first[1]] == [int(told[0]["data"]), int(told[2]["data"])]
    assert more is None


def test_what_is_kept_of_many_jobs_is_read_at_once(jobs: Jobs, store: Server, redis: Redis) -> None:
    """Unread, in the order asked for: one that is missing, and one that is none, too; and put where it is as it was."""
    jobs.put(make_job("a"))
    redis.set(keys.job("acme", "b"), "x")
    prepared = prepare(make_job("a", priority=3))

    now, kept = jobs.kept([("acme", name) for name in "abc"])
    planned = jobs.plan("acme", prepared, kept[0], now)

    assert [make_job("a").definition, None, None] == [each.definition for each in kept]
    assert [StoredJob, UnreadJob, type(None)] == [type(each.read()) for each in kept]
    assert "updated" == planned.change
    assert [[True], [False]] == [jobs.put_planned([("acme", prepared, planned)]) for _ in range(2)]
    assert "unchanged" == jobs.plan("acme", prepared, jobs.kept([("acme", "a")])[1][0], now).change
    assert [("acme", "a")] == jobs.names(["acme", "none"])
    assert store.tenant is None
