"""The API's runs: enqueue, find, show, wait for, cancel, run again; what they were called with and have logged."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from taglane.errors import OverLimit, RunTimeout
from taglane.model.query import parse_query
from typing_extensions import TypedDict

from taglane_scheduler.web.api.route import ApiRoute
from taglane_scheduler.web.api.shapes import (
    Asked,
    Cursor,
    Empty,
    Instant,
    Limit,
    Name,
    PageAsked,
    Wanted,
    cut,
    instant,
)

if TYPE_CHECKING:
    from taglane.model.run import RunInfo, Try

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.api.route import Call

WAITERS = 16
"""Requests that wait for an end at once: each has a thread of few."""

_waiting = threading.BoundedSemaphore(WAITERS)


class TooManyWait(OverLimit):
    """As many requests wait for the ends of runs as may."""

    retry_after = 1.0

    def __init__(self) -> None:
        super().__init__(f"{WAITERS} requests wait for the ends of runs, and that is the most: ask again in a moment")


class RunRow(TypedDict):
    """A run as a list has it: without its result."""

    id: str
    tenant: str
    job: str | None
    task: str
    tag: str
    state: str
    due: Instant | None
    queued_at: Instant | None
    started_at: Instant | None
    finished_at: Instant | None
    worker: str | None
    attempt: int
    error: str | None


class Attempt(TypedDict):
    """One try of a run."""

    attempt: int
    worker: str | None
    started_at: Instant | None
    ended_at: Instant | None
    how: str
    error: str | None
    traceback: str | None


class RunShown(RunRow):
    """All that is kept of a run. Below the role `write`, what speaks of secrets in its result is covered."""

    result: Any
    traceback: str | None
    deaths: int
    of: str | None
    replayed: str | None
    parked: bool
    asked_to_stop: str | None
    attempts: list[Attempt]


class RunList(TypedDict):
    """Some runs, the newest first; *looked_back_to*: this page has looked so far; where few match it ends early."""

    items: list[RunRow]
    next: str | None
    looked_back_to: Instant | None


class Enqueued(TypedDict):
    """A run that was enqueued; *created* is false where the idempotency key found one."""

    id: str
    created: bool


class Cancelled(TypedDict):
    """What came of it: cancelled, asked (its worker is to stop it), or ended (it had)."""

    id: str
    cancel: str


class Again(TypedDict):
    """The new run of one."""

    id: str
    of: str


class CallShown(TypedDict):
    """What a run was called with; null where it is not kept. *covered* says how many values are."""

    args: list[Any] | None
    params: dict[str, Any] | None
    covered: int
    root: str | None
    parent: str | None
    children: list[str]


class Line(TypedDict):
    """One line that a run has logged or printed."""

    id: str
    at: Instant | None
    level: str
    logger: str
    text: str
    attempt: int
    stream: str


class LogShown(TypedDict):
    """Some lines: read on with *last*; *ended* says that there are no more, *dropped* how many are not kept."""

    items: list[Line]
    last: str
    dropped: int
    ended: bool


class RunsAsked(PageAsked):
    """Which runs: *q* is as in ``tenant:acme state:failed,dead job:report* since:1h``."""

    q: Annotated[str, Field(max_length=2_000)] = ""


class OfTenant(Asked):
    """Whose run it is, for an id that does not say it."""

    tenant: Name | None = None


class WaitAsked(OfTenant):
    """For how many seconds."""

    timeout: Annotated[float, Field(ge=0, le=20)] = 10.0


class LogAsked(OfTenant):
    """Which lines."""

    after: Cursor = ""
    limit: Limit = 500


class RunNew(Wanted):
    """A run to be made. *delay* and *expires* are durations as in 5m; *key* makes one run of several requests."""

    task: Name
    params: dict[str, Any] | None = None
    tag: Name | None = None
    delay: Name | None = None
    expires: Name | None = None
    priority: int = 0
    key: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class ParamsAgain(Wanted):
    """Params that take the place of a run's own; without any, it is run again as it was."""

    params: dict[str, Any] | None = None


def find(desk: Desk, call: Call) -> RunList:
    """Return the runs that a query takes."""
    asked: RunsAsked = call.query
    page = desk.searches.page(parse_query(asked.q), after=asked.after, limit=asked.limit)
    back_to = instant(page.back_to)
    return {"items": [row_of_run(each) for each in page.runs], "next": page.next or None, "looked_back_to": back_to}


def enqueue(desk: Desk, call: Call) -> Enqueued:
    """Make a run."""
    body: RunNew = call.body
    options = {"tag": body.tag, "delay": body.delay, "expires": body.expires, "priority": body.priority}
    made = desk.runs.enqueue(body.task, call.parts["tenant"], body.params, key=body.key, **options)
    return {"id": made.id, "created": made.created}


