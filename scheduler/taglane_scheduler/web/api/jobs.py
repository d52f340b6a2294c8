"""The API's jobs: list, show, put, delete, pause, resume, trigger; when they fire next, what they ran last."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from taglane.errors import BadSchedule
from taglane.model.job import make_job
from taglane.model.schedule import Cron, describe, upcoming
from typing_extensions import TypedDict

from taglane_scheduler.desk.job_pages import JobFilter
from taglane_scheduler.jobs_diff import fields_of
from taglane_scheduler.web.api.route import ApiRoute
from taglane_scheduler.web.api.runs import RunRow, row_of_run
from taglane_scheduler.web.api.shapes import (
    Asked,
    Empty,
    Instant,
    Limit,
    Name,
    Page,
    TenantPageAsked,
    Wanted,
    instant,
    read_instant,
)

if TYPE_CHECKING:
    from taglane.store.stored_job import StoredJob

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.api.route import Call

Text = Annotated[str, Field(max_length=2_000)]


class JobRow(TypedDict):
    """A job as a list has it."""

    tenant: str
    job: str
    task: str
    schedule: str
    tag: str
    paused: bool
    next: Instant | None
    last_run: str | None
    last_due: Instant | None


class JobShown(JobRow):
    """A job. *definition* is what PUT takes; below the role `write`, secrets in its params are covered."""

    definition: dict[str, Any]
    covered: int
    parked: int
    revision: int
    created: Instant | None


class JobList(TypedDict):
    """Some jobs, and the names of those of the same page that can't be read."""

    items: list[JobRow]
    unreadable: list[str]
    next: str | None


class JobPut(TypedDict):
    """What was done: created, updated or unchanged."""

    tenant: str
    job: str
    change: str
    revision: int


class Made(TypedDict):
    """A run that was made; *created* is false where an idempotency key found one."""

    id: str
    created: bool


class Instants(TypedDict):
    """Some instants, in their order."""

    items: list[Instant | None]


class JobsAsked(TenantPageAsked):
    """Which jobs: *name*, *tag* and *task* are whole, or a beginning with a ``*``."""

    name: Name = ""
    tag: Name = ""
    task: Name = ""
    paused: bool | None = None
    overdue: bool | None = None


class JobWanted(Wanted):
    """A job, as a jobs file says it: a task, and exactly one of cron, every, after, at, manual."""

    task: Text
    cron: Text | None = None
    every: Text | None = None
    after: Text | None = None
    at: Text | None = None
    manual: bool = False
    timezone: Text | None = None
    start: Text | None = None
    end: Text | None = None
    params: dict[str, Any] | None = None
    tag: Text | None = None
    priority: int = 0
    overlap: Text = "skip"
    misfire: Text = "once"
    no_worker: Text = "wait"
    expires: Text | None = None
    retry: int | dict[str, Any] | None = None
    timeout: Text | None = None
    soft_timeout: Text | None = None


class Params(Wanted):
    """The task's keyword arguments, in place of the job's own."""

    params: dict[str, Any] | None = None


class NextAsked(Asked):
    """How many instants, after which."""

    count: Annotated[int, Field(ge=1, le=100)] = 5
    since: Text | None = None


class CronAsked(NextAsked):
    """Of which cron expression."""

    cron: Text
    timezone: Text = "UTC"


class LastAsked(Asked):
    """How many."""

    limit: Limit = 50


def list_(desk: Desk, call: Call) -> JobList:
    """Return jobs by tenant and name."""
    asked: JobsAsked = call.query
    wanted = JobFilter(asked.tenant, asked.name, asked.tag, asked.task, asked.paused, asked.overdue)
    found = desk.job_pages.list(wanted, after=asked.after, limit=asked.limit)
    unread = [f"{each.tenant}/{each.name}" for each in found.unread]
    return {"items": [_row(each) for each in found.jobs], "unreadable": unread, "next": found.next or None}


def show(desk: Desk, call: Call) -> JobShown:
    """Return one job, whole."""
    stored = desk.jobs.get(call.parts["tenant"], call.parts["job"])
    definition, covered = fields_of(stored.job), 0
    if not desk.principal.may("write") and "params" in definition:
        definition["params"], covered = desk.calls.cover(definition["params"])
    return {
        **_row(stored),
        "definition": definition,
        "covered": covered,
        "parked": stored.parked,
        "revision": stored.revision,
        "created": instant(stored.created),
    }


