"""What a tenant wants done, and when: a job's definition, checked once, where loose input comes in."""

import json
import math
import time
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict

from taglane.errors import BadParams, BadSchedule
from taglane.model.duration import parse_duration
from taglane.model.instant import parse_instant
from taglane.model.names import check_job, check_task, check_tenant, tag_for
from taglane.model.schedule import After, At, Cron, Every, Manual, Schedule, from_fields, to_json

Overlap = Literal["skip", "allow"]
"""What a fire does while the job's last run still goes."""

KINDS = ("cron", "every", "after", "at", "manual")
"""The fields of which a job has exactly one: they say when it is due."""

_DEPTH = 64  # of params: far from where json gives up


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
    expires: int | None = None
    """How long, ms, a run of this job may wait for a worker."""

    @property
    def definition(self) -> str:
        """All but the identity, as compact JSON: the same text for the same definition."""
        kept: dict[str, Any] = {
            "task": self.task,
            "schedule": json.loads(to_json(self.schedule)),
            "tag": self.tag,
            "params": self.params,
        }
        if self.priority:
            kept["priority"] = self.priority
        if self.overlap != "skip":
            kept["overlap"] = self.overlap
        if self.expires is not None:
            kept["expires"] = self.expires
        return json.dumps(kept, separators=(",", ":"), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_definition(cls, tenant: str, name: str, text: str | bytes) -> Self:
        """Read what `definition` wrote.

        Raises:
            ValueError: *text* is something else.
        """
        loaded = json.loads(text)
        if not isinstance(loaded, dict) or not isinstance(loaded.get("schedule"), dict):
            raise ValueError("a definition is a JSON object with a schedule")  # noqa: TRY004 - a stored text, not a type
        return cls(tenant=tenant, name=name, **{**loaded, "schedule": from_fields(loaded["schedule"])})


def make_job(  # noqa: PLR0913 - the one constructor: each argument is a field that a user may write
    tenant: str,
    name: str,
    *,
    task: str,
    cron: str | None = None,
    every: str | int | None = None,
    after: str | int | None = None,
    at: str | int | None = None,
    manual: bool = False,
    tz: str | None = None,
    params: dict[str, Any] | None = None,
    tag: str | None = None,
    start: str | int | None = None,
    end: str | int | None = None,
    priority: int = 0,
    overlap: str = "skip",
    expires: str | int | None = None,
    now: int | None = None,
) -> Job:
    """Make a job of what a command line or a jobs file says.

    Durations are texts like ``30s`` or ms, instants ISO texts (without an offset: in *tz*, which is UTC) or ms. *now*,
    ms, anchors the grid of *every* until the job is put, which anchors it by the server's clock.

    Raises:
        BadName: the tenant, the job, the task or the tag can't be called that.
        BadSchedule: not exactly one of cron, every, after, at, manual; or a field that says nothing, which is named.
        BadParams: they are no JSON object.
        TagNotOwned: the tag is another tenant's.
    """
    check_tenant(tenant)
    check_job(name)
    given = {"cron": cron, "every": every, "after": after, "at": at, "manual": manual or None}
    kind = _only({field: value for field, value in given.items() if value is not None})
    window = {"tz": "UTC" if tz is None else tz, "start": start, "end": end}
    anchor = int(time.time() * 1000) if now is None else now
    return Job(
        tenant=tenant,
        name=name,
        task=check_task(task),
        schedule=_schedule(kind, given[kind], window, anchor),
        params=check_params(params or {}),
        tag=tag_for(tenant, tag),
        priority=_check_priority(priority),
        overlap=_check_overlap(overlap),
        expires=None if expires is None else _duration("expires", expires),
    )


def check_params(params: Any) -> dict[str, Any]:
    """Return *params* as JSON gives them back.

    Raises:
        BadParams: they are no JSON object; names the place and the value.
    """
    if not isinstance(params, dict):
        raise BadParams(f"params must be a JSON object, not {params!r}")
    checked: dict[str, Any] = _checked(params, "params", _DEPTH)
    return checked


def _checked(value: Any, place: str, depth: int) -> Any:
    if depth == 0:
        raise BadParams(f"params are nested more than {_DEPTH} deep")
    match value:
        case list() | tuple():
            return [_checked(item, f"{place}[{index}]", depth - 1) for index, item in enumerate(value)]
        case dict():
            for key in value:
                if not isinstance(key, str):
                    raise BadParams(f"{place} has the key {key!r}: a key is a text")
            return {_leaf(key, place): _checked(item, f"{place}.{key}", depth - 1) for key, item in value.items()}
        case _:
            return _leaf(value, place)


def _leaf(value: Any, place: str) -> Any:
    match value:
        case str() if max(value, default="") >= "\ud800" and any("\ud800" <= char <= "\udfff" for char in value):
            raise BadParams(f"{place} is {value!r}, which is no Unicode text")
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case _:
            raise BadParams(f"{place} is {value!r}, which JSON does not have: write it as a text")


def _only(given: dict[str, Any]) -> str:
    if len(given) != 1:
        said = ", ".join(given) or "none"
        raise BadSchedule(f"a job has exactly one of {', '.join(KINDS)}: given were {said}")
    return next(iter(given))


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


def _duration(field: str, value: Any) -> int:
    if type(value) is int and value > 0:
        return value
    if not isinstance(value, str):
        raise BadSchedule(f"{field}: {value!r} is not a duration: write it like 30s, 5m, 1h30m")
    try:
        return parse_duration(value, minimum=1)
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


def _check_overlap(overlap: Any) -> Overlap:
    match overlap:
        case "skip":
            return "skip"
        case "allow":
            return "allow"
        case _:
            raise BadSchedule(f"overlap: {overlap!r} is not one of {', '.join(get_args(Overlap))}")
