"""The client, against a real server; a worker's part is played by hand."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import taglane
from eventually import eventually
from factories import HandWorker, run_field, run_ids, server_time
from taglane import Taglane
from taglane.errors import (
    BadName,
    BadParams,
    BadSchedule,
    BadSetting,
    LibraryMissing,
    NotReplayable,
    Refused,
    RunFailed,
    RunNotFound,
    RunTimeout,
    ServerUnavailable,
    TagNotOwned,
    TenantMissing,
)
from taglane.model.retry import Retry
from taglane.store import functions, keys
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from taglane.store.server import Server

TASK = "shop.tasks.report"


@pytest.fixture
def operator(url: str, redis: Redis) -> Iterator[Taglane]:
    functions.load(redis)
    lane = Taglane(url)
    yield lane
    lane.close()


@pytest.fixture
def acme(operator: Taglane) -> Iterator[Taglane]:
    lane = Taglane(Tenants(operator.server).create("acme").url)
    yield lane
    lane.close()


class NamedTask:
    """A task as the client takes it: by its name."""

    name = TASK


def execute(server: Server, result: str = '{"r":7}', state: str = "succeeded") -> list[str]:
    """Fetch what waits, and end it so."""
    worker = HandWorker(server).hello()
    held = eventually(worker.fetch)
    for run_id, token in held:
        server.call("finish", "acme", run_id, token, state, 5, result, "")
    return [run_id for run_id, _ in held]


def test_enqueue_makes_a_run(acme: Taglane, redis: Redis) -> None:
    """Of the credential's tenant, for its own tag, with an id that carries it; nothing is asked of the server more."""
    run = acme.enqueue(TASK, params={"region": "eu"})

    info = run.info
    assert run.created
    assert run.id.startswith("acme.")
    assert ("acme", "acme", TASK, "queued", 0) == (info.tenant, info.tag, info.task, info.state, info.attempt)
    assert '{"b":"[[],{\\"region\\":\\"eu\\"},{}]"}' == run_field(redis, run.id, "envelope")


def test_a_task_itself_names_its_run(acme: Taglane) -> None:
    """A Celery task can be given as it is."""
    assert TASK == acme.enqueue(NamedTask()).info.task
    assert TASK == acme.enqueue_many(NamedTask(), params=[{}])[0].info.task


def test_the_tenant_in_reach(operator: Taglane, acme: Taglane, redis: Redis) -> None:
    """The argument wins over the block around the call, and that over the credential; with none, nothing is sent."""
    with taglane.tenant("globex"):
        assert "initech" == operator.enqueue(TASK, tenant="initech").info.tenant
        assert "globex" == operator.enqueue(TASK).info.tenant
        with pytest.raises(Refused):
            acme.enqueue(TASK)
    assert "acme" == acme.enqueue(TASK).info.tenant
    before = redis.dbsize()
    with pytest.raises(TenantMissing, match=TASK):
        operator.enqueue(TASK)
    with pytest.raises(BadName):
        operator.enqueue(TASK, tenant="")
    assert before == redis.dbsize()


def test_tags(acme: Taglane) -> None:
    """A pool of the tenant's, or one that is shared; never another tenant's."""
    assert "acme.gpu" == acme.enqueue(TASK, tag="acme.gpu").info.tag
    assert "shared.gpu" == acme.enqueue(TASK, tag="shared.gpu").info.tag
    for tag in ("acme1", "acme1.gpu", "ac.gpu"):
        with pytest.raises(TagNotOwned):
            acme.enqueue(TASK, tag=tag)
    for tag in ("", "acme.*", "acme.a.b", "{acme}"):
        with pytest.raises(BadName):
            acme.enqueue(TASK, tag=tag)


@pytest.mark.parametrize("task", ["", " ", "a b", ".a", "a.", "{a}", "a" * 201, None, 5, object()])
def test_a_task_that_can_be_none(acme: Taglane, redis: Redis, task: Any) -> None:
    """Refused before anything is sent, by each call that takes one."""
    with pytest.raises(BadName, match="must be a dotted name"):
        acme.enqueue(task)
    with pytest.raises(BadName, match="must be a dotted name"):
        acme.enqueue_many(task, params=[{}])
    with pytest.raises(BadName, match="must be a dotted name"):
        acme.put_job("report", task=task, manual=True)
    assert [] == run_ids(redis)


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"x": math.nan}, "not JSON"),
        ({"x": [math.inf]}, "not JSON"),
        ({"x": -math.inf}, "not JSON"),
        ({"x": object()}, "not JSON"),
        ({"x": {1, 2}}, "not JSON"),
        ({"x": b"bytes"}, "not JSON"),
        ({"x": "\ud800"}, "not JSON"),
        ({("a", "b"): 1}, "not JSON"),
        ([], "must be an object, the task's keyword arguments; got list"),
        ([1], "got list"),
        ("{}", "got str"),
        (0, "got int"),
    ],
)
def test_params_that_are_none(acme: Taglane, redis: Redis, params: Any, why: str) -> None:
    """No JSON object, and so no task's keyword arguments: refused before anything is sent."""
    with pytest.raises(BadParams, match=why):
        acme.enqueue(TASK, params=params)
    with pytest.raises(BadParams, match=why):
        acme.enqueue_many(TASK, params=[{}, params])
    assert [] == run_ids(redis)


