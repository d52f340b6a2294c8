"""Reads the fields of one job in a jobs file, and blames a mistake in them on the place where it stands. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from taglane.errors import BadName, BadParams, CallerError, TagNotOwned
from taglane.model.job import KINDS, Job, make_job
from taglane.model.zone import find_zone

from taglane_scheduler.yaml_events import BadYaml
from taglane_scheduler.yaml_tree import Key, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EXAMPLES = {
    "every": "30s",
    "after": "5m",
    "expires": "1h",
    "timeout": "5m",
    "soft_timeout": "4m30s",
    "task": "shop.tasks.report",
    "template": "report",
    "retry": "5 or {attempts: 5, delay: 10s}",
    "retry.delay": "10s",
    "retry.max_delay": "10m",
    "retry.on": "[ConnectionError]",
}
_TEXTS = (
    *("task", "cron", "every", "after", "at", "timezone", "tag", "start", "end", "overlap", "misfire", "expires"),
    *("timeout", "soft_timeout", "no_worker"),
)
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_TEXTS, (str,)),
    "manual": (bool,),
    "priority": (int,),
    "params": (dict,),
    "retry": (int, dict),
}
_RETRY_TYPES: dict[str, tuple[type, ...]] = {
    "attempts": (int,),
    "delay": (str,),
    "backoff": (str,),
    "max_delay": (str,),
    "jitter": (bool,),
    "on": (list,),
}
_WORDS = {str: "a text", bool: "true or false", int: "a whole number", dict: "a mapping", list: "a list"}

FIELDS = tuple(_TYPES)
"""What may be said of a job in a jobs file."""


def read_job(tenant: str, name: str, fields: Mapping[str, Value], place: Key | Value) -> Job:
    """Make the job of these *fields*, which are of `FIELDS`; *place* is where a mistake stands that is no field's.

    Raises:
        BadYaml: with the place of the mistake.
    """
    if "task" not in fields:
        raise BadYaml(place.line, place.column, f"job {name!r} has no 'task'")
    given = {field: _typed(field, value) for field, value in fields.items()}
    if "timezone" in fields:
        given["tz"] = read_zone(fields["timezone"])
        del given["timezone"]
    try:
        return make_job(tenant, name, **given)
    except CallerError as error:
        _blame(error, place, fields)


def gives_kind(fields: Mapping[str, Value]) -> bool:
    """Whether they say when the job is due: `manual: false` and a kind that is left empty say nothing."""
    return any(kind in fields and fields[kind].data not in (None, False) for kind in KINDS)


def read_zone(value: Value) -> str:
    """Return the name of a time zone that there is."""
    name: str = _typed("timezone", value)
    try:
        find_zone(name)
    except ValueError as error:
        raise BadYaml(value.line, value.column, str(error)) from error
    return name


def read_text(field: str, value: Value) -> str:
    """Return a text, or say that *field* is one."""
    _check_type(field, value, (str,))
    return str(value.data)


def read_name(place: Key | Value, check: Callable[[str], str]) -> str:
    """Return the name that stands there when *check* lets it pass."""
    try:
        return check(str(place.name if isinstance(place, Key) else place.data))
    except BadName as error:
        raise BadYaml(place.line, place.column, str(error)) from error


def _blame(error: CallerError, place: Key | Value, fields: Mapping[str, Value]) -> NoReturn:
    """Raise the error again, at the field that it is about: or at the job's place, when it is about none alone."""
    match error:
        case BadParams():
            field = "params"
        case TagNotOwned():
            field = "tag"
        case BadName():
            field = error.kind
        case _:
            field = next((name for name in fields if str(error).startswith((f"{name}:", f"{name} ", f"{name}."))), "")
    found = _inside(str(error), field, fields[field]) if field in fields else place
    raise BadYaml(found.line, found.column, str(error)) from error


def _inside(told: str, field: str, value: Value) -> Key | Value:
    """Return the place in a field's own mapping that *told* is about, `retry.delay: …`: of the key if it is unknown."""
    if isinstance(value.data, dict):
        pairs: dict[Key, Value] = value.data
        for key, inner in pairs.items():
            if told.startswith((f"{field}.{key.name}:", f"{field}.{key.name} ")):
                return key if "no such field" in told else inner
    return value


def _typed(field: str, value: Value) -> Any:
    if field == "params" and value.data is None:
        return {}
    _check_type(field, value, _TYPES[field])
    if field == "retry" and isinstance(value.data, dict):
        for key, inner in value.data.items():
            if key.name in _RETRY_TYPES:  # of another, make_job says what was perhaps meant
                _check_type(f"retry.{key.name}", inner, _RETRY_TYPES[key.name])
    return value.plain()


def _check_type(field: str, value: Value, wanted: tuple[type, ...]) -> None:
    if type(value.data) not in wanted:
        words = " or ".join(_WORDS[kind] for kind in wanted)
        example = f", like {_EXAMPLES[field]}" if field in _EXAMPLES else ""
        raise BadYaml(value.line, value.column, f"{field} is {words}{example}, not {value.kind}")
