"""What a tenant wants done, and when: a job's definition, checked once, where loose input comes in."""

import json
import time
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal, Self, TypedDict, Unpack, get_args

from pydantic import BaseModel, ConfigDict

from taglane.errors import BadSchedule
from taglane.model.duration import format_duration, parse_duration
from taglane.model.instant import parse_instant
from taglane.model.names import check_job, check_task, check_tenant, tag_for
from taglane.model.no_worker import check_no_worker, read_no_worker
from taglane.model.params import check_params
from taglane.model.retry import Retry, make_retry
from taglane.model.schedule import After, At, Cron, Every, Manual, Schedule, from_fields, is_of_ours, sorted_json

Overlap = Literal["skip", "queue", "allow", "cancel_running"]
"""What a fire does while the job's last run still goes: none, one after that, one beside it, one in its place."""

Misfire = Literal["once", "skip", "all"]
"""What becomes of the due instants that nobody was there for: one run for them all, none, a run for each."""

KINDS = ("cron", "every", "after", "at", "manual")
"""The fields of which a job has exactly one: they say when it is due."""

MIN_LIMIT_MS = 100
"""The shortest time limit of an execution."""

_DEFAULTS = {"expires": None, "misfire": "once", "no_worker": "wait", "overlap": "skip", "priority": 0}

_dumps = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode


class TooNew(ValueError):
    """A definition that a newer Taglane wrote: it says what we know nothing of. `what` names that."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"a newer Taglane wrote it: {what} is not known here")


class Job(BaseModel):
    """A definition. Its identity is tenant and name; `make_job` makes one from loose input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: str
    name: str
    task: str
    schedule: Schedule
    params: dict[str, Any]
    """The task's keyword arguments: JSON, keys are texts all the way down."""

    tag: str
    priority: int = 0
    """0, served first, to 9."""

    overlap: Overlap = "skip"
    misfire: Misfire = "once"
    no_worker: str = "wait"
    """What a fire does when no living worker serves its tag: see `model.no_worker`."""

    expires: int | None = None
    """How long, ms, a run of this job may wait for a worker."""

    retry: Retry | None = None
    timeout: int | None = None
    """How long, ms, an execution may take: then it is killed."""

    soft_timeout: int | None = None
    """How long, ms, an execution may take: then the task is told, by an exception, and may clean up."""

    @property
    def definition(self) -> str:
        """All but the identity, as compact JSON: the same text for the same definition."""
        before, after = self.around_schedule
        return f"{before}{sorted_json(self.schedule)}{after}"

    @property
    def around_schedule(self) -> tuple[str, str]:
        """What stands in `definition` before its schedule, and behind that: the keys are sorted."""
        before: list[str] = []
        for field in ("expires", "misfire", "no_worker", "overlap", "params", "priority"):
            value = getattr(self, field)
            if field == "params" or value != _DEFAULTS[field]:
                before.append(f'"{field}":{_dumps(value)},')
        if self.retry is not None:
            before.append(f'"retry":{_dumps(self.retry.fields())},')
        soft = "" if self.soft_timeout is None else f'"soft_timeout":{self.soft_timeout},'
        hard = "" if self.timeout is None else f',"timeout":{self.timeout}'
        after = f',{soft}"tag":{_dumps(self.tag)},"task":{_dumps(self.task)}{hard}}}'
        return f'{{{"".join(before)}"schedule":', after

    @classmethod
    def from_definition(cls, tenant: str, name: str, text: str | bytes) -> Self:
        """Read what `definition` wrote.

        Raises:
            TooNew: a newer Taglane wrote it, and used what it can do more.
            ValueError: *text* is something else.
        """
        try:
            loaded = json.loads(text)
        except RecursionError as error:
            raise ValueError("a definition is not nested so deep") from error
        if not isinstance(loaded, dict) or not isinstance(loaded.get("schedule"), dict):
            raise ValueError("a definition is a JSON object with a schedule")  # noqa: TRY004 - a stored text, not a type
        unknown = _unknown(tenant, loaded)
        if unknown:
            raise TooNew(unknown)
        made: dict[str, Any] = {"schedule": from_fields(loaded["schedule"])}
        if "retry" in loaded:
            made["retry"] = Retry.from_fields(loaded["retry"])
        return cls(tenant=tenant, name=name, **{**loaded, **made})