def put(desk: Desk, call: Call) -> JobPut:
    """Create a job, or make the one that is there the same."""
    tenant, name = call.parts["tenant"], call.parts["job"]
    given = call.body.model_dump(exclude_unset=True)
    given["tz"] = given.pop("timezone", None)
    done = desk.jobs.put(make_job(tenant, name, **given))
    return {"tenant": tenant, "job": name, "change": done.change, "revision": done.revision}


def delete(desk: Desk, call: Call) -> None:
    """Forget a job."""
    desk.jobs.delete(call.parts["tenant"], call.parts["job"])


def pause(desk: Desk, call: Call) -> JobRow:
    """Stop firing a job."""
    return _row(desk.jobs.pause(call.parts["tenant"], call.parts["job"]))


def resume(desk: Desk, call: Call) -> JobRow:
    """Fire a job again."""
    return _row(desk.jobs.resume(call.parts["tenant"], call.parts["job"]))


def trigger(desk: Desk, call: Call) -> Made:
    """Run a job now."""
    made = desk.jobs.trigger(call.parts["tenant"], call.parts["job"], call.body.params)
    return {"id": made, "created": True}


def next_(desk: Desk, call: Call) -> Instants:
    """Return when a job fires next."""
    stored = desk.jobs.get(call.parts["tenant"], call.parts["job"])
    after = read_instant("since", call.query.since)
    return {"items": [instant(due) for due in stored.coming(call.query.count, now=_now(), after=after)]}


def next_of_cron(desk: Desk, call: Call) -> Instants:
    """Return when a cron expression is due."""
    del desk
    asked: CronAsked = call.query
    after = read_instant("since", asked.since, asked.timezone)
    try:
        schedule = Cron(expr=asked.cron, tz=asked.timezone)
    except ValueError as error:
        raise BadSchedule(str(error)) from error
    found = upcoming(schedule, now=_now() if after is None else after, count=asked.count)
    return {"items": [instant(due) for due in found]}


def last_runs(desk: Desk, call: Call) -> Page[RunRow]:
    """Return what a job ran last, the newest first."""
    found = desk.job_pages.last_runs(call.parts["tenant"], call.parts["job"], call.query.limit)
    return {"items": [row_of_run(each) for each in found], "next": None}


def _now() -> int:
    return time.time_ns() // 1_000_000


def _row(stored: StoredJob) -> JobRow:
    return {
        "tenant": stored.job.tenant,
        "job": stored.job.name,
        "task": stored.job.task,
        "schedule": describe(stored.job.schedule),
        "tag": stored.job.tag,
        "paused": stored.paused,
        "next": instant(stored.next_due),
        "last_run": stored.last_run,
        "last_due": instant(stored.last_due),
    }


def _routes() -> list[ApiRoute]:
    one = "/tenants/{tenant}/jobs/{job}"
    read: dict[str, Any] = {"role": "read", "group": "jobs"}
    operate: dict[str, Any] = {"role": "operate", "group": "jobs"}
    write: dict[str, Any] = {"role": "write", "group": "jobs"}
    return [
        ApiRoute("GET", "/jobs", list_, "List jobs", returns=JobList, query=JobsAsked, **read),
        ApiRoute(
            "GET",
            "/cron",
            next_of_cron,
            "Show when a cron expression is due",
            returns=Instants,
            query=CronAsked,
            **read,
        ),
        ApiRoute("GET", one, show, "Show a job", returns=JobShown, **read),
        ApiRoute("PUT", one, put, "Create or change a job", returns=JobPut, body=JobWanted, **write),
        ApiRoute("DELETE", one, delete, "Delete a job", status=204, **write),
        ApiRoute("POST", f"{one}/pause", pause, "Pause a job", returns=JobRow, body=Empty, **operate),
        ApiRoute("POST", f"{one}/resume", resume, "Resume a job", returns=JobRow, body=Empty, **operate),
        ApiRoute("POST", f"{one}/trigger", trigger, "Run a job now", returns=Made, body=Params, status=201, **operate),
        ApiRoute("GET", f"{one}/next", next_, "Show when a job fires next", returns=Instants, query=NextAsked, **read),
        ApiRoute(
            "GET", f"{one}/runs", last_runs, "Show what a job ran last", returns=Page[RunRow], query=LastAsked, **read
        ),
    ]


ROUTES = _routes()
