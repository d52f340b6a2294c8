"""Reads a jobs file, the definitions of many tenants' jobs in YAML, whole or not at all. Pure.

tenants:
  acme:
    timezone: Europe/Berlin
    jobs:
      report: {task: shop.tasks.report, cron: "*/5 9-17 * * MON-FRI", params: {region: eu}}
      sync: {task: shop.tasks.sync, every: 30s, tag: acme.io, retry: {attempts: 5, delay: 10s, on: [ConnectionError]}}
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from taglane.errors import BadJobsFile, BadName, BadParams, CallerError, TagNotOwned
from taglane.model.job import Job, make_job
from taglane.model.names import check_job, check_tenant
from taglane.model.zone import find_zone

from taglane_scheduler.yaml_tree import BadYaml, Key, Value, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_EXAMPLES = {
    "every": "30s",
    "after": "5m",
    "expires": "1h",
    "timeout": "5m",
    "soft_timeout": "4m30s",
    "task": "shop.tasks.report",
    "retry": "5 or {attempts: 5, delay: 10s}",
    "retry.delay": "10s",
    "retry.max_delay": "10m",
    "retry.on": "[ConnectionError]",
}
_TEXTS = (
    *("task", "cron", "every", "after", "at", "timezone", "tag", "start", "end", "overlap", "misfire", "expires"),
    *("timeout", "soft_timeout", "no_worker"),
)
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_TEXTS, (str,)),
    "manual": (bool,),
    "priority": (int,),
    "params": (dict,),
    "retry": (int, dict),
}
_RETRY_KINDS: dict[str, tuple[type, ...]] = {
    "attempts": (int,),
    "delay": (str,),
    "backoff": (str,),
    "max_delay": (str,),
    "jitter": (bool,),
    "on": (list,),
}
_WORDS = {str: "a text", bool: "true or false", int: "a whole number", dict: "a mapping", list: "a list"}


@dataclass(frozen=True, slots=True)
class JobsFile:
    """What a jobs file says. `tenants` are all that it names, also those without a job."""

    tenants: tuple[str, ...]
    jobs: tuple[Job, ...]


def read_jobs_file(text: str, path: str = "jobs.yaml") -> JobsFile:
    """Read and check all of it; *path* is for the messages.

    Raises:
        BadJobsFile: with the line and column of the first mistake, counted from 1.
    """
    try:
        return _read(text)
    except BadYaml as error:
        raise BadJobsFile(path, error.line, error.column, error.why) from error


def _read(text: str) -> JobsFile:
    top = _fields(read_yaml(text), ("tenants",), "a jobs file")
    if "tenants" not in top:
        raise BadYaml(1, 1, "there is no 'tenants' in it")
    names, jobs = [], []
    for key, body in _pairs(top["tenants"], "tenants"):
        tenant = _named(key, check_tenant)
        names.append(tenant)
        fields = _fields(body, ("timezone", "jobs"), f"tenant {tenant!r}")
        zone = _zone(fields["timezone"]) if "timezone" in fields else None
        if "jobs" in fields:
            jobs += [_job(tenant, job_key, job, zone) for job_key, job in _pairs(fields["jobs"], "jobs")]
    return JobsFile(tuple(names), tuple(jobs))


def _job(tenant: str, key: Key, body: Value, zone: str | None) -> Job:
    name = _named(key, check_job)
    fields = _fields(body, tuple(_KINDS), f"job {name!r}")
    if "task" not in fields:
        raise BadYaml(key.line, key.column, f"job {name!r} has no 'task'")
    given = {field: _typed(field, value) for field, value in fields.items()}
    tz = _zone(fields["timezone"]) if "timezone" in fields else zone
    given.pop("timezone", None)
    try:
        return make_job(tenant, name, tz=tz, **given)
    except CallerError as error:
        _blame(error, key, fields)


def _blame(error: CallerError, key: Key, fields: Mapping[str, Value]) -> NoReturn:
    """Raise the error again, at the field that it is about: or at the job's name, when it is about none alone."""
    match error:
        case BadParams():
            field = "params"
        case TagNotOwned():
            field = "tag"
        case BadName():
            field = error.kind
        case _:
            field = next((name for name in fields if str(error).startswith((f"{name}:", f"{name} ", f"{name}."))), "")
    place = _inside(str(error), field, fields[field]) if field in fields else key
    raise BadYaml(place.line, place.column, str(error)) from error


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
    _check_kind(field, value, _KINDS[field])
    if field == "retry" and isinstance(value.data, dict):
        for key, inner in value.data.items():
            if key.name in _RETRY_KINDS:  # of another, make_job says what was perhaps meant
                _check_kind(f"retry.{key.name}", inner, _RETRY_KINDS[key.name])
    return value.plain()


def _check_kind(field: str, value: Value, wanted: tuple[type, ...]) -> None:
    if type(value.data) not in wanted:
        words = " or ".join(_WORDS[kind] for kind in wanted)
        example = f", like {_EXAMPLES[field]}" if field in _EXAMPLES else ""
        raise BadYaml(value.line, value.column, f"{field} is {words}{example}, not {value.kind}")


def _zone(value: Value) -> str:
    name: str = _typed("timezone", value)
    try:
        find_zone(name)
    except ValueError as error:
        raise BadYaml(value.line, value.column, str(error)) from error
    return name


def _named(key: Key, check: Any) -> str:
    try:
        return str(check(str(key.name)))
    except BadName as error:
        raise BadYaml(key.line, key.column, str(error)) from error


def _pairs(value: Value, what: str) -> Iterator[tuple[Key, Value]]:
    if value.data is None:
        return
    if not isinstance(value.data, dict):
        raise BadYaml(value.line, value.column, f"{what} is a mapping by name, not {value.kind}")
    yield from value.data.items()


def _fields(value: Value, known: tuple[str, ...], what: str) -> dict[str, Value]:
    if not isinstance(value.data, dict | None):
        raise BadYaml(value.line, value.column, f"{what} is a mapping, not {value.kind}")
    for key in value.data or ():
        if key.name not in known:
            near = get_close_matches(str(key.name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise BadYaml(key.line, key.column, f"{what} has no field {key.name!r}: {hint}")
    return {key.name: field for key, field in (value.data or {}).items()}