def test_params_too_deep(acme: Taglane) -> None:
    """What json can't follow is refused like all that is no JSON."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(BadParams, match="not JSON"):
        acme.enqueue(TASK, params={"x": deep})
    while deep:
        deep = deep[0]  # else the interpreter's own recursion takes it apart


def test_the_payload_limit_is_in_bytes(acme: Taglane, redis: Redis) -> None:
    """The message has both sizes, and says what to do."""
    limit = acme.settings.payload_limit
    acme.enqueue(TASK, params={"x": "a" * (limit - 100)})

    with pytest.raises(BadParams, match=rf"params take \d+ bytes, over the limit of {limit} .*send where it is"):
        acme.enqueue(TASK, params={"x": "ü" * (limit - 100)})
    assert 1 == len(run_ids(redis))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("delay", "soon"), ("delay", ""), ("delay", "-5s"), ("delay", -1), ("delay", -0.5), ("delay", math.nan),
        ("delay", math.inf), ("delay", 1e300), ("delay", "4000d"), ("delay", True), ("delay", [1]), ("delay", b"5s"),
        ("expires", "never"), ("expires", 0), ("expires", -1), ("expires", "0s"), ("expires", math.nan),
        ("expires", 0.0001), ("priority", -1), ("priority", 10), ("priority", 1.5), ("priority", "3"),
        ("priority", True), ("priority", None), ("key", ""), ("key", 5), ("key", "k" * 201),
    ],
)  # fmt: skip
def test_bad_options_are_named(acme: Taglane, redis: Redis, option: str, value: Any) -> None:
    """With the value, before anything is sent."""
    with pytest.raises(BadParams) as caught:
        acme.enqueue(TASK, **{option: value})

    assert str(caught.value).startswith(f"{option}={value!r}: ")
    assert [] == run_ids(redis)


def test_an_unknown_option_is_a_mistake_in_the_program(acme: Taglane) -> None:
    """As with any function of Python."""
    with pytest.raises(TypeError, match="dellay"):
        acme.enqueue(TASK, dellay=5)


@pytest.mark.parametrize(("delay", "expected"), [(60, 60_000), (1.5, 1_500), ("5m", 300_000), ("1h30m", 5_400_000)])
def test_delay(acme: Taglane, redis: Redis, delay: float | str, expected: int) -> None:
    """Seconds or a text; it counts from the server's time, and no worker gets the run before."""
    before = server_time(redis)
    run = acme.enqueue(TASK, delay=delay)
    after = server_time(redis)

    at = run.info.queued_at
    assert "scheduled" == run.state
    assert at is not None
    assert before + expected <= at <= after + expected
    assert [] == HandWorker(acme.server).hello().fetch()


def test_no_delay_is_now(acme: Taglane) -> None:
    """A delay of 0 is none."""
    assert "queued" == acme.enqueue(TASK, delay=0).state


def test_expires(acme: Taglane) -> None:
    """A run that waits for longer is not served any more, and ends."""
    run = acme.enqueue(TASK, expires=0.001)
    kept = acme.enqueue(TASK, expires="1h")

    worker = HandWorker(acme.server).hello()
    eventually(lambda: worker.server.call("expire", "acme") or run.state == "expired")
    assert [kept.id] == [run_id for run_id, _ in worker.fetch()]
    with pytest.raises(RunFailed, match="expired"):
        run.wait(timeout=5)


def test_priority(acme: Taglane) -> None:
    """0 is served first, and a priority counts as the step that it is rounded down to."""
    made = {priority: acme.enqueue(TASK, priority=priority).id for priority in (9, 8, 7, 5, 4, 2, 0)}

    served = [run_id for run_id, _ in HandWorker(acme.server).hello().fetch()]

    assert [made[priority] for priority in (2, 0, 5, 4, 8, 7, 9)] == served


