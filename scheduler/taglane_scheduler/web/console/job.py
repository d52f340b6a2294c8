"""The page of one job, and what can be done with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from taglane.errors import JobNotFound
from taglane.model.duration import format_duration
from taglane.model.instant import format_instant
from taglane.model.schedule import describe, upcoming

from taglane_scheduler.desk.job_pages import DAYS
from taglane_scheduler.web.console.bars import HEIGHT, bars
from taglane_scheduler.web.console.json_text import read_object
from taglane_scheduler.web.console.languages import text
from taglane_scheduler.web.console.schedule_words import clock, in_words
from taglane_scheduler.web.console.untrusted import shown_json
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taglane.store.stored_job import StoredJob

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

COMING = 5


def path_of(tenant: str, name: str) -> str:
    """Return the address of a job's page."""
    return f"/jobs/{quote(tenant, safe='')}/{quote(name, safe='')}"


def show(desk: Desk, ask: Ask) -> View:
    """Return a job with its next fires, its last runs, and what it used; of a deleted one, that it is."""
    tenant, name = ask.parts["tenant"], ask.parts["name"]
    try:
        stored = desk.jobs.get(tenant, name)
    except JobNotFound as error:
        data = {"tenant": tenant, "name": name, "text": str(error)}
        return View("job_gone.html", "Job", data, status=404, name=name)
    return _view(desk, ask, stored)


def _view(desk: Desk, ask: Ask, stored: StoredJob, form: dict[str, Any] | None = None) -> View:
    job = stored.job
    now = _now()
    hash_id = f"{job.tenant}/{job.name}"
    params, covered = desk.calls.cover(job.params)
    runs = desk.job_pages.last_runs(job.tenant, job.name)
    shown = shown_json(params)
    data = {
        "job": job,
        "at": path_of(job.tenant, job.name),
        "stored": stored,
        "words": in_words(job.schedule, ask.language, hash_id),
        "written": describe(job.schedule),
        "coming": [(due, clock(due, job.schedule.tz)) for due in coming(stored, now)],
        "facts": _facts(stored),
        "params": shown,
        "covered": covered,
        "bars": bars(runs, now),
        "high": HEIGHT,
        "usage": sorted(desk.job_pages.usage(job.tenant, job.name), key=lambda day: day.day, reverse=True),
        "days": DAYS,
        "form": form or {"params": shown_json(params, 200_000), "wrong": ""},
    }
    status = 422 if form else 200
    return View("job.html", "Job", data, live=form is None, status=status, name=f"{job.tenant} / {job.name}")


def coming(stored: StoredJob, now: int) -> Sequence[int]:
    """Return when a job fires next, ms since 1970: first when the server says; a paused one never."""
    if stored.next_due is None:
        return []
    hash_id = f"{stored.job.tenant}/{stored.job.name}"
    after = max(stored.next_due, now) if stored.next_due < now else stored.next_due
    return [stored.next_due, *upcoming(stored.job.schedule, now=after, count=COMING - 1, hash_id=hash_id)]


def _facts(stored: StoredJob) -> list[tuple[str, str]]:
    """Return what a job's definition says beside task, schedule and tag, where it says anything."""
    job, schedule = stored.job, stored.job.schedule
    durations = {
        text("Expires"): job.expires,
        text("Timeout"): job.timeout,
        text("Soft timeout"): job.soft_timeout,
    }
    retry = job.retry.spelled() if job.retry else None
    told = {
        text("Time zone"): schedule.tz,
        text("From"): None if schedule.start is None else format_instant(schedule.start),
        text("Until"): None if schedule.end is None else format_instant(schedule.end),
        text("Overlap"): job.overlap,
        text("Misfire"): job.misfire,
        text("Without a worker"): job.no_worker,
        text("Priority"): str(job.priority),
        text("Retry"): ", ".join(f"{name} {value}" for name, value in retry.items())
        if isinstance(retry, dict)
        else retry,
        **{name: None if value is None else format_duration(value) for name, value in durations.items()},
        text("Revision"): str(stored.revision),
        text("Created"): format_instant(stored.created),
    }
    return [(name, str(value)) for name, value in told.items() if value]


def pause(desk: Desk, ask: Ask) -> Done:
    """Pause a job."""
    return _switched(desk, ask, paused=True)


def resume(desk: Desk, ask: Ask) -> Done:
    """Resume a job."""
    return _switched(desk, ask, paused=False)


def _switched(desk: Desk, ask: Ask, *, paused: bool) -> Done:
    tenant, name = ask.parts["tenant"], ask.parts["name"]
    (desk.jobs.pause if paused else desk.jobs.resume)(tenant, name)
    said = text("Job {name} is paused.") if paused else text("Job {name} goes on.")
    back = ask.form.get("back", "")
    to = back if back == "/jobs" or back.startswith("/jobs?") else path_of(tenant, name)
    return Done(ask.say(said, name=name), to)


def trigger(desk: Desk, ask: Ask) -> Done | View:
    """Run a job now, as it is or with the params of the form."""
    tenant, name = ask.parts["tenant"], ask.parts["name"]
    given = None
    if (typed := ask.form.get("params")) is not None:
        given, wrong = read_object(typed)
        if given is None:
            return _view(desk, ask, desk.jobs.get(tenant, name), {"params": typed, "wrong": wrong})
        given = desk.job_pages.restored(tenant, name, given)
    made = desk.jobs.trigger(tenant, name, given)
    return Done(ask.say("Job {name} runs: {run}", name=name, run=made), f"/runs/{quote(made)}")


def delete(desk: Desk, ask: Ask) -> Done:
    """Delete a job whose name was typed."""
    tenant, name = ask.parts["tenant"], ask.parts["name"]
    if ask.form.get("typed", "").strip() != name:
        said = ask.say("Not deleted: what was typed is not {name}.", name=name)
        return Done(said, path_of(tenant, name), bad=True)
    desk.jobs.delete(tenant, name)
    return Done(ask.say("Job {name} is deleted; its runs stay.", name=name), f"/jobs?tenant={tenant}")


def _now() -> int:
    return time.time_ns() // 1_000_000


_AT = "/jobs/{tenant}/{name}"

PAGES = [Page(_AT, show)]

ACTIONS = [
    Action(f"{_AT}/pause", pause),
    Action(f"{_AT}/resume", resume),
    Action(f"{_AT}/trigger", trigger),
    Action(f"{_AT}/delete", delete),
]
