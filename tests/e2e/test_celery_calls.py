"""Celery's calls, unchanged, on Taglane: one table, call by pool, of which each cell is a test.

Everything here, the tests too, works with the credential of `tenant_a`. `docs/celery.md` shows the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
import taglane
from celery import Celery, chain, chord, group
from celery import canvas as celery_canvas
from celery.app import base as celery_base
from celery.app import task as celery_task
from celery.app.task import Context
from celery.exceptions import ChordError, SoftTimeLimitExceeded, TaskRevokedError, TimeLimitExceeded, WorkerLostError
from celery.exceptions import TimeoutError as NotYet
from celery.result import AsyncResult, GroupResult, ResultSet
from eventually import eventually
from kombu.utils.uuid import uuid
from processes import WorkerProcess
from taglane.errors import BadName, BadParams, Refused, TagNotOwned, TenantMissing
from taglane.store import functions
from taglane.store.runs import Runs
from taglane.store.server import Server
from taglane_scheduler.embedded import EmbeddedServer
from taglane_scheduler.tenancy.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis
    from taglane_scheduler.embedded import ServerBinary

POOLS = ("prefork", "threads", "solo")
PAGE = Path(__file__).parents[2] / "docs" / "celery.md"
HEAD = f"| call | {' | '.join(POOLS)} | what it does |"
SOON = 8.0
"""Seconds within which a call of a busy test machine has its result."""


@dataclass(frozen=True)
class Field:
    """Where a pool's calls are made: a worker, the tasks as their sender knows them, the folder of what they note."""

    worker: WorkerProcess
    tasks: Any
    app: Celery
    folder: Path
    runs: Runs

    @property
    def pool(self) -> str:
        return self.worker.pool

    def name(self) -> str:
        """A name for what one test notes."""
        return uuid4().hex

    def lines(self, name: str) -> list[str]:
        """What tasks have noted under it."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def open(self, gate: str) -> None:
        """Let go on who waits for it."""
        (self.folder / gate).touch()


@dataclass(frozen=True)
class Call:
    """A row of the table."""

    call: str
    test: Callable[[Field], None]
    pools: tuple[str, ...]
    otherwise: Callable[[Field], None] | None = field(repr=False, default=None)


TABLE: list[Call] = []


def ready_state(result: Any) -> str | None:
    """The state of a task that has ended, or None."""
    return str(result.state) if result.ready() else None


def row(call: str, *, only: tuple[str, ...] = POOLS, otherwise: Callable[[Field], None] | None = None) -> Any:
    """Enter a test into the table. In the other pools *otherwise* is the test."""

    def enter(test: Callable[[Field], None]) -> Callable[[Field], None]:
        TABLE.append(Call(call, test, only, otherwise))
        return test

    return enter


@pytest.fixture(scope="module")
def address(binary: ServerBinary) -> Iterator[str]:
    """A tenant's url on a server that no other test empties."""
    with EmbeddedServer(binary=binary) as running:
        server = Server(running.url)
        functions.load(server.redis)
        yield Tenants(server).create("tenant_a").url
        server.close()