def test_a_key_makes_one_run(acme: Taglane, redis: Redis) -> None:
    """However often and by how many at once it is asked, the first one's run is the answer."""
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: acme.enqueue(TASK, key="order-7"), range(16)))

    assert 1 == len({run.id for run in runs})
    assert 1 == sum(run.created for run in runs)
    assert [runs[0].id] == run_ids(redis)


def test_enqueue_many(acme: Taglane, redis: Redis) -> None:
    """In order, one run for each, over the chunks' borders."""
    runs = acme.enqueue_many(TASK, params=({"n": n} for n in range(2_100)), priority=3, tag="acme.io")

    assert 2_100 == len({run.id for run in runs}) == len(run_ids(redis))
    for n in (0, 199, 200, 2_000, 2_099):
        assert f'{{"b":"[[],{{\\"n\\":{n}}},{{}}]"}}' == run_field(redis, runs[n].id, "envelope")
    assert 2_100 == redis.llen(keys.queue("acme", "acme.io", 3))
    assert [] == acme.enqueue_many(TASK, params=[])


def test_enqueue_many_with_a_key(acme: Taglane, redis: Redis) -> None:
    """One key can't stand for many runs."""
    with pytest.raises(BadParams, match="one key can't stand for many"):
        acme.enqueue_many(TASK, params=[{}], key="k")
    assert [] == run_ids(redis)


def test_wait_and_result(acme: Taglane) -> None:
    """A handle waits for its run, keeps the result, and fetches it once."""
    run = acme.enqueue(TASK)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run.wait, 10)
        execute(acme.server, '{"r":{"sum":7}}')
        assert run is waiting.result(10)

    acme.server.redis.delete(keys.run("acme", run.id))
    assert {"sum": 7} == run.result
    assert {"sum": 7} == run.result


def test_result_waits(acme: Taglane) -> None:
    """Asked without a wait before, it waits itself; also for None."""
    run = acme.enqueue(TASK)
    execute(acme.server, '{"r":null}')

    assert run.result is None


def test_a_failed_run_raises_each_time(acme: Taglane) -> None:
    """With what its task raised: by wait, and by result whether or not it was waited for before."""
    run = acme.enqueue(TASK)
    execute(acme.server, '{"e":{"exc_type":"ValueError","exc_message":["no"]},"tb":"Traceback of it"}', "failed")

    for _ in range(2):
        with pytest.raises(RunFailed, match="failed: ValueError: no") as caught:
            run.wait(timeout=5)
        assert ("failed", "Traceback of it") == (caught.value.state, caught.value.traceback)
        with pytest.raises(RunFailed, match="failed: ValueError: no"):
            _ = run.result


def test_a_run_that_takes_longer(acme: Taglane) -> None:
    """The wait ends with an error of its own, and the run goes on."""
    run = acme.enqueue(TASK)

    with pytest.raises(RunTimeout, match=r"is still queued after 0\.05 s"):
        run.wait(timeout=0.05)
    with pytest.raises(RunTimeout):
        run.wait(timeout=0)
    assert "queued" == run.state


def test_cancel(acme: Taglane) -> None:
    """What waits ends at once; what runs is asked to stop; what has ended stays what it is."""
    waiting, running = acme.enqueue(TASK, delay=60), acme.enqueue(TASK)
    ((held, token),) = HandWorker(acme.server).hello().fetch()

    assert ("cancelled", "asked") == (waiting.cancel(), running.cancel())
    acme.server.call("finish", "acme", held, token, "succeeded", 5, "", "")
    assert ("ended", "ended") == (waiting.cancel(), running.cancel())
    assert ("cancelled", "succeeded") == (waiting.state, running.state)
    with pytest.raises(RunFailed, match="cancelled"):
        waiting.wait()


def test_retry(acme: Taglane) -> None:
    """A run that was cancelled is made again, as a new one that names it; one that goes on is not."""
    run = acme.enqueue(TASK, params={"x": 1})
    with pytest.raises(NotReplayable):
        run.retry()
    run.cancel()

    again = run.retry()

    assert (run.id, "queued") == (again.info.of, again.state)
    assert again.id == run.info.replayed


def test_run_is_a_handle_by_id(acme: Taglane) -> None:
    """Nothing is asked until something is wanted; an id that can be none is refused at once."""
    run = acme.enqueue(TASK)

    assert "queued" == acme.run(run.id).state
    assert f"<Run {run.id}>" == repr(acme.run(run.id))
    with pytest.raises(RunNotFound):
        acme.run("acme.unknown").wait(timeout=1)
    with pytest.raises(BadName):
        acme.run("{acme}")


