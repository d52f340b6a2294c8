"""Reads the templates of a jobs file, and merges what a tenant says of a job into what its template says. Pure.

A template is a job without a tenant, perhaps not a whole one: its schedule may be left to the tenants. What a tenant
says of a job goes first, field by field: of `params` key by key, and a schedule of another kind takes the place of the
template's. A field that is left empty, like ``expires:``, is as if the template did not have it either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.errors import BadName
from taglane.model.job import KINDS
from taglane.model.names import SHARED, check_job, check_tag, owner_of

from taglane_scheduler.job_fields import FIELDS, gives_kind, read_job, read_name, read_text
from taglane_scheduler.yaml_events import BadYaml
from taglane_scheduler.yaml_tree import Key, Value, did_you_mean, fields, pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Templates = Mapping[str, Mapping[str, Value]]

TENANT = "{tenant}"
"""What stands in a template's tag for the name of the tenant: `tag: "{tenant}.gpu"`."""

_STAND_IN = "tenant"


def read_templates(value: Value) -> Templates:
    """Return the fields of each template by its name; each is checked, whether a tenant has it or not.

    Raises:
        BadYaml: with the place of the mistake.
    """
    found = {}
    for key, body in pairs(value, "templates").items():
        name = read_name(key, check_job)
        found[name] = fields(body, FIELDS, f"template {name!r}")
        _check(name, found[name], key)
    return found


def read_taken(value: Value, templates: Templates) -> dict[str, Value]:
    """Return the templates that a list of names takes, each with its place.

    Raises:
        BadYaml: it is no list of names, or no template is called like one of them.
    """
    if not isinstance(value.data, list | None):
        raise BadYaml(value.line, value.column, f"templates is a list of names, like [report], not {value.kind}")
    found: dict[str, Value] = {}
    for item in value.data or ():
        name = read_text("template", item)
        check_known(name, item, templates)
        if name in found:
            raise BadYaml(item.line, item.column, f"template {name!r} is there twice")
        found[name] = item
    return found


def check_known(name: str, place: Key | Value, templates: Iterable[str]) -> None:
    """Raise BadYaml when no template is called *name*; it says which one was perhaps meant."""
    known = list(templates)
    if name not in known:
        there = f"there are {', '.join(known[:5])}" if known else "the file has no 'templates'"
        raise BadYaml(place.line, place.column, f"no template {name!r}: {did_you_mean(name, known) or there}")


def merged(template: Mapping[str, Value], own: Mapping[str, Value], tenant: str) -> dict[str, Value]:
    """Return the fields of a tenant's job: its *own*, and those of its *template* that they leave as they are."""
    rest = dict(template)
    if gives_kind(own):
        rest = {field: value for field, value in rest.items() if field not in KINDS}
    if "tag" in rest:
        rest["tag"] = _tag(rest["tag"], tenant)
    for field, value in own.items():
        if value.data is None:
            rest.pop(field, None)
        elif field == "params" and field in rest:
            rest[field] = _merged_params(rest[field], value)
        else:
            rest[field] = value
    return rest


def _merged_params(below: Value, above: Value) -> Value:
    if not isinstance(below.data, dict) or not isinstance(above.data, dict):
        return above
    names = {key.name for key in above.data}
    kept = {key: value for key, value in below.data.items() if key.name not in names}
    return Value({**kept, **above.data}, above.line, above.column)


def _tag(value: Value, tenant: str) -> Value:
    if not isinstance(value.data, str) or TENANT not in value.data:
        return value
    return Value(value.data.replace(TENANT, tenant), value.line, value.column)


def _check(name: str, template: Mapping[str, Value], key: Key) -> None:
    """Check a template as the job of some tenant, with what it leaves to the tenants filled in."""
    filled = merged(template, {}, _STAND_IN)
    filled.setdefault("task", Value("some.task", key.line, key.column))
    if not any(kind in template for kind in KINDS):
        filled["manual"] = Value(data=True, line=key.line, column=key.column)
    if "tag" in filled and _is_anothers(filled["tag"]):
        del filled["tag"]  # one tenant's: it is checked with the tenants that have the template
    try:
        read_job(_STAND_IN, name, filled, key)
    except BadYaml as error:
        raise BadYaml(error.line, error.column, f"{error.why} (template {name!r})") from error


def _is_anothers(tag: Value) -> bool:
    try:
        return owner_of(check_tag(str(tag.data))) not in {SHARED, _STAND_IN}
    except BadName:
        return False