def _unknown(tenant: str, loaded: dict[str, Any]) -> str:
    """Name what a definition has that no definition of ours could; '' when there is nothing."""
    for field in loaded:
        if field not in Job.model_fields or field in {"tenant", "name"}:
            return f"the field {field!r}"
    if not is_of_ours(loaded["schedule"]):
        return f"the schedule {json.dumps(loaded['schedule'])}"
    for field, values in (("overlap", get_args(Overlap)), ("misfire", get_args(Misfire))):
        if isinstance(loaded.get(field), str) and loaded[field] not in values:
            return f"{field} {loaded[field]!r}"
    try:
        read_no_worker(tenant, str(loaded.get("no_worker", "wait")))
    except ValueError:
        return f"no_worker {loaded['no_worker']!r}"
    retry = loaded.get("retry")
    unknown = [] if not isinstance(retry, dict) else [field for field in retry if field not in Retry.model_fields]
    return f"the field 'retry.{unknown[0]}'" if unknown else ""


class JobFields(TypedDict, total=False):
    """What may be said of a job. Exactly one of *cron*, *every*, *after*, *at*, *manual*; None is as if left out.

    Durations are texts like ``30s`` or ms, instants ISO texts (without an offset: in *tz*) or ms since 1970.
    """

    cron: str | None
    """When it is due: 5 fields, 6 with seconds first, or an alias like ``@daily``."""

    every: str | int | None
    """A fixed rate, a duration."""

    after: str | int | None
    """A fixed delay from the end of the last run, a duration."""

    at: str | int | None
    """Once, at this instant."""

    manual: bool
    """Never by itself: only when it is triggered."""

    tz: str | None
    """The time zone of *cron*, and of instants without an offset; default: UTC."""

    params: dict[str, Any] | None
    """The task's keyword arguments."""

    tag: str | None
    """What its runs ask of a worker; default: the tenant's own tag."""

    start: str | int | None
    """The first instant at which it may be due."""

    end: str | int | None
    """The first instant at which it may not be due any more."""

    priority: int
    """0, the default, is served first; rounded down to 0, 3, 6 or 9."""

    overlap: str
    """While its last run still goes: ``skip`` the next one (the default), ``queue`` it up behind that, ``allow`` it
    beside that, or ``cancel_running`` in its favour."""

    misfire: str
    """Of the due instants that no scheduler was there for (a minute late, and more): run ``once`` for them all (the
    default), ``skip`` them, or run for ``all`` of them, 100 at most, which takes overlap queue or allow."""

    no_worker: str
    """What a fire does when no living worker serves the tag. ``wait`` (the default): its run waits for one, for as long
    as *expires* says, or a day where the job has none; then it ends as expired. ``wait:1h``: for an hour at most.
    ``skip``: a record alone. ``fail``: its run ends as failed at once, whatever *retry* says. ``overflow:<tag>``: its
    run asks for that tag instead, of the same tenant or of a shared pool.

    Decided once, at the fire; a run that was triggered or enqueued always waits. A worker that died without a word
    counts as living until it was silent for a lease."""

    expires: str | int | None
    """How long a run of it may wait for a worker, a duration."""

    retry: int | dict[str, Any] | Retry | None
    """Tries in all, or a mapping like ``{"attempts": 5, "delay": "10s", "on": ["ConnectionError"]}``: see `Retry`."""

    timeout: str | int | None
    """How long an execution may take before it is killed, a duration."""

    soft_timeout: str | int | None
    """How long an execution may take before its task gets an exception, a duration shorter than *timeout*."""


def make_job(tenant: str, name: str, *, task: str, now: int | None = None, **fields: Unpack[JobFields]) -> Job:
    """Make a job of what a command line or a jobs file says: see `JobFields`.

    *now*, ms, anchors the grid of *every* until the job is put, which anchors it by the server's clock.

    Raises:
        BadName: the tenant, the job, the task or the tag can't be called that.
        BadSchedule: not exactly one of cron, every, after, at, manual; or a field that says nothing, which is named.
        BadParams: they are no JSON object.
        TagNotOwned: the tag is another tenant's.
    """
    check_tenant(tenant)
    check_job(name)
    given = _checked_names(fields)
    kind = _only([kind for kind in KINDS if kind in given])
    window = {"tz": given.get("tz", "UTC"), "start": given.get("start"), "end": given.get("end")}
    anchor = int(time.time() * 1000) if now is None else now
    overlap, misfire = _check_policies(given.get("overlap", "skip"), given.get("misfire", "once"))
    timeout, soft_timeout = _check_limits(given.get("timeout"), given.get("soft_timeout"))
    tag = tag_for(tenant, given.get("tag"))
    return Job(
        tenant=tenant,
        name=name,
        task=check_task(task),
        schedule=_schedule(kind, given[kind], window, anchor),
        params=check_params(given.get("params") or {}),
        tag=tag,
        priority=_check_priority(given.get("priority", 0)),
        overlap=overlap,
        misfire=misfire,
        no_worker=check_no_worker(tenant, tag, given.get("no_worker", "wait")),
        expires=_duration("expires", given["expires"]) if "expires" in given else None,
        retry=make_retry(given.get("retry")),
        timeout=timeout,
        soft_timeout=soft_timeout,
    )