@pytest.fixture(scope="module", params=POOLS)
def field_(request: pytest.FixtureRequest, address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """One worker for all calls of a pool."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        for module in (celery_base, celery_task, celery_canvas):
            patch.setattr(module, "uuid", uuid)  # `install` names ids: no other test is to get ours, nor we another's
        patch.setenv("TAGLANE_URL", address)
        from calls import tasks  # noqa: PLC0415 - its application connects to where TAGLANE_URL says when it is imported
        from calls.app import app  # noqa: PLC0415 - likewise

        environment = {"CALLS_FOLDER": str(folder)}
        with WorkerProcess(address, ["tenant_a", "tenant_a.q"], "calls.app", request.param, env=environment) as worker:
            worker.wait_ready()
            yield Field(worker, tasks, app, folder, Runs(Server(address)))


# -- calling -----------------------------------------------------------------------------------------------------------


@row("`task.delay(…)` and `AsyncResult.get`")
def delay(on: Field) -> None:
    """A `@shared_task` gets its arguments, and its caller the result."""
    assert 5 == on.tasks.add.delay(2, y=3).get(timeout=SOON)


@row("`@app.task`")
def app_task(on: Field) -> None:
    """So does a task of the application."""
    assert 6 == on.tasks.multiply.delay(2, 3).get(timeout=SOON)


@row("`app.send_task(name)`")
def send_task(on: Field) -> None:
    """A task may be called by its name alone."""
    assert 5 == on.app.send_task("calls.tasks.add", (2, 3)).get(timeout=SOON)


@row("`bind=True`, `self.request`")
def bound(on: Field) -> None:
    """A bound task knows its id, its tag, and the headers that it was sent with."""
    result = on.tasks.about.apply_async(headers={"x-colour": "red"})
    about = result.get(timeout=SOON)
    assert (result.id, result.id, None, 0) == (about["id"], about["root_id"], about["parent_id"], about["retries"])
    assert ("tenant_a", "tenant_a", "red") == (about["tag"], about["tenant"], about["header"])


@row("`countdown=`")
def countdown(on: Field) -> None:
    """It waits as long as it was told to, on the server, and no longer."""
    result = on.tasks.add.apply_async((2, 3), countdown=0.4)
    assert "scheduled" == on.runs.get(result.id).state
    assert 5 == result.get(timeout=SOON)
    run = on.runs.get(result.id)
    assert run.started_at is not None
    assert run.queued_at is not None
    assert run.started_at >= run.queued_at - 50  # a start is told by its length, in whole ms


@row("`eta=`")
def eta(on: Field) -> None:
    """It waits until then, in any time zone."""
    zone = datetime.now(UTC).astimezone().tzinfo
    result = on.tasks.add.apply_async((2, 3), eta=datetime.now(zone) + timedelta(seconds=0.4))
    assert "scheduled" == on.runs.get(result.id).state
    assert 5 == result.get(timeout=SOON)


@row("`expires=`")
def expires(on: Field) -> None:
    """What could not be started in time never is, and its caller learns it."""
    name = on.name()
    late = on.tasks.noted.apply_async((name,), countdown=0.3, expires=0.1)
    with pytest.raises(TaskRevokedError, match="expired"):
        late.get(timeout=SOON)
    assert "REVOKED" == late.state
    assert [] == on.lines(name)
    assert 5 == on.tasks.add.apply_async((2, 3), expires=60).get(timeout=SOON)


@row("`priority=`")
def priority(on: Field) -> None:
    """What is urgent (0) is served before what is not (9), however long that has waited."""
    name = on.name()
    on.worker.freeze()
    try:
        waiting = [on.tasks.noted.apply_async((name, "9"), priority=9) for _ in range(8)]
        urgent = on.tasks.noted.apply_async((name, "0"), priority=0)
    finally:
        on.worker.thaw()
    for result in (*waiting, urgent):
        result.get(timeout=SOON)
    assert on.lines(name).index("0") < on.worker.concurrency + 1  # its neighbours in the other slots may be quicker
    assert 6 == on.tasks.about.apply_async(priority=6).get(timeout=SOON)["priority"]


@row("`queue=`")
def queue(on: Field) -> None:
    """A queue is the tenant's tag of that name; a tag that this worker does not serve waits for one that does."""
    assert "tenant_a.q" == on.tasks.about.apply_async(queue="q").get(timeout=SOON)["tag"]
    elsewhere = on.tasks.about.apply_async(queue="elsewhere")
    assert "tenant_a" == on.tasks.about.delay().get(timeout=SOON)["tag"]
    assert ("tenant_a.elsewhere", "queued") == (on.runs.get(elsewhere.id).tag, on.runs.get(elsewhere.id).state)


@row("`queue=` that can't be a tag")
def bad_queue(on: Field) -> None:
    """Is an error at the call that says so, and nothing is sent."""
    for name in ("Big Queue", "a/b", "x" * 64):
        with pytest.raises(BadName, match=re.escape(name)):
            on.tasks.add.apply_async((1, 2), queue=name)
    with pytest.raises(TagNotOwned, match=r"tenant_b\.q"):
        on.tasks.add.apply_async((1, 2), queue="tenant_b.q")


@row("`task_id=`")
def task_id(on: Field) -> None:
    """An id of the caller's own finds its result; used twice it runs once."""
    name, chosen = on.name(), f"order-{uuid4().hex}"
    first = on.tasks.noted.apply_async((name, "first"), task_id=chosen)
    assert (chosen, "first") == (first.id, first.get(timeout=SOON))
    assert "first" == on.tasks.noted.apply_async((name, "second"), task_id=chosen).get(timeout=SOON)
    assert ["first"] == on.lines(name)


@row("`task_routes`")
def options(on: Field) -> None:
    """The queue and the priority that the application has decided hold for a task's calls."""
    result = on.tasks.with_defaults.delay(1)
    assert [1] == result.get(timeout=SOON)
    assert "tenant_a.q" == on.runs.get(result.id).tag


@row("a task that no worker knows")
def unknown(on: Field) -> None:
    """Fails, and says which tasks the tag's workers know; what depends on it fails too."""
    waiting = Dependants(on, on.app.signature("calls.tasks.ad"))
    waiting.check_failed("FAILURE", KeyError)
    assert "calls.tasks.add" in str(waiting.chain.result)


@row("`ignore_result=True`")
def ignore_result(on: Field) -> None:
    """The task runs and nobody keeps its result; that it succeeded is kept."""
    name = on.name()
    result = on.tasks.quiet.delay(name)
    assert result.get(timeout=SOON) is None
    eventually(lambda: on.runs.get(result.id).is_ended)
    assert ([""], None) == (on.lines(name), on.runs.get(result.id).result)
    other = on.tasks.add.apply_async((1, 2), ignore_result=True)
    eventually(lambda: on.runs.get(other.id).is_ended)
    assert ("succeeded", None) == (on.runs.get(other.id).state, on.runs.get(other.id).result)


@row("the tenant is inherited")
def inherited(on: Field) -> None:
    """What a task sends, and what that sends, is the same tenant's."""
    first = on.tasks.tenant_below.delay(2).get(timeout=SOON)
    second = AsyncResult(first, app=on.app).get(timeout=SOON)
    assert "tenant_a" == AsyncResult(second, app=on.app).get(timeout=SOON)
    assert second.startswith("tenant_a.")


@row("arguments that are not JSON")
def not_json(on: Field) -> None:
    """Are an error at the call; pickle is never taken."""
    with pytest.raises(Exception, match="not JSON serializable"):
        on.tasks.add.delay(object(), 1)
    with pytest.raises(BadParams, match="JSON only"):
        on.tasks.add.apply_async((1, 2), serializer="pickle")


# -- results -----------------------------------------------------------------------------------------------------------


@row("`AsyncResult.state`, `.traceback`, `.ready()`")
def states(on: Field) -> None:
    """A result tells what became of its task, where it failed, and by which error."""
    good, bad = on.tasks.add.delay(1, 2), on.tasks.fail.delay(message="on purpose")
    with pytest.raises(ValueError, match="on purpose"):
        bad.get(timeout=SOON)
    good.get(timeout=SOON)
    assert ("SUCCESS", None, True, True) == (good.state, good.traceback, good.ready(), good.successful())
    assert ("FAILURE", True, True) == (bad.state, bad.ready(), bad.failed())
    assert isinstance(bad.result, ValueError)
    assert "raise ValueError(message)" in bad.traceback
    waiting = on.tasks.add.apply_async((1, 2), countdown=60)
    assert ("PENDING", False, None) == (waiting.state, waiting.ready(), waiting.result)
    waiting.revoke()


@row("`AsyncResult.get(timeout=)`, `propagate=False`")
def get_options(on: Field) -> None:
    """A caller may stop waiting, and may take an error as a value."""
    waiting = on.tasks.add.apply_async((1, 2), countdown=60)
    with pytest.raises(NotYet):
        waiting.get(timeout=0.05)
    waiting.revoke()
    assert isinstance(on.tasks.fail.delay().get(timeout=SOON, propagate=False), ValueError)


@row("`AsyncResult.children`")
def children(on: Field) -> None:
    """The tasks that a task has sent are its children."""
    result = on.tasks.parent.delay([1, 2])
    ids = result.get(timeout=SOON)
    assert ids == [child.id for child in result.children]
    assert [2, 3] == [child.get(timeout=SOON) for child in result.children]


@row("`AsyncResult.forget`")
def forget(on: Field) -> None:
    """A result that was forgotten is gone."""
    result = on.tasks.add.delay(1, 2)
    assert 3 == result.get(timeout=SOON)
    result.forget()
    assert AsyncResult(result.id, app=on.app).result is None


@row("results as `datetime`, `Decimal`, `UUID`")
def types(on: Field) -> None:
    """These cross both ways as what they are."""
    values = {"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "sum": Decimal("1.10"), "id": UUID(int=7)}
    assert values == on.tasks.types.delay().get(timeout=SOON)
    names = on.tasks.type_names.delay(**values).get(timeout=SOON)
    assert {"at": "datetime", "sum": "Decimal", "id": "UUID"} == names


@row("a result that is not JSON")
def result_not_json(on: Field) -> None:
    """Fails its task, as in Celery."""
    with pytest.raises(Exception, match="not JSON serializable"):
        on.tasks.not_json.delay().get(timeout=SOON)


@row("`self.update_state`")
def update_state(on: Field) -> None:
    """What a task says of itself is there while it runs."""
    gate = on.name()
    result = on.tasks.with_progress.delay(gate)
    eventually(lambda: result.state == "PROGRESS")
    assert {"done": 40} == result.info
    on.open(gate)
    assert ("done", "SUCCESS") == (result.get(timeout=SOON), result.state)


@row("`track_started=True`")
def track_started(on: Field) -> None:
    """A task that is being executed is `STARTED`."""
    gate = on.name()
    result = on.tasks.hold.delay(gate)
    eventually(lambda: result.state == "STARTED")
    on.open(gate)
    assert "let go" == result.get(timeout=SOON)


# -- retrying, rejecting -----------------------------------------------------------------------------------------------


@row("`self.retry`")
def retry(on: Field) -> None:
    """The same task runs again, with its count of retries, until it succeeds."""
    name = on.name()
    assert [3, 2] == on.tasks.retry_until.delay(name, 3).get(timeout=SOON)
    assert 3 == len(on.lines(name))


@row("`self.retry(exc=)` past `max_retries`")
def retries_exceeded(on: Field) -> None:
    """It fails by the error that was given, having run once more than it may be retried."""
    name = on.name()
    with pytest.raises(KeyError, match="gone"):
        on.tasks.retry_in_vain.delay(name).get(timeout=SOON)
    assert 3 == len(on.lines(name))


@row("a task that waits for its retry")
def retrying(on: Field) -> None:
    """Shows `RETRY` and why; it waits on the server, in no worker, and can be revoked."""
    result = on.tasks.retry_slowly.delay()
    eventually(lambda: result.state == "RETRY")
    assert isinstance(result.result, OSError)
    assert "retrying" == on.runs.get(result.id).state
    on.app.control.revoke(result.id)
    assert "REVOKED" == result.state


@row("`self.retry(throw=False)`")
def retry_without_raising(on: Field) -> None:
    """It is retried all the same; the result is that of the last attempt."""
    assert 2 == on.tasks.retry_and_return.delay(on.name()).get(timeout=SOON)


@row("`autoretry_for`, `retry_backoff`")
def autoretry(on: Field) -> None:
    """A task that raises one of those errors runs again."""
    for task in (on.tasks.flaky, on.tasks.flaky_with_backoff):
        assert 3 == task.delay(on.name(), 3).get(timeout=SOON)


@row("`raise Reject(requeue=False)`")
def reject(on: Field) -> None:
    """The task fails, and with it what depends on it."""
    name = on.name()
    result = on.tasks.reject.delay(name, requeue=False)
    eventually(lambda: on.runs.get(result.id).is_ended)
    assert 1 == len(on.lines(name))
    assert "failed" == on.runs.get(result.id).state
    assert "Reject" in str(on.runs.get(result.id).error)
    waiting = Dependants(on, on.tasks.reject.si(on.name(), requeue=False))
    waiting.check_failed("FAILURE", Exception)


@row("`raise Reject(requeue=True)`")
def reject_requeue(on: Field) -> None:
    """The task goes back to its queue, and runs again after a second."""
    name = on.name()
    assert 2 == on.tasks.reject.delay(name, requeue=True).get(timeout=SOON)


@row("`raise Ignore`")
def ignore(on: Field) -> None:
    """The task ends, and what state it has given itself stays."""
    name = on.name()
    result = on.tasks.ignored.delay(name)
    eventually(lambda: on.runs.get(result.id).is_ended)
    assert 1 == len(on.lines(name))
    with pytest.raises(ValueError, match="by hand"):
        on.tasks.ignored_with_state.delay().get(timeout=SOON)


@row("`self.replace(…)`: task, chain, group, chord")
def replace(on: Field) -> None:
    """The result of what replaces a task is the task's; those who depend on it go on."""
    expected = {"task": 3, "chain": 30, "group": [3, 7], "chord": 10}
    results = {kind: on.tasks.replaced.delay(kind) for kind in expected}
    assert expected == {kind: result.get(timeout=SOON) for kind, result in results.items()}
    assert 30 == chain(on.tasks.replaced.s("task"), on.tasks.multiply.s(10)).delay().get(timeout=SOON)
    parts = [on.tasks.replaced.s("task"), on.tasks.replaced.s("chain"), on.tasks.add.s(1, 1)]
    assert 35 == chord(parts)(on.tasks.total.s()).get(timeout=SOON)


# -- canvas ------------------------------------------------------------------------------------------------------------


@row("`chain`")
def chain_(on: Field) -> None:
    """Each link gets the result of the one before it."""
    result = chain(on.tasks.add.s(1, 2), on.tasks.multiply.s(10), on.tasks.add.s(5)).delay()
    assert 35 == result.get(timeout=SOON)
    assert [30, 3] == [
        each.get(timeout=SOON) for each in (result.parent, result.parent.parent)
    ]  # sent on before they end


@row("`chain` with a link that fails")
def chain_fails(on: Field) -> None:
    """The last link's result fails with it, and what follows is not run."""
    name = on.name()
    result = chain(on.tasks.add.s(1, 2), on.tasks.fail.s(), on.tasks.noted_after.s(name)).delay()
    with pytest.raises(ValueError, match="no"):
        result.get(timeout=SOON)
    assert [] == on.lines(name)


@row("`group`")
def group_(on: Field) -> None:
    """Its results come in the order of its members; a group in a group is its members."""
    members = [on.tasks.add.s(1, 2), group(on.tasks.add.s(3, 4), on.tasks.add.s(5, 6)), on.tasks.multiply.s(2, 3)]
    assert [3, 7, 11, 6] == group(members).delay().get(timeout=SOON)
    many = group(on.tasks.add.s(number, 1) for number in range(20)).delay()
    assert list(range(1, 21)) == many.get(timeout=SOON)
    assert many.successful()


@row("`GroupResult.join_native`, `.iter_native`, `ResultSet`, `.collect`")
def collected(on: Field) -> None:
    """The results of many tasks are read as Celery reads them."""
    result = group(on.tasks.add.s(number, 1) for number in range(3)).delay()
    assert [1, 2, 3] == result.join_native(timeout=SOON)
    assert [1, 2, 3] == sorted(meta["result"] for _, meta in result.iter_native(timeout=SOON))
    assert [1, 2, 3] == ResultSet(list(result), app=on.app).join(timeout=SOON)
    family = on.tasks.parent.delay([1, 2])
    assert [2, 3] == [value for _, value in family.collect(timeout=SOON)][1:]


@row("`GroupResult.save`, `.restore`, `.delete`")
def saved_group(on: Field) -> None:
    """A group is found again by its id."""
    result = group(on.tasks.add.s(1, 2), on.tasks.add.s(3, 4)).delay()
    result.save()
    restored = GroupResult.restore(result.id, app=on.app)
    assert [3, 7] == restored.get(timeout=SOON)
    restored.delete()
    assert GroupResult.restore(result.id, app=on.app) is None


@row("`chord`")
def chord_(on: Field) -> None:
    """The body gets the results of all parts, in their order; once."""
    name = on.name()
    header = [on.tasks.add.s(number, 0) for number in range(12)]
    assert list(range(12)) == chord(header)(on.tasks.noted_after.s(name)).get(timeout=SOON)
    assert 1 == len(on.lines(name))
    assert 0 == chord([])(on.tasks.total.s()).get(timeout=SOON)
    assert 3 == chord([on.tasks.add.s(1, 2)])(on.tasks.total.s()).get(timeout=SOON)
    retried = chord([on.tasks.flaky.s(on.name(), 2), on.tasks.add.s(1, 2)])(on.tasks.total.s())
    assert 5 == retried.get(timeout=SOON)


@row("`chord` with a part that fails")
def chord_fails(on: Field) -> None:
    """The body's result is a `ChordError` that names the part's; its errbacks are called, and the body is not."""
    name, body_name = on.name(), on.name()
    body = on.tasks.noted_after.s(body_name).on_error(on.tasks.errback.s(name))
    result = chord([on.tasks.add.s(1, 2), on.tasks.fail.s(message="a bad part")])(body)
    eventually(result.failed)
    assert isinstance(result.result, ChordError)
    assert "a bad part" in str(result.result)
    lines = eventually(lambda: on.lines(name))
    assert lines[0].startswith(f"{result.id} ChordError")
    assert [] == on.lines(body_name)


@row("`chain` that ends in a `chord`, or goes on after one")
def chord_in_chain(on: Field) -> None:
    """`chain | group | task` is a chord, and may go on."""
    add, total = on.tasks.add, on.tasks.total
    assert 23 == chain(add.s(1, 2), group(add.s(4), add.s(5)), total.s(), add.s(8)).delay().get(timeout=SOON)
    assert 25 == (add.s(1, 2) | chord([add.s(3), add.s(4)], total.s()) | add.s(12)).delay().get(timeout=SOON)
    assert [7, 8] == (add.s(1, 2) | group(add.s(4), add.s(5))).delay().get(timeout=SOON)


@row("`chord` in a `chord`")
def chord_in_chord(on: Field) -> None:
    """A part may be a chord itself: its body's result is the part."""
    add, total = on.tasks.add, on.tasks.total
    inner = chord([add.s(1, 2), add.s(3, 4)], total.s())
    assert 21 == chord([inner, add.s(5, 6)], total.s()).delay().get(timeout=SOON)
    innermost = chord([add.s(2, 2), add.s(3, 3)], total.s())
    deeper = chord([chord([add.s(1, 1), innermost], total.s()), add.s(5, 5)], total.s())
    assert 22 == deeper.delay().get(timeout=SOON)


@row("`group` or `chain` in a `chord`'s header")
def in_header(on: Field) -> None:
    """A group counts as its members, a chain as its last link."""
    add, total = on.tasks.add, on.tasks.total
    assert 21 == chord([group(add.s(1, 2), add.s(3, 4)), add.s(5, 6)], total.s()).delay().get(timeout=SOON)
    assert 41 == chord([chain(add.s(1, 2), on.tasks.multiply.s(10)), add.s(5, 6)], total.s()).delay().get(timeout=SOON)
    ends_in_group = chain(add.s(1, 2), group(add.s(10), add.s(20)))
    body = on.tasks.noted_after.s(on.name())
    assert [[13, 23], 11] == chord([ends_in_group, add.s(5, 6)], body).delay().get(timeout=SOON)


@row("a `chord` whose body is a `chain` or a `group`")
def bodies(on: Field) -> None:
    """Both are sent when the parts are in."""
    add, total, header = on.tasks.add, on.tasks.total, [on.tasks.add.s(1, 2), on.tasks.add.s(3, 4)]
    assert 100 == chord(header, chain(total.s(), on.tasks.multiply.s(10))).delay().get(timeout=SOON)
    assert [10, [3, 7]] == chord(header, group(total.s(), on.tasks.noted_after.s(on.name()))).delay().get(timeout=SOON)
    failing = chord([add.s(1, 2), on.tasks.fail.s()], chain(total.s(), on.tasks.multiply.s(10))).delay()
    eventually(failing.failed)
    assert isinstance(failing.result, ChordError)


@row("a failing part in a nested `chord`")
def nested_failure(on: Field) -> None:
    """Fails the inner body, that the outer one, and the chain behind it: nothing hangs."""
    add, total, fail = on.tasks.add, on.tasks.total, on.tasks.fail
    for body in (total.s(), chain(total.s(), add.s(1)), group(total.s(), total.s()), chord([total.s()], total.s())):
        inner = chord([add.s(1, 2), fail.s()], body)
        outer = chord([inner, add.s(5, 6)], total.s()).delay()
        eventually(outer.failed)
        assert isinstance(outer.result, ChordError)
    followed = (add.s(1, 2) | chord([add.s(3), fail.s()], total.s()) | add.s(12)).delay()
    chained = chord([chain(fail.s(), on.tasks.add.s(1)), add.s(5, 6)], total.s()).delay()
    for result in (followed, chained):
        assert eventually(result.failed)
        assert isinstance(result.result, ChordError)


@row("`self.add_to_chord`")
def add_to_chord(on: Field) -> None:
    """A part may add a part: the body waits for it too."""
    result = chord([on.tasks.grown.s(10), on.tasks.add.s(1, 2)])(on.tasks.total.s())
    assert 24 == result.get(timeout=SOON)


@row("`chunks`, `map`, `starmap`")
def chunks(on: Field) -> None:
    """Many calls in one task."""
    assert [[1, 3], [5]] == on.tasks.add.chunks([(0, 1), (1, 2), (2, 3)], 2).delay().get(timeout=SOON)
    assert [3, 7] == on.tasks.add.starmap([(1, 2), (3, 4)]).delay().get(timeout=SOON)


@row("`link=`")
def link(on: Field) -> None:
    """A callback gets the result; of several, each does."""
    one, two = on.name(), on.name()
    callbacks = [on.tasks.noted_after.s(one), on.tasks.noted_after.s(two)]
    on.tasks.add.apply_async((2, 3), link=callbacks).get(timeout=SOON)
    assert (["5"], ["5"]) == (eventually(lambda: on.lines(one)), eventually(lambda: on.lines(two)))


@row("`link_error=`")
def link_error(on: Field) -> None:
    """An errback gets the failed request and its error, one of one argument its id; a success calls none."""
    new, old, unused = on.name(), on.name(), on.name()
    errbacks = [on.tasks.errback.s(new), on.tasks.old_errback.s(old)]
    result = on.tasks.fail.apply_async(kwargs={"message": "call back"}, link_error=errbacks)
    on.tasks.add.apply_async((1, 2), link_error=on.tasks.errback.s(unused)).get(timeout=SOON)
    assert [f"{result.id} ValueError call back"] == eventually(lambda: on.lines(new))
    assert [result.id] == eventually(lambda: on.lines(old))
    assert [] == on.lines(unused)


# -- what the server ends ----------------------------------------------------------------------------------------------


@row("`control.revoke` of what waits")
def revoke(on: Field) -> None:
    """It never runs; errbacks are called, the rest of its chain fails, and so does the chord that it is a part of."""
    name, errors = on.name(), on.name()
    alone = on.tasks.noted.apply_async((name,), countdown=60, link_error=on.tasks.errback.s(errors))
    first = on.tasks.noted.si(name).set(countdown=60)
    chained = chain(first, on.tasks.noted_after.s(name)).apply_async()
    members = group(on.tasks.noted.si(name).set(countdown=60) for _ in range(2)).delay()
    members.revoke()
    on.worker.freeze()
    try:
        parts = [on.tasks.add.s(1, 2), on.tasks.noted.si(name)]
        joined = chord(parts)(on.tasks.total.s())
        waiting = chained.parent, joined.parent.results[1]
        on.app.control.revoke([alone.id, *(result.id for result in waiting)])
    finally:
        on.worker.thaw()
    assert ["REVOKED", "REVOKED"] == [member.state for member in members]
    for result, state in ((alone, "REVOKED"), (waiting[0], "REVOKED"), (waiting[1], "REVOKED"), (chained, "FAILURE")):
        with pytest.raises(TaskRevokedError):
            result.get(timeout=SOON)  # of a chain: it is raised as soon as a link before has failed
        assert state == eventually(partial(ready_state, result))
    eventually(joined.failed)
    assert isinstance(joined.result, ChordError)
    assert eventually(lambda: on.lines(errors))[0].startswith(f"{alone.id} TaskRevokedError")
    assert [] == on.lines(name)


@row("`expires=` in a chain or a chord")
def expired_part(on: Field) -> None:
    """A link or a part that expired fails what depends on it: nothing hangs."""
    late = on.tasks.add.s(1, 2).set(countdown=0.3, expires=0.1)
    with pytest.raises(TaskRevokedError):
        chain(late, on.tasks.multiply.s(10)).delay().get(timeout=SOON)
    joined = chord([late.clone(), on.tasks.add.s(1, 2)])(on.tasks.total.s())
    eventually(joined.failed)
    assert "expired" in str(joined.result)


@row("`control.revoke` of what runs")
def revoke_without_terminate(on: Field) -> None:
    """It goes on, and its result stays."""
    gate = on.name()
    result = on.tasks.hold.delay(gate)
    eventually(lambda: result.state == "STARTED")
    on.app.control.revoke(result.id)
    on.open(gate)
    assert "let go" == result.get(timeout=SOON)


@row("`control.revoke(terminate=True)`")
def revoke_running(on: Field) -> None:
    """It is stopped where it is, and revoked; those who depend on it learn it."""
    errors = on.name()
    running = on.tasks.hold.s(on.name()).on_error(on.tasks.errback.s(errors))
    waiting = Dependants(on, running)

    def revoke_what_runs() -> bool:
        started = [first.id for first in waiting.first if first.state == "STARTED"]
        on.app.control.revoke(started, terminate=True)
        return all(first.ready() for first in waiting.first)

    eventually(revoke_what_runs, 30)
    waiting.check_failed("REVOKED", TaskRevokedError)
    assert eventually(lambda: 2 == len(on.lines(errors)))


class Dependants:
    """A chain and a chord that both begin with one task."""

    def __init__(self, on: Field, task: Any) -> None:
        self.chain = chain(task.clone(), on.tasks.noted_after.s(on.name())).delay()
        self.chord = chord([on.tasks.add.s(1, 2), task.clone()])(on.tasks.total.s())
        self.first = self.chain.parent, self.chord.parent.results[1]

    def check_failed(self, state: str, error: type[Exception]) -> None:
        """The task has ended like this, and what depends on it has failed by it."""
        for first in self.first:
            assert state == eventually(partial(ready_state, first), 30)
            assert isinstance(first.result, error)
        for result in (self.chain, self.chord):
            assert "FAILURE" == eventually(partial(ready_state, result), 30)
        assert isinstance(self.chain.result, error)
        assert isinstance(self.chord.result, ChordError)


def soft_limit_of_a_thread(on: Field) -> None:
    """A thread is told at its next step of Python: what waits outlasts it."""
    name = on.name()
    with pytest.raises(SoftTimeLimitExceeded):
        on.tasks.slow.apply_async((0.4, name), soft_time_limit=0.1).get(timeout=SOON)
    assert ["soft"] == on.lines(name)


def hard_limit_without_a_child(on: Field) -> None:
    """A thread can't be ended: it is told at its next step of Python, and fails. A solo worker ends itself with it."""
    if on.pool == "solo":
        assert on.worker.alive  # tests/faults ends whole workers
        return
    with pytest.raises(TimeLimitExceeded):
        on.tasks.slow.apply_async((0.4, on.name()), time_limit=0.1).get(timeout=SOON)


@row("`soft_time_limit=`", only=("prefork", "solo"), otherwise=soft_limit_of_a_thread)
def soft_limit(on: Field) -> None:
    """The task is told, may clean up, and fails when it lets the error through."""
    name = on.name()
    with pytest.raises(SoftTimeLimitExceeded):
        on.tasks.slow.apply_async((10, name), soft_time_limit=0.2).get(timeout=SOON)
    assert ["soft"] == on.lines(name)


@row("`time_limit=`", only=("prefork",), otherwise=hard_limit_without_a_child)
def hard_limit(on: Field) -> None:
    """Its process is ended, and the task fails, once; those who depend on it learn it."""
    name = on.name()
    waiting = Dependants(on, on.tasks.slow.s(10, name).set(time_limit=0.3))
    waiting.check_failed("FAILURE", TimeLimitExceeded)
    assert [] == on.lines(name)


@row("`acks_late=False`")
def acks_early(on: Field) -> None:
    """It runs as any other."""
    assert "once" == on.tasks.acked_early.delay().get(timeout=SOON)


def nobody_dies(on: Field) -> None:
    """The worker is the process that would die: tests/faults ends whole workers."""
    assert on.worker.alive


@row("a task that takes its process along", only=("prefork",), otherwise=nobody_dies)
def lost_process(on: Field) -> None:
    """It runs three times, and is then a dead letter; with `acks_late=False` the first death is its last."""
    late, early = on.name(), on.name()
    for task, name, times in ((on.tasks.die, late, 3), (on.tasks.die_early, early, 1)):
        waiting = Dependants(on, task.s(name))
        waiting.check_failed("FAILURE", WorkerLostError)
        # Once more where billiard saw the child's end before it read that the child had begun: it gives it to another.
        assert len(on.lines(name)) - 2 * times in {0, 1, 2}
        assert {("dead", times)} == {
            (run.state, run.attempt) for run in (on.runs.get(each.id) for each in waiting.first)
        }


@row("`control.broadcast`, `.inspect`, `.purge`")
def broadcast(on: Field) -> None:
    """Are refused: on such a channel every tenant's workers would hear each other."""
    with pytest.raises(NotImplementedError, match="taglane workers"):
        on.app.control.broadcast("shutdown")
    with pytest.raises(NotImplementedError, match="taglane workers"):
        on.app.control.inspect().ping()
    with pytest.raises(NotImplementedError, match="purge"):
        on.app.control.purge()


CELLS = [pytest.param(call, id=call.test.__name__.strip("_")) for call in TABLE]


@pytest.mark.parametrize("call", CELLS)
def test_call(call: Call, field_: Field) -> None:
    """Each call does in each pool what its row says."""
    if field_.pool in call.pools:
        call.test(field_)
    else:
        assert call.otherwise is not None
        call.otherwise(field_)


# -- beside the table --------------------------------------------------------------------------------------------------


def test_the_page_shows_the_table() -> None:
    """`docs/celery.md` has a row for each call, as it is tested."""
    shown = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    assert [HEAD, "| --- | --- | --- | --- | --- |", *map(_line, TABLE)] == shown


def _line(call: Call) -> str:
    marks = " | ".join("yes" if pool in call.pools else "no" for pool in POOLS)
    says = " ".join((call.test.__doc__ or "").split())
    if call.otherwise is not None:
        others = " and ".join(pool for pool in POOLS if pool not in call.pools)
        says += f" Not so in {others}: " + " ".join((call.otherwise.__doc__ or "").split())
    return f"| {call.call} | {marks} | {says} |"


@pytest.fixture
def tasks_of_nobody(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """An application with the operator's credential: no tenant is in reach of it."""
    for module in (celery_base, celery_task, celery_canvas):
        monkeypatch.setattr(module, "uuid", module.uuid)
    app = Celery("nobody", set_as_current=False)
    taglane.install(app, server.url)
    return app


def test_a_task_sent_with_no_tenant_in_reach_is_an_error_at_the_call(tasks_of_nobody: Celery, redis: Redis) -> None:
    """It becomes no message in some default queue: nothing at all is written."""
    with pytest.raises(TenantMissing, match="no tenant in reach"):
        tasks_of_nobody.send_task("calls.tasks.add", (1, 2))
    with pytest.raises(TenantMissing, match="no tenant in reach"):
        chord([tasks_of_nobody.signature("calls.tasks.add", (1, 2))])(tasks_of_nobody.signature("calls.tasks.total"))
    assert [] == redis.keys("*")


def test_the_tenant_in_reach_is_that_of_the_block(tasks_of_nobody: Celery, redis: Redis) -> None:
    """With the operator's credential `with taglane.tenant(…)` says whose a task is: in its id, its tag and its keys."""
    functions.load(redis)
    with taglane.tenant("tenant_a"):
        result = tasks_of_nobody.send_task("calls.tasks.add", (1, 2), queue="q")
    assert result.id.startswith("tenant_a.")
    assert "tenant_a.q" == Runs(Server(tasks_of_nobody.conf.broker_transport_options["secret_url"])).get(result.id).tag
    written: Any = redis.keys("*")
    assert {b"{tenant_a}"} == {key.split(b":")[1] for key in written}


def test_an_application_that_lies_of_its_tenant_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant's credential sends for that tenant alone, whatever the block says."""
    for module in (celery_base, celery_task, celery_canvas):
        monkeypatch.setattr(module, "uuid", module.uuid)
    app = Celery("liar", set_as_current=False)
    taglane.install(app, address)
    with taglane.tenant("tenant_b"), pytest.raises(Refused):
        app.send_task("calls.tasks.add", (1, 2))


def test_a_join_that_is_cancelled_fails_its_body(address: str, tmp_path: Path) -> None:
    """The body's result fails when the run that was to send the body is ended by the server."""
    app = Celery("sender", set_as_current=False)
    with pytest.MonkeyPatch.context() as patch:
        for module in (celery_base, celery_task, celery_canvas):
            patch.setattr(module, "uuid", module.uuid)
        taglane.install(app, address)
        parts = [app.signature("calls.tasks.add", (number, 1), queue="late") for number in range(2)]
        result = chord(parts, app=app)(app.signature("calls.tasks.total", queue="late"))
        for index, part in enumerate(result.parent):  # as a worker would, that had executed them
            request = Context(id=part.id, group=result.parent.id, group_index=index)
            app.backend.on_chord_part_return(request, "SUCCESS", 1)
        app.control.revoke([f"{result.parent.id}~join", *(part.id for part in result.parent)])
        environment = {"CALLS_FOLDER": str(tmp_path)}
        with WorkerProcess(address, ["tenant_a.late"], "calls.app", "solo", env=environment):
            eventually(result.failed, 30)
    assert "never joined" in str(result.result)


def test_celerys_own_command_starts_a_tagged_worker(address: str, tmp_path: Path) -> None:
    """`celery -A calls.app worker --tag tenant_a.own` serves that tag."""
    app = Celery("sender", set_as_current=False)
    with pytest.MonkeyPatch.context() as patch:
        for module in (celery_base, celery_task, celery_canvas):
            patch.setattr(module, "uuid", module.uuid)
        taglane.install(app, address)
        environment = {"CALLS_FOLDER": str(tmp_path)}
        with WorkerProcess(address, ["tenant_a.own"], "calls.app", "solo", env=environment, by="celery") as worker:
            assert ("tenant_a.own",) == worker.wait_ready().tags
            result = app.send_task("calls.tasks.about", queue="own")
            assert "tenant_a.own" == result.get(timeout=SOON)["tag"]
