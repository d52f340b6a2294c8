"""The form in which a job is added or changed, with each field's own mistake beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from taglane.errors import BadName, BadParams, CallerError, TaglaneError, TagNotOwned
from taglane.model.duration import format_duration
from taglane.model.instant import format_instant
from taglane.model.job import KINDS, Misfire, Overlap, make_job
from taglane.model.schedule import After, At, Cron, Every, upcoming

from taglane_scheduler.web.console.job import COMING, path_of
from taglane_scheduler.web.console.json_text import read_object
from taglane_scheduler.web.console.languages import text
from taglane_scheduler.web.console.schedule_words import clock, in_words
from taglane_scheduler.web.console.untrusted import shown_json
from taglane_scheduler.web.console.view import Action, Done, Page, View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taglane.model.job import Job

    from taglane_scheduler.desk.desk import Desk
    from taglane_scheduler.web.console.view import Ask

_PLAIN = ("tag", "tz", "start", "end", "overlap", "misfire", "no_worker", "expires", "timeout", "soft_timeout")
"""Fields that are texts, and say nothing when they are empty."""

_RETRY = ("attempts", "delay", "backoff", "max_delay", "on")

EMPTY = {
    **dict.fromkeys(("tenant", "name", "task", "value", *_PLAIN, *(f"retry_{name}" for name in _RETRY)), ""),
    "kind": "cron",
    "params": "{}",
    "overlap": "skip",
    "misfire": "once",
    "no_worker": "wait",
    "priority": "0",
}

_KINDS = (
    ("cron", text("cron: when the clock says")),
    ("every", text("every: at a fixed rate")),
    ("after", text("after: so long after the last run's end")),
    ("at", text("at: once")),
    ("manual", text("manual: when somebody runs it")),
)

_SAMPLE = "shop.tasks.report"


@dataclass
class Draft:
    """What was typed, what is wrong with each field, and the job that it makes when nothing is."""

    typed: dict[str, str]
    wrong: dict[str, str] = field(default_factory=dict)
    job: Job | None = None


def read(form: Mapping[str, str], params: Any = None) -> Draft:
    """Check a form field by field, with the checks that the command line makes; *params* overrule those typed."""
    draft = Draft({name: str(form.get(name, default))[:200_000].strip() for name, default in EMPTY.items()})
    typed, wrong = draft.typed, draft.wrong
    given: dict[str, Any] = {name: typed[name] for name in _PLAIN if typed[name]}
    parsed, mistake = read_object(typed["params"])
    if parsed is None:
        wrong["params"] = mistake
    given["params"] = (parsed or {}) if params is None else params
    priority = typed["priority"]
    given["priority"] = int(priority) if priority.isdecimal() and len(priority) < 10 else priority
    if retry := _retry(typed):
        given["retry"] = retry
    kind = typed["kind"] if typed["kind"] in KINDS else "manual"
    given[kind] = kind == "manual" or typed["value"]
    if kind != "manual" and not typed["value"]:
        wrong["value"] = text("Say when.")
    tenant, name, task = typed["tenant"], typed["name"], typed["task"]
    _tried(wrong, "tenant", partial(make_job, tenant, "a", task=_SAMPLE, manual=True))
    _tried(wrong, "name", partial(make_job, "a", name, task=_SAMPLE, manual=True))
    _tried(wrong, "task", partial(make_job, "a", "a", task=task, manual=True))
    own = "a" if "tenant" in wrong else tenant
    for where, value in given.items():
        if where not in KINDS:
            _tried(wrong, where, partial(make_job, own, "a", task=_SAMPLE, manual=True, **{where: value}))
    when: dict[str, Any] = {kind: given[kind], "tz": None if "tz" in wrong else given.get("tz")}
    _tried(wrong, "value", partial(make_job, "a", "a", task=_SAMPLE, **when))
    if not wrong:
        try:
            draft.job = make_job(tenant, name, task=task, now=_now(), **given)
        except CallerError as error:
            wrong[_field_of(error)] = str(error)
    return draft


def _tried(wrong: dict[str, str], where: str, trial: Any) -> None:
    try:
        trial()
    except CallerError as error:
        told = str(error).removeprefix("manual: ")
        if where == "misfire" and "takes overlap" in told:
            return  # said of both together
        wrong.setdefault(where, told[:500])


def _field_of(error: CallerError) -> str:
    """Return the field beside which a mistake is told that no field makes alone."""
    if isinstance(error, BadParams):
        return "params"
    if isinstance(error, TagNotOwned) or (isinstance(error, BadName) and error.kind == "tag"):
        return "tag"
    words = str(error).replace(":", " ").split()
    first = words[1] if words[0] in KINDS else words[0]
    first = first.partition(".")[0]
    return first if first in EMPTY or first == "retry" else "value"


def _retry(typed: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {name: typed[f"retry_{name}"] for name in _RETRY if typed[f"retry_{name}"]}
    if given.get("attempts", "").isdecimal():
        given["attempts"] = int(given["attempts"][:9])
    if "on" in given:
        given["on"] = [word.strip() for word in given["on"].split(",") if word.strip()]
    return given


def typed_of(job: Job, params: Mapping[str, Any]) -> dict[str, str]:
    """Return what a form has to hold to make this job; *params* as they may be seen."""
    schedule = job.schedule
    value = ""
    match schedule:
        case Cron(expr=expr):
            value = expr
        case Every(interval=ms) | After(delay=ms):
            value = format_duration(ms)
        case At(instant=instant):
            value = format_instant(instant)
    retry = job.retry.spelled() if job.retry else {}
    retry = {"attempts": retry} if isinstance(retry, int) else retry
    said = {name: retry.get(name) for name in _RETRY}
    return {
        **EMPTY,
        "tenant": job.tenant,
        "name": job.name,
        "task": job.task,
        "kind": schedule.kind,
        "value": value,
        "tz": "" if schedule.tz == "UTC" else schedule.tz,
        "start": "" if schedule.start is None else format_instant(schedule.start),
        "end": "" if schedule.end is None else format_instant(schedule.end),
        "params": shown_json(params, 200_000),
        "tag": "" if job.tag == job.tenant else job.tag,
        "overlap": job.overlap,
        "misfire": job.misfire,
        "no_worker": job.no_worker,
        "priority": str(job.priority),
        **{
            name: format_duration(ms)
            for name in ("expires", "timeout", "soft_timeout")
            if (ms := getattr(job, name)) is not None
        },
        **{
            f"retry_{name}": ", ".join(value) if isinstance(value, (list, tuple)) else str(value)
            for name, value in said.items()
            if value is not None
        },
    }


def show_new(desk: Desk, ask: Ask) -> View:
    """Return the form, with what the address says filled in."""
    desk.principal.require("write", "adding jobs")
    typed = {**EMPTY, "tenant": desk.principal.tenant or ""}
    typed |= {name: value for name, value in ask.query.items() if name in EMPTY}
    return _view(desk, ask, Draft(typed), edits=False)


def show_edit(desk: Desk, ask: Ask) -> View:
    """Return the form, filled in with a job that is there."""
    desk.principal.require("write", "changing jobs")
    tenant, name = ask.parts["tenant"], ask.parts["name"]
    job = desk.jobs.get(tenant, name).job
    params, _ = desk.job_pages.params(tenant, name)
    return _view(desk, ask, Draft(typed_of(job, params)), edits=True)


def put_new(desk: Desk, ask: Ask) -> Done | View:
    """Add the job of a form, unless one of its name is there already."""
    return _put(desk, ask, ask.form, edits=False)


def put_edit(desk: Desk, ask: Ask) -> Done | View:
    """Change a job into what a form says; its name stays."""
    form = {**ask.form, "tenant": ask.parts["tenant"], "name": ask.parts["name"]}
    return _put(desk, ask, form, edits=True)


def _put(desk: Desk, ask: Ask, form: Mapping[str, str], *, edits: bool) -> Done | View:
    desk.principal.require("write", "changing jobs")
    params = None
    if edits:
        parsed, _ = read_object(form.get("params", ""))
        params = None if parsed is None else desk.job_pages.restored(form["tenant"], form["name"], parsed)
    draft = read(form, params)
    if draft.job is None or form.get("do") == "preview":
        return _view(desk, ask, draft, edits=edits)
    try:
        if not edits and desk.job_pages.has(draft.job.tenant, draft.job.name):
            draft.wrong["name"] = ask.say("There is a job of that name already.")
            return _view(desk, ask, draft, edits=edits)
        put = desk.jobs.put(draft.job)
    except TaglaneError as error:
        draft.wrong[_field_of(error) if isinstance(error, CallerError) else "form"] = str(error)
        return _view(desk, ask, draft, edits=edits)
    said = {
        "created": text("Job {name} is added."),
        "updated": text("Job {name} is changed."),
        "unchanged": text("Job {name} is as it was."),
    }[put.change]
    told = ask.say(said, name=draft.job.name)
    return Done(told, path_of(draft.job.tenant, draft.job.name))


def _view(desk: Desk, ask: Ask, draft: Draft, *, edits: bool) -> View:
    preview = None
    if draft.job is not None and not draft.wrong:
        job = draft.job
        hash_id = f"{job.tenant}/{job.name}"
        dues = upcoming(job.schedule, now=_now(), count=COMING, hash_id=hash_id)
        preview = {
            "words": in_words(job.schedule, ask.language, hash_id),
            "coming": [(due, clock(due, job.schedule.tz)) for due in dues],
        }
    data = {
        "typed": draft.typed,
        "wrong": draft.wrong,
        "preview": preview,
        "edits": edits,
        "kinds": _KINDS,
        "overlaps": get_args(Overlap),
        "misfires": get_args(Misfire),
        "own": desk.principal.tenant,
    }
    title = text("Change a job") if edits else text("Add a job")
    return View("job_form.html", title, data, live=False, status=422 if draft.wrong else 200)


def _now() -> int:
    return time.time_ns() // 1_000_000


PAGES = [Page("/jobs/new", show_new), Page("/jobs/{tenant}/{name}/edit", show_edit)]

ACTIONS = [Action("/jobs/new", put_new), Action("/jobs/{tenant}/{name}/edit", put_edit)]