def _checked_names(fields: JobFields) -> dict[str, Any]:
    """Return the fields that were given; a name that is none is a mistake in the caller's code."""
    known = JobFields.__annotations__
    for name in fields:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise TypeError(f"a job has no field {name!r}: {hint}")
    given = {name: value for name, value in fields.items() if value is not None}
    if not given.get("manual", True):
        del given["manual"]
    return given


def _only(given: Sequence[str]) -> str:
    if len(given) != 1:
        said = ", ".join(given) or "none"
        raise BadSchedule(f"a job has exactly one of {', '.join(KINDS)}: given were {said}")
    return given[0]


def _schedule(kind: str, value: Any, window: dict[str, Any], anchor: int) -> Schedule:
    tz = window["tz"]
    limits = {name: None if window[name] is None else _instant(name, window[name], tz) for name in ("start", "end")}
    field = kind if kind in {"cron", "at"} else "schedule"
    made: Schedule
    try:
        match kind:
            case "cron":
                made = Cron(expr=value, tz=tz, **limits)
            case "every":
                interval = _duration(kind, value)
                made = Every(interval=interval, anchor=anchor if limits["start"] is None else None, tz=tz, **limits)
            case "after":
                made = After(delay=_duration(kind, value), tz=tz, **limits)
            case "at":
                made = At(instant=_instant(kind, value, tz), tz=tz, **limits)
            case _:
                made = Manual(tz=tz, **limits)
    except ValueError as error:
        text = str(error)
        raise BadSchedule(text if text.startswith(field) else f"{kind}: {text}") from error
    return made


def _duration(field: str, value: Any, minimum: int = 1) -> int:
    if type(value) is int and value >= minimum:
        return value
    if not isinstance(value, str):
        short = type(value) is int and value > 0
        why = (
            f"is too short: it takes at least {minimum}ms"
            if short
            else "is not a duration: write it like 30s, 5m, 1h30m"
        )
        raise BadSchedule(f"{field}: {value!r} {why}")
    try:
        return parse_duration(value, minimum=minimum)
    except ValueError as error:
        raise BadSchedule(f"{field}: {error}") from error


def _instant(field: str, value: Any, tz: str) -> int:
    if type(value) is int and value >= 0:
        return value
    if not isinstance(value, str):
        raise BadSchedule(f"{field}: {value!r} is not an instant: write it like 2026-11-22T09:00:00Z")
    try:
        return parse_instant(value, tz)
    except ValueError as error:
        raise BadSchedule(f"{field}: {error}") from error


def _check_priority(priority: Any) -> int:
    if type(priority) is not int or not 0 <= priority <= 9:
        raise BadSchedule(f"priority: {priority!r} is not a whole number from 0, served first, to 9")
    return priority


def _check_policies(overlap: Any, misfire: Any) -> tuple[Overlap, Misfire]:
    for field, value, values in (("overlap", overlap, get_args(Overlap)), ("misfire", misfire, get_args(Misfire))):
        if not isinstance(value, str) or value not in values:
            raise BadSchedule(f"{field}: {value!r} is not one of {', '.join(values)}")
    if misfire == "all" and overlap not in {"queue", "allow"}:
        which = "first" if overlap == "skip" else "last"
        raise BadSchedule(
            f"misfire: all takes overlap queue or allow: with overlap {overlap} only the {which} missed one would run"
        )
    checked: tuple[Overlap, Misfire] = overlap, misfire
    return checked


def _check_limits(timeout: Any, soft_timeout: Any) -> tuple[int | None, int | None]:
    hard, soft = (
        None if value is None else _duration(field, value, minimum=MIN_LIMIT_MS)
        for field, value in (("timeout", timeout), ("soft_timeout", soft_timeout))
    )
    if hard is not None and soft is not None and soft >= hard:
        told = f"soft_timeout {format_duration(soft)} must be shorter than timeout {format_duration(hard)}"
        raise BadSchedule(f"{told}: the task would be killed before it is told")
    return hard, soft