def test_put_job(acme: Taglane, redis: Redis) -> None:
    """A job of the tenant in reach, of all the fields that there are; put again it is what it was."""

    def put() -> Any:
        return acme.put_job(
            "report",
            task=NamedTask(),
            cron="0 9 * * 1",
            tz="Europe/Berlin",
            params={"region": "eu"},
            tag="acme.io",
            start="2030-01-01T00:00",
            end="2031-01-01T00:00:00Z",
            priority=5,
            overlap="allow",
            misfire="all",
            expires="1h",
            retry={"attempts": 5, "on": ["ConnectionError"]},
            timeout="5m",
            soft_timeout=240_000,
        )

    first, again = put(), put()

    stored = acme.jobs.get("acme", "report")
    assert ("created", 1, "unchanged", 1) == (first.change, first.revision, again.change, again.revision)
    assert first.next_due == stored.next_due
    assert ("acme", TASK, {"region": "eu"}, "acme.io", 5, "allow", 3_600_000) == (
        stored.job.tenant,
        stored.job.task,
        stored.job.params,
        stored.job.tag,
        stored.job.priority,
        stored.job.overlap,
        stored.job.expires,
    )
    assert ("all", Retry(attempts=5, on=("ConnectionError",)), 300_000, 240_000) == (
        stored.job.misfire,
        stored.job.retry,
        stored.job.timeout,
        stored.job.soft_timeout,
    )
    assert 1_893_452_400_000 == stored.job.schedule.start  # midnight in Berlin
    acme.jobs.trigger("acme", "report")
    assert 1 == redis.llen(keys.queue("acme", "acme.io", 3))


@pytest.mark.parametrize(
    "schedule", [{"every": "30s"}, {"after": "5m"}, {"at": "2100-01-01T00:00:00Z"}, {"manual": True}]
)
def test_put_job_takes_each_schedule(acme: Taglane, schedule: dict[str, Any]) -> None:
    """Each is due by itself, but for a manual one."""
    put = acme.put_job("report", task=TASK, **schedule)

    assert ("manual" in schedule) == (put.next_due is None)


def test_put_job_of_another_tenant(operator: Taglane, acme: Taglane) -> None:
    """By the argument, the block around it, or the credential: as with enqueue."""
    operator.put_job("report", tenant="initech", task=TASK, manual=True)
    with taglane.tenant("globex"):
        operator.put_job("report", task=TASK, manual=True)
    acme.jobs.put(operator.jobs.get("globex", "report").job.model_copy(update={"tenant": "acme", "tag": "acme"}))

    assert ["report"] * 3 == [operator.jobs.list(each)[0].job.name for each in ("acme", "globex", "initech")]
    with pytest.raises(TenantMissing, match="job 'report'"):
        operator.put_job("report", task=TASK, manual=True)
    with pytest.raises(Refused):
        acme.put_job("report", tenant="globex", task=TASK, manual=False, every="5s")


def test_put_job_refuses_what_it_can_not_be(acme: Taglane, redis: Redis) -> None:
    """By the kind of mistake; nothing is written."""
    with pytest.raises(BadSchedule, match="exactly one of cron, every, after, at, manual"):
        acme.put_job("report", task=TASK)
    with pytest.raises(BadSchedule, match="exactly one of"):
        acme.put_job("report", task=TASK, every="5s", cron="* * * * *")
    with pytest.raises(BadName):
        acme.put_job("Report", task=TASK, manual=True)
    with pytest.raises(TagNotOwned):
        acme.put_job("report", task=TASK, manual=True, tag="other")
    with pytest.raises(BadParams, match="JSON does not have"):
        acme.put_job("report", task=TASK, manual=True, params={"x": math.nan})
    assert 0 == redis.exists(keys.jobs("acme"))


def test_the_url(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Comes from the setting when none is given; one that is none says so; nothing is connected by making a client."""
    monkeypatch.setenv("TAGLANE_URL", url)
    assert url == Taglane().server.url
    with pytest.raises(BadSetting, match="TAGLANE_URL"):
        Taglane("http://example.org")
    away = Taglane("redis://127.0.0.1:1/0")
    with pytest.raises(ServerUnavailable, match=r"no server at 127\.0\.0\.1:1"):
        away.enqueue(TASK, tenant="acme")


def test_a_server_without_the_library(url: str, redis: Redis) -> None:
    """The error says who brings it; after that the same call works."""
    redis.function_flush()
    lane = Taglane(url)
    for call in (
        lambda: lane.enqueue(TASK, tenant="acme"),
        lambda: lane.enqueue_many(TASK, params=[{}], tenant="acme"),
    ):
        with pytest.raises(LibraryMissing, match="taglane scheduler"):
            call()
    functions.load(redis)

    assert lane.enqueue(TASK, tenant="acme").created
    lane.close()