def show(desk: Desk, call: Call) -> RunShown:
    """Return one run, whole."""
    return _whole(desk, desk.runs.get(call.parts["run_id"], call.query.tenant))


def wait(desk: Desk, call: Call) -> RunShown:
    """Return a run once it has ended."""
    if not _waiting.acquire(blocking=False):
        raise TooManyWait
    try:
        with suppress(RunTimeout):
            return _whole(desk, desk.runs.wait(call.parts["run_id"], call.query.timeout, call.query.tenant))
        return show(desk, call)
    finally:
        _waiting.release()


def cancel(desk: Desk, call: Call) -> Cancelled:
    """End a run that waits, or ask its worker to stop it."""
    run_id = call.parts["run_id"]
    return {"id": run_id, "cancel": desk.runs.cancel(run_id, call.query.tenant)}


def retry(desk: Desk, call: Call) -> Again:
    """Run a run again, with other params when they are given."""
    run_id, tenant = call.parts["run_id"], call.query.tenant
    if call.body.params is not None:
        return {"id": desk.calls.again(run_id, call.body.params, tenant), "of": run_id}
    return {"id": desk.runs.retry(run_id, tenant), "of": run_id}


def called(desk: Desk, call: Call) -> CallShown:
    """Return what a run was called with, covered by rule."""
    found = desk.calls.get(call.parts["run_id"], call.query.tenant)
    return {
        "args": found.call.args,
        "params": found.call.params,
        "covered": found.covered,
        "root": found.call.root,
        "parent": found.call.parent,
        "children": list(found.call.children),
    }


def logs(desk: Desk, call: Call) -> LogShown:
    """Return what a run has logged, behind a cursor."""
    asked: LogAsked = call.query
    page = desk.logs.read(call.parts["run_id"], asked.tenant, after=asked.after, count=asked.limit)
    lines: list[Line] = [
        {
            "id": each.id,
            "at": instant(each.at),
            "level": each.level,
            "logger": each.logger,
            "text": each.text,
            "attempt": each.attempt,
            "stream": each.stream,
        }
        for each in page.lines
    ]
    return {"items": lines, "last": page.last, "dropped": page.dropped, "ended": page.ended}


def row_of_run(info: RunInfo) -> RunRow:
    """Return a run as a list has it."""
    return {
        "id": info.id,
        "tenant": info.tenant,
        "job": info.job,
        "task": info.task,
        "tag": info.tag,
        "state": info.state,
        "due": instant(info.due),
        "queued_at": instant(info.queued_at),
        "started_at": instant(info.started_at),
        "finished_at": instant(info.finished_at),
        "worker": info.worker,
        "attempt": info.attempt,
        "error": cut(info.error),
    }


def _whole(desk: Desk, info: RunInfo) -> RunShown:
    result = info.result if desk.principal.may("write") else desk.calls.cover(info.result)[0]
    return {
        **row_of_run(info),
        "error": info.error,
        "result": result,
        "traceback": info.traceback,
        "deaths": info.deaths,
        "of": info.of,
        "replayed": info.replayed,
        "parked": info.parked,
        "asked_to_stop": info.asked_to_stop,
        "attempts": [_attempt(each) for each in info.attempts],
    }


def _attempt(each: Try) -> Attempt:
    return {
        "attempt": each.attempt,
        "worker": each.worker,
        "started_at": instant(each.started_at),
        "ended_at": instant(each.ended_at),
        "how": each.how,
        "error": each.error,
        "traceback": each.traceback,
    }


def _routes() -> list[ApiRoute]:
    one = "/runs/{run_id}"
    read: dict[str, Any] = {"role": "read", "group": "runs"}
    operate: dict[str, Any] = {"role": "operate", "group": "runs", "query": OfTenant}
    return [
        ApiRoute("GET", "/runs", find, "Find runs", returns=RunList, query=RunsAsked, **read),
        ApiRoute(
            *("POST", "/tenants/{tenant}/runs", enqueue, "Enqueue a run"),
            *("write", Enqueued, RunNew),
            status=201,
            group="runs",
        ),
        ApiRoute("GET", one, show, "Show a run", returns=RunShown, query=OfTenant, **read),
        ApiRoute("GET", f"{one}/wait", wait, "Wait for a run's end", returns=RunShown, query=WaitAsked, **read),
        ApiRoute(
            "GET", f"{one}/call", called, "Show what a run was called with", returns=CallShown, query=OfTenant, **read
        ),
        ApiRoute("GET", f"{one}/logs", logs, "Read what a run has logged", returns=LogShown, query=LogAsked, **read),
        ApiRoute("POST", f"{one}/cancel", cancel, "Cancel a run", returns=Cancelled, body=Empty, **operate),
        ApiRoute(
            "POST", f"{one}/retry", retry, "Run a run again", returns=Again, body=ParamsAgain, status=201, **operate
        ),
    ]


ROUTES = _routes()
